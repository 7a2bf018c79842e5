"""What the live objects of maps of typed values share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

from crdtmesh.crdts.errors import shorten
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import LiveState, normal
from crdtmesh.sdk.live.registry import live_type

__all__ = ["MixedMap", "RemovedWithKey"]

L = TypeVar("L", bound=LiveState)


class _Forwarded(list[Operation]):
    """The operations of a nested live object: each is recorded by the map around it, too."""

    def __init__(self, parent: MixedMap, key: str, type_name: str) -> None:
        super().__init__()
        self._to = parent, key, type_name

    def append(self, operation: Operation) -> None:
        """Records an operation here and in the map."""
        parent, key, type_name = self._to
        super().append(operation)
        parent._record("update", key, type_name, operation.name, *operation.arguments)
        parent._written[key, type_name] = parent._children[key, type_name]


class MixedMap(LiveState):
    """Base of maps from text to live objects: `ctx.state["stock", PNCounter].increment()`.

    A key may hold one value of each type. Whether a key is in the map is as the turn found it and changed it: one whose
    set was emptied in this turn still counts until the turn ends.
    """

    __slots__ = ("_before", "_children", "_value", "_written")

    def __init__(self) -> None:
        """An empty map."""
        super().__init__()
        self._children: dict[tuple[str, str], LiveState] = {}
        self._written: dict[tuple[str, str], LiveState] = {}
        self._before: tuple[dict[tuple[str, str], LiveState], dict[tuple[str, str], LiveState]] = ({}, {})

    def __getitem__(self, entry: tuple[str, type[L]]) -> L:
        """The live object of a key and a type, made when the map has none; it is in the map once it was changed."""
        key, kind = entry
        child = self._children.get((key, kind.type_name))
        if child is None:
            child = live_type(kind.type_name)()
            self._attach(key, kind.type_name, child)
        return cast("L", child)

    def load_value(self, value: PlainValue) -> None:
        """Takes a whole state over: key to type to value."""
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"expected a dict for a {self.type_name}, got {shorten(value)}")
        self._operations, self._children = [], {}
        for key, held in (value or {}).items():
            if not isinstance(held, Mapping):
                raise ValueError(f"expected types and values under {key!r:.64}, got {shorten(held)}")  # noqa: TRY004 - the host expects it
            for type_name, inner in held.items():
                child = live_type(type_name)()
                child.load_value(inner)
                self._attach(key, type_name, child)
        self._written = dict(self._children)
        self._before = dict(self._children), dict(self._written)

    def roll_back(self) -> None:
        """Undoes this turn's changes."""
        self._operations = []
        self._children, self._written = dict(self._before[0]), dict(self._before[1])
        for (key, type_name), child in self._children.items():
            child.roll_back()
            self._attach(key, type_name, child)

    def commit(self) -> None:
        """Makes this turn's changes the state."""
        self._operations = []
        for (key, type_name), child in self._children.items():
            child.commit()
            self._attach(key, type_name, child)
        self._before = dict(self._children), dict(self._written)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, each once."""
        return tuple(dict.fromkeys(key for key, _ in self._written))

    @property
    def value(self) -> dict[str, PlainValue]:
        """Key to type to what the live object there reads as."""
        read: dict[str, dict[str, PlainValue]] = {}
        for (key, type_name), child in self._written.items():
            inner = child.value if hasattr(child, "value") else tuple(cast("Iterator[PlainValue]", child))
            read.setdefault(key, {})[type_name] = normal(inner)
        return cast("dict[str, PlainValue]", read)

    def _forget(self, key: str) -> None:
        self._children = {entry: child for entry, child in self._children.items() if entry[0] != key}
        self._written = {entry: child for entry, child in self._written.items() if entry[0] != key}

    def _attach(self, key: str, type_name: str, child: LiveState) -> None:
        child._operations = _Forwarded(self, key, type_name)
        self._children[key, type_name] = child

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class RemovedWithKey(MixedMap):
    """Base of maps in which removing a key takes out what was seen, and an absent key can't be removed."""

    __slots__ = ()

    def remove(self, key: str) -> None:
        """Removes a key with all that this node has seen under it; an absent one has no effect."""
        if key in self:
            self._record("remove", key)
        self._forget(key)

    def clear(self) -> None:
        """Removes all keys that this node has seen."""
        if self._written:
            self._record("clear")
        self._children, self._written = {}, {}
