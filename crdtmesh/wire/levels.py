"""Consistency levels on the wire, and as the text that people write."""

from __future__ import annotations

from typing import Final

from crdtmesh.levels import LEVEL_COUNT_MAX, Level, LevelInvalid, LevelKind, parse_level
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2

_NUMBERS: Final = {
    LevelKind.LOCAL: values_pb2.LEVEL_LOCAL,
    LevelKind.TO: values_pb2.LEVEL_TO,
    LevelKind.MAJORITY: values_pb2.LEVEL_MAJORITY,
    LevelKind.ALL: values_pb2.LEVEL_ALL,
}
_KINDS: Final = {number: kind for kind, number in _NUMBERS.items()}


def level_from_proto(number: values_pb2.Level, options: values_pb2.LevelOptions) -> Level | None:
    """The level of a request; None for the default.

    Raises:
        LevelInvalid: it is none that this version knows, or has a number that is not its own or out of bounds.
    """
    if number == values_pb2.LEVEL_DEFAULT and not options.ByteSize():
        return None
    kind = _KINDS.get(number)
    if kind is None:
        raise LevelInvalid(f"level LOCAL, TO, MAJORITY or ALL expected, {number} found; use a level of this version")
    level = Level(kind, options.count, options.min_cap, options.extra)
    # The text has a form for what is allowed, and for nothing else.
    if parse_level(str(level)) != level:
        raise LevelInvalid(
            f"numbers of 1 to {LEVEL_COUNT_MAX} that belong to {kind.value} expected, {options.count}, "
            f"{options.min_cap} and {options.extra} found for count, min_cap and extra"
        )
    return level


def level_to_proto(text: str | None) -> tuple[values_pb2.Level, values_pb2.LevelOptions]:
    """The fields of a request for a level as people write it; None is the default.

    Raises:
        LevelInvalid: the text names no level.
    """
    if text is None:
        return values_pb2.LEVEL_DEFAULT, values_pb2.LevelOptions()
    level = parse_level(text)
    return _NUMBERS[level.kind], values_pb2.LevelOptions(count=level.count, min_cap=level.min_cap, extra=level.extra)
