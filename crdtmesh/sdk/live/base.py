"""What every live object can do for the host that runs its turns.

A live object holds the state as it reads at the start of a turn. The handler's operations are checked, recorded and
applied to the local copy at once; what they mean for other replicas is computed by the node. When the turn ends, the
host sends the pending operations and commits, or rolls back.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

__all__ = ["LiveState", "identify", "normal"]

# Their values are what the mesh gives back. A float may be -0.0, which it does not.
_SETTLED: Final = frozenset({str, int, bool, bytes, type(None)})


class LiveState(abc.ABC):
    """Base of the live objects.

    The methods here are the host's; those of the handlers are in the subclasses. A subclass calls `_record` after it
    has checked an operation and before it changes the copy.
    """

    __slots__ = ("_operations",)

    type_name: ClassVar[str]
    """The data type's name, as in `crdtmesh.crdts.registry`."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []

    @abc.abstractmethod
    def load_value(self, value: PlainValue) -> None:
        """Takes a whole state over: what the data type's `value` reads as; None for a state that nobody has changed.

        Raises:
            ValueError: the value is none of this type.
        """

    def apply_change(self, added: Sequence[PlainValue], removed: Sequence[PlainValue]) -> None:
        """Takes over what other writers changed in a set.

        Raises:
            ValueError: the type is no set.
        """
        count = len(added) + len(removed)
        raise ValueError(f"expected a whole value for {self.type_name}, got {count} changed elements")

    @property
    def pending(self) -> list[Operation]:
        """The operations done since the last `commit` or `roll_back`, in order."""
        return self._operations

    def commit(self) -> None:
        """Ends a turn: what it did is the state now."""
        self._operations = []

    @abc.abstractmethod
    def roll_back(self) -> None:
        """Undoes what is pending."""

    def _record(self, name: str, *arguments: PlainValue) -> None:
        self._operations.append(Operation(name, arguments))


def identify(value: Any) -> tuple[bytes, PlainValue]:
    """A value's canonical bytes, and the value as the mesh would give it back.

    That is: own classes of text and numbers plain, lists as tuples, `-0.0` as `0.0`, nothing mutable shared with what
    was given.

    Raises:
        InvalidValue: the mesh can't hold the value.
    """
    key = values.encode(value)
    return key, value if type(value) in _SETTLED else values.decode(key)


def normal(value: Any) -> PlainValue:
    """A value as the mesh would give it back; see `identify`."""
    return identify(value)[1]
