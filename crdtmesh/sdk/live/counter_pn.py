"""`ctx.state` of a PN-counter."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import INTEGER_MAX, INTEGER_MIN, PlainValue
from crdtmesh.sdk.live.base import LiveState

__all__ = ["PNCounter"]


class PNCounter(LiveState):
    """A counter that goes up and down on all nodes at once.

    `int(ctx.state)` and `ctx.state.value` read it. There is no lower bound: concurrent decrements may take it below
    zero.
    """

    __slots__ = ("_before", "_value")

    type_name: ClassVar[str] = "PNCounter"

    def __init__(self, value: int = 0) -> None:
        """A counter at `value`, as a test of a handler would want it."""
        super().__init__()
        self._value = value
        self._before = value

    @property
    def value(self) -> int:
        """The count, with what this turn has added so far."""
        return self._value

    def increment(self, amount: int = 1) -> None:
        """Adds an amount of 0 or more.

        Raises:
            InvalidOperation: the amount is no int, negative, or takes the count beyond 64 bits; nothing was changed.
        """
        self._move("increment", amount, 1)

    def decrement(self, amount: int = 1) -> None:
        """Subtracts an amount of 0 or more.

        Raises:
            InvalidOperation: as `increment` does.
        """
        self._move("decrement", amount, -1)

    def reset(self) -> None:
        """Sets the count to zero, as far as this node has seen it. An update concurrent with it survives."""
        self._record("reset")
        self._value = 0

    def load_value(self, value: PlainValue) -> None:
        """Takes a whole state over: an int."""
        if value is not None and type(value) is not int:
            raise ValueError(f"expected an int for a PNCounter, got {shorten(value)}")
        self._operations = []
        self._value = self._before = value or 0

    def roll_back(self) -> None:
        """Undoes this turn's changes."""
        self._operations = []
        self._value = self._before

    def commit(self) -> None:
        """Makes this turn's changes the state."""
        self._operations = []
        self._before = self._value

    def _move(self, name: str, amount: int, sign: int) -> None:
        if type(amount) is not int:
            raise InvalidOperation(f"{name}: expected an int, got {shorten(amount)}; floats don't add up")
        if amount < 0:
            opposite = "decrement" if sign > 0 else "increment"
            raise InvalidOperation(f"{name}: expected 0 or more, got {amount}; call {opposite}")
        value = self._value + sign * amount
        if amount > INTEGER_MAX or not INTEGER_MIN <= value <= INTEGER_MAX:
            raise InvalidOperation(f"{name}: {shorten(amount)} takes the count beyond 64 bits")
        if amount:
            self._record(name, amount)
            self._value = value

    def __int__(self) -> int:
        return self._value

    def __index__(self) -> int:
        return self._value

    def __repr__(self) -> str:
        return f"PNCounter({self._value})"
