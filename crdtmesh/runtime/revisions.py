"""Earlier states of an actor that asks for them (tag `crdtmesh.revisions`), so that it can start from one again.

A revision is a state that stood when a later turn replaced it, at most one for each snapshot interval of the actor:
what Spawn would have saved. They are numbered from 1, the newest state of all has no number yet. They are kept beside
the losers, under the key of the state, in a map from their number to what they were; the oldest goes when there are as
many as the actor wants.
"""

from collections.abc import Mapping
from typing import Any, Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.runtime import opaque
from crdtmesh.runtime.opaque import OpaqueState

__all__ = ["find", "keep", "missing", "number_in"]

NUMBER_DIGITS_MAX: Final = 20
"""A revision is a 63-bit number, in fewer digits than this."""

_PREFIX: Final = "revision "


def keep(kept: Any, state: OpaqueState, most: int) -> list[Operation]:
    """The operations that make this state the latest revision, and remove the oldest beyond `most`."""
    numbers = _numbers(kept)
    put = Operation("put", (f"{_PREFIX}{max(numbers, default=0) + 1}", opaque.to_plain(state)))
    return [put, *(Operation("remove", (f"{_PREFIX}{number}",)) for number in numbers[: len(numbers) + 1 - most])]


def number_in(payload: bytes) -> int:
    """The number of a revision, in digits; 0, which none has, for anything else."""
    return int(payload) if payload.isdigit() and len(payload) < NUMBER_DIGITS_MAX else 0


def find(kept: Any, number: int) -> OpaqueState | None:
    """The state of that number; None when it is not kept."""
    name = f"{_PREFIX}{number}"
    return opaque.from_plain(kept[name]) if isinstance(kept, Mapping) and name in kept else None


def missing(kept: Any, number: int, most: int) -> str:
    """Why a revision is not there, and what could be asked for."""
    numbers = _numbers(kept)
    if numbers:
        return f"revision {number} is not kept; kept are {numbers[0]} to {numbers[-1]}"
    if most:
        return f"revision {number} is not kept, and no other is so far"
    return f"revision {number} is not kept; register the actor with the tag crdtmesh.revisions, how many to keep"


def _numbers(kept: Any) -> list[int]:
    if not isinstance(kept, Mapping):
        return []
    digits = [name.removeprefix(_PREFIX) for name in kept if name.startswith(_PREFIX)]
    # Anybody may write into the map; what is no number of ours is left alone.
    return sorted(int(text) for text in digits if text.isdecimal() and text.isascii() and len(text) < NUMBER_DIGITS_MAX)
