"""`ctx.state` of a map of counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, cast

from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import INTEGER_MAX, PlainValue
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["PNCounterMap"]


class PNCounterMap(Snapshot[dict[str, int]]):
    """A map from text to counters; `ctx.state["k"]` reads one, 0 where there is none."""

    __slots__ = ()

    type_name: ClassVar[str] = "PNCounterMap"

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        """A map of `counts`, as a test of a handler would want it."""
        super().__init__(dict(counts or {}))

    @property
    def value(self) -> dict[str, int]:
        """Key to count, with what this turn has changed so far."""
        return dict(self._value)

    def increment(self, key: str, amount: int = 1) -> None:
        """Adds an amount of 0 or more under a key.

        Raises:
            InvalidOperation: the amount is no int, negative or beyond 63 bits; nothing was changed.
        """
        self._move("increment", key, amount, 1)

    def decrement(self, key: str, amount: int = 1) -> None:
        """Subtracts an amount of 0 or more under a key.

        Raises:
            InvalidOperation: as `increment` does.
        """
        self._move("decrement", key, amount, -1)

    def remove(self, key: str) -> None:
        """Removes a key if it is in the map. A concurrent update survives."""
        if key in self._value:
            self._record("remove", key)
            self._value = {other: count for other, count in self._value.items() if other != key}

    def clear(self) -> None:
        """Removes all keys that this node has seen."""
        if self._value:
            self._record("clear")
            self._value = {}

    def _move(self, name: str, key: str, amount: int, sign: int) -> None:
        if type(amount) is not int or not 0 <= amount <= INTEGER_MAX:
            raise InvalidOperation(f"{name}: expected an int of 0 or more below 2**63, got {shorten(amount)}")
        if amount:
            self._record(name, key, amount)
            self._value = {**self._value, key: self[key] + sign * amount}

    def _parse(self, value: PlainValue) -> dict[str, int]:
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"expected a dict for a PNCounterMap, got {shorten(value)}")
        return cast("dict[str, int]", dict(value or {}))

    def __getitem__(self, key: str) -> int:
        return self._value.get(key, 0)

    def __contains__(self, key: object) -> bool:
        return key in self._value

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._value))

    def __len__(self) -> int:
        return len(self._value)
