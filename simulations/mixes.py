"""What clients ask of each data type: one drawing function for each, over few elements and keys, so that calls meet.

Elements that Python takes for equal (`1`, `True`, `1.0`) are among them. Values of registers are written once each, so
that one which nobody wrote, or an old one, is known by itself.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

AMOUNT_MAX: Final = 9
REMOVALS: Final = 0.4
RESETS: Final = 0.03

LOOKALIKES: Final[tuple[PlainValue, ...]] = (1, True, 1.0, "1")
"""Four elements; Python takes three of them for one."""

MAP_KEYS: Final = ("k", "l", "m")
NOBODY: Final = bytes(16).hex()
"""A replica id that no replica has: what is transferred to it is counted and never spent."""


@dataclass(slots=True)
class Drawing:
    """What a draw may use.

    Attributes:
        rng: of the client.
        elements: of sets.
        unique: text that no other call writes.
        padding: this much is added to values, for large states.
    """

    rng: random.Random
    elements: tuple[PlainValue, ...]
    unique: str
    padding: int = 0

    def value(self) -> str:
        """A value that nobody else writes."""
        return self.unique + "." * self.padding

    def amount(self) -> int:
        """What a counter moves by."""
        return self.rng.randint(1, AMOUNT_MAX)

    def element(self) -> PlainValue:
        """An element of a set."""
        element = self.rng.choice(self.elements)
        return element + "." * self.padding if self.padding and isinstance(element, str) else element

    def is_reset(self) -> bool:
        """Whether the rare operation that forgets everything is due."""
        return self.rng.random() < RESETS


Mix = Callable[[Drawing], Operation]


def _up_and_down(draw: Drawing) -> Operation:
    return Operation(draw.rng.choice(("increment", "decrement")), (draw.amount(),))


def _up(draw: Drawing) -> Operation:
    return Operation("increment", (draw.amount(),))


def _resettable(mix: Mix, name: str) -> Mix:
    return lambda draw: Operation(name) if draw.is_reset() else mix(draw)


def _add(draw: Drawing) -> Operation:
    return Operation("add", (draw.element(),))


def _add_or_remove(draw: Drawing) -> Operation:
    return Operation("remove" if draw.rng.random() < REMOVALS else "add", (draw.element(),))


def _set(draw: Drawing) -> Operation:
    return Operation("set", (draw.value(),))


def _set_number(draw: Drawing) -> Operation:
    return Operation("set", (draw.rng.randint(-1_000_000, 1_000_000),))


def _flag(draw: Drawing) -> Operation:
    return Operation("disable" if draw.rng.random() < REMOVALS else "enable")


def _vote(draw: Drawing) -> Operation:
    return Operation("withdraw") if draw.rng.random() < 0.2 else Operation("vote", (draw.rng.random() < 0.5,))


def _bounded(draw: Drawing) -> Operation:
    kind = draw.rng.random()
    if kind < 0.6:
        return _up(draw)
    return Operation("decrement", (draw.amount(),)) if kind < 0.95 else Operation("transfer", (NOBODY, 1))


def _map_key(draw: Drawing) -> str:
    return draw.rng.choice(MAP_KEYS)


def _mixed_map(kinds: tuple[tuple[str, Mix], ...]) -> Mix:
    def mix(draw: Drawing) -> Operation:
        if draw.rng.random() < 0.2:
            return Operation("remove", (_map_key(draw),))
        kind, nested = draw.rng.choice(kinds)
        inner = nested(draw)
        return Operation("update", (_map_key(draw), kind, inner.name, *inner.arguments))

    return mix


def _multi_map(draw: Drawing) -> Operation:
    if draw.rng.random() < 0.1:
        return Operation("remove", (_map_key(draw),))
    name = "remove_binding" if draw.rng.random() < REMOVALS else "add_binding"
    return Operation(name, (_map_key(draw), draw.element()))


def _lww_map(draw: Drawing) -> Operation:
    if draw.rng.random() < REMOVALS:
        return Operation("remove", (_map_key(draw),))
    return Operation("put", (_map_key(draw), draw.value()))


def _counter_map(draw: Drawing) -> Operation:
    if draw.rng.random() < 0.2:
        return Operation("remove", (_map_key(draw),))
    move = _up_and_down(draw)
    return Operation(move.name, (_map_key(draw), *move.arguments))


def _document(draw: Drawing) -> Operation:
    kind = draw.rng.random()
    if kind < 0.1:
        return Operation("delete", ((draw.rng.choice("ol"),),))
    if kind < 0.2:
        return Operation("delete", (("o", _map_key(draw)),))
    if kind < 0.5:
        return Operation("set", (("o", _map_key(draw)), draw.value()))
    if kind < 0.6:
        return Operation("extend", (("l",), (draw.value(), draw.value() + "+")))
    return Operation("insert", (("l",), draw.rng.choice((0, -1)), draw.value()))


def _written(draw: Drawing) -> Operation:
    text = f"[{draw.value()}]"
    return Operation("set", (text,)) if draw.rng.random() < 0.1 else Operation("insert", (0, text))


_WITHOUT_SUMS: Final[tuple[tuple[str, Mix], ...]] = (
    ("ORSet", _add_or_remove),
    ("MVRegister", _set),
    ("EWFlag", _flag),
)
_NESTED: Final = (("PNCounter", _up_and_down), *_WITHOUT_SUMS)

MIXES: Final[dict[str, Mix]] = {
    "BoundedCounter": _bounded,
    "DWFlag": _resettable(_flag, "reset"),
    "EWFlag": _flag,
    "ExactCounter": _resettable(_up_and_down, "reset"),
    "FWWRegister": _resettable(_set, "clear"),
    "GCounter": _up,
    "GSet": _resettable(_add, "reset"),
    "JsonDocument": _resettable(_document, "clear"),
    "LWWMap": _resettable(_lww_map, "clear"),
    "LWWRegister": _resettable(_set, "clear"),
    "MVRegister": _resettable(_set, "clear"),
    "MaxRegister": _resettable(_set_number, "clear"),
    "MinRegister": _resettable(_set_number, "clear"),
    "ORMap": _resettable(_mixed_map(_NESTED), "clear"),
    "ORMultiMap": _resettable(_multi_map, "clear"),
    "ORSet": _resettable(_add_or_remove, "clear"),
    "PNCounter": _up_and_down,
    "PNCounterMap": _resettable(_counter_map, "clear"),
    "RWMap": _resettable(_mixed_map(_WITHOUT_SUMS), "reset"),
    "RWSet": _resettable(_add_or_remove, "reset"),
    "Text": _resettable(_written, "clear"),
    "TwoPhaseSet": _resettable(_add_or_remove, "reset"),
    "UWMap": _resettable(_mixed_map(_WITHOUT_SUMS), "clear"),
    "Vote": _resettable(_vote, "reset"),
}
"""By data type. A type that is not here is never written to; a test compares with the registry."""

BATCHED: Final = frozenset(
    {
        "ExactCounter",
        "GCounter",
        "JsonDocument",
        "LWWMap",
        "LWWRegister",
        "MVRegister",
        "ORMultiMap",
        "ORSet",
        "PNCounter",
        "PNCounterMap",
    }
)
"""Types of which a call may hold several operations. In the others an addition may have no effect, as enabling a flag
that is on; which of several operations of one event had none is not known, and such a one must not count as a deed."""
