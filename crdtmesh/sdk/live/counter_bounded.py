"""`ctx.state` of a bounded counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from crdtmesh.crdts.counter_bounded import SUM_MAX
from crdtmesh.crdts.errors import InsufficientRights, InvalidOperation, shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["BoundedCounter"]


class BoundedCounter(Snapshot[tuple[int, Mapping[str, int]]]):
    """A counter that never goes below zero.

    A node may take away what it added, or what was transferred to it; `rights` lists who may take how much. A handler
    that takes more than its node may is refused by the node when the turn ends, and leaves nothing.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "BoundedCounter"

    def __init__(self, value: int = 0) -> None:
        """A counter at `value`, as a test of a handler would want it."""
        super().__init__((value, {}))

    @property
    def value(self) -> int:
        """The count, with what this turn has changed so far."""
        return self._value[0]

    @property
    def rights(self) -> dict[str, int]:
        """Replica id in hex to the amount that it may take away, as it was at the start of the turn."""
        return dict(self._value[1])

    def increment(self, amount: int = 1) -> None:
        """Adds an amount of 0 or more, and the right of this node to take it away.

        Raises:
            InvalidOperation: the amount is no int, negative or too large; nothing was changed.
        """
        _check("increment", amount, "decrement")
        if amount:
            self._record("increment", amount)
            self._value = self._value[0] + amount, self._value[1]

    def decrement(self, amount: int = 1) -> None:
        """Takes an amount of 0 or more away.

        Raises:
            InvalidOperation: as `increment` does.
            InsufficientRights: more than the count; nothing was changed.
        """
        _check("decrement", amount, "increment")
        if amount > self._value[0]:
            raise InsufficientRights(f"decrement: expected at most the count of {self._value[0]}, got {amount}")
        if amount:
            self._record("decrement", amount)
            self._value = self._value[0] - amount, self._value[1]

    def transfer(self, receiver: str, amount: int) -> None:
        """Hands rights of this node on to another, named by its replica id in hex as in `rights`.

        Raises:
            InvalidOperation: as `increment` does.
            InsufficientRights: more than the count; nothing was changed.
        """
        _check("transfer", amount, "transfer from the other")
        if amount > self._value[0]:
            raise InsufficientRights(f"transfer: expected at most the count of {self._value[0]}, got {amount}")
        if amount:
            self._record("transfer", receiver, amount)

    def _parse(self, value: PlainValue) -> tuple[int, Mapping[str, int]]:
        if value is None:
            return 0, {}
        if isinstance(value, Mapping):
            count, rights = value.get("value"), value.get("rights")
            if isinstance(count, int) and isinstance(rights, Mapping):
                return count, cast("Mapping[str, int]", rights)
        raise ValueError(f"expected a count with rights for a BoundedCounter, got {shorten(value)}")

    def __int__(self) -> int:
        return self._value[0]


def _check(name: str, amount: int, opposite: str) -> None:
    if type(amount) is not int:
        raise InvalidOperation(f"{name}: expected an int, got {shorten(amount)}")
    if not 0 <= amount <= SUM_MAX:
        raise InvalidOperation(f"{name}: expected 0 or more and below 2**47, got {amount}; call {opposite}")
