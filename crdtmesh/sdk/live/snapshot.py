"""Live objects whose whole state is one immutable value: what they share."""

from __future__ import annotations

from typing import Generic, TypeVar

from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import LiveState

__all__ = ["Snapshot"]

V = TypeVar("V")


class Snapshot(LiveState, Generic[V]):
    """A live object that keeps the value as it was before the turn beside the value as it is."""

    __slots__ = ("_before", "_value")

    def __init__(self, value: V) -> None:
        """A state that reads as `value`; it is not changed in place."""
        super().__init__()
        self._value = value
        self._before = value

    def load_value(self, value: PlainValue) -> None:
        """Takes a whole state over."""
        self._value = self._before = self._parse(value)
        self._operations = []

    def _parse(self, value: PlainValue) -> V:
        """The value to keep; raises ValueError for what is none of the type."""
        raise NotImplementedError

    def roll_back(self) -> None:
        """Undoes this turn's changes."""
        self._operations = []
        self._value = self._before

    def commit(self) -> None:
        """Makes this turn's changes the state."""
        self._operations = []
        self._before = self._value

    def __repr__(self) -> str:
        return f"{self.type_name}({self._value!r:.200})"
