"""`ctx.state` of a grow-only counter."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import INTEGER_MAX, PlainValue
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["GCounter"]


class GCounter(Snapshot[int]):
    """A counter that goes up on all nodes at once; `int(ctx.state)` and `ctx.state.value` read it."""

    __slots__ = ()

    type_name: ClassVar[str] = "GCounter"

    def __init__(self, value: int = 0) -> None:
        """A counter at `value`, as a test of a handler would want it."""
        super().__init__(value)

    @property
    def value(self) -> int:
        """The count, with what this turn has added so far."""
        return self._value

    def increment(self, amount: int = 1) -> None:
        """Adds an amount of 0 or more.

        Raises:
            InvalidOperation: the amount is no int, negative or beyond 63 bits; nothing was changed.
        """
        if type(amount) is not int or not 0 <= amount <= INTEGER_MAX:
            raise InvalidOperation(f"increment: expected an int of 0 or more below 2**63, got {shorten(amount)}")
        if amount:
            self._record("increment", amount)
            self._value += amount

    def reset(self) -> None:
        """Sets the count to zero, as far as this node has seen it. An increment concurrent with it survives."""
        self._record("reset")
        self._value = 0

    def _parse(self, value: PlainValue) -> int:
        if value is not None and type(value) is not int:
            raise ValueError(f"expected an int for a {self.type_name}, got {shorten(value)}")
        return value or 0

    def __int__(self) -> int:
        return self._value
