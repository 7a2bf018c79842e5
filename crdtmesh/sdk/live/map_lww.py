"""`ctx.state` of a last-writer-wins map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from crdtmesh.crdts.errors import shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import normal
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["LWWMap"]


class LWWMap(Snapshot[dict[str, PlainValue]]):
    """A map from text to values: `ctx.state["k"] = 1`. Of concurrent writes of a key the later one holds."""

    __slots__ = ()

    type_name: ClassVar[str] = "LWWMap"

    def __init__(self, entries: Mapping[str, PlainValue] | None = None) -> None:
        """A map of `entries`, as a test of a handler would want it."""
        super().__init__({key: normal(value) for key, value in (entries or {}).items()})

    @property
    def value(self) -> dict[str, PlainValue]:
        """Key to value, with what this turn has changed so far."""
        return {key: normal(value) for key, value in self._value.items()}

    def put(self, key: str, value: PlainValue) -> None:
        """Writes a value. It beats all that this node has seen of the key.

        Raises:
            InvalidValue: the mesh can't hold the value; nothing was changed.
        """
        written = normal(value)
        self._record("put", key, written)
        self._value = {**self._value, key: written}

    def remove(self, key: str) -> None:
        """Removes a key if it is in the map. A concurrent write survives."""
        if key in self._value:
            self._record("remove", key)
            self._value = {other: value for other, value in self._value.items() if other != key}

    def clear(self) -> None:
        """Removes all keys that this node has seen."""
        if self._value:
            self._record("clear")
            self._value = {}

    def _parse(self, value: PlainValue) -> dict[str, PlainValue]:
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"expected a dict for an LWWMap, got {shorten(value)}")
        return dict(value or {})

    def __getitem__(self, key: str) -> PlainValue:
        return normal(self._value[key])

    def __setitem__(self, key: str, value: PlainValue) -> None:
        self.put(key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self._value:
            raise KeyError(key)
        self.remove(key)

    def __contains__(self, key: object) -> bool:
        return key in self._value

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._value))

    def __len__(self) -> int:
        return len(self._value)
