"""`ctx.state` of a JSON document: objects and lists that are changed in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias, cast

from crdtmesh.crdts.errors import shorten
from crdtmesh.crdts.json_edits import require_room
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import normal
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["JsonDocument", "JsonList", "JsonObject"]

Item: TypeAlias = Any
"""A scalar, or the view of an object or a list. Documents are as dynamic as JSON is."""

_Path: TypeAlias = tuple[str | int, ...]


class _View:
    """An object or a list of a document, by its place."""

    __slots__ = ("_document", "_path")

    def __init__(self, document: JsonDocument, path: _Path) -> None:
        self._document = document
        self._path = path

    @property
    def _held(self) -> Any:
        """What is there now, shared with the document."""
        return self._document._at(self._path)

    @property
    def value(self) -> Any:
        """What is there, as fresh plain data: dicts, tuples and scalars."""
        return _fresh(self._held)

    def _item(self, step: str | int) -> Item:
        held = self._held[step]
        path = (*self._path, step)
        if isinstance(held, Mapping):
            return JsonObject(self._document, path)
        return JsonList(self._document, path) if isinstance(held, tuple) else held

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shorten(self._held, 200)})"


class JsonObject(_View):
    """An object within a document: `doc["a"]["b"] = 1`.

    It names a place. After `doc["a"] = ...` a view of `doc["a"]` shows what is there now.
    """

    __slots__ = ()

    def update(self, fields: Mapping[str, Any]) -> None:
        """Sets several keys, and leaves the others.

        Raises:
            InvalidOperation: the mesh can't hold a value, or it would be nested too deep; nothing was changed.
        """
        written = cast("dict[str, PlainValue]", normal(dict(fields)))
        require_room(self._path, written)
        if written:
            self._document._edit("update", self._path, lambda held: {**held, **written}, written)

    def get(self, key: str, default: Item = None) -> Item:
        """The item under a key, or the default."""
        return self._item(key) if key in self._held else default

    def __getitem__(self, key: str) -> Item:
        return self._item(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._document._set((*self._path, key), value, lambda held, written: {**held, key: written})

    def __delitem__(self, key: str) -> None:
        if key not in self._held:
            raise KeyError(key)
        self._document._delete((*self._path, key), lambda held: {k: item for k, item in held.items() if k != key})

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._held))


class JsonList(_View):
    """A list within a document: `doc["steps"].insert(0, "begin")`.

    Indices are those of this moment. The mesh keeps elements apart by identity: what others insert, move or delete
    meanwhile does not make a change here hit another element.
    """

    __slots__ = ()

    def insert(self, index: int, value: Any) -> None:
        """Puts an element before the one at an index; like a list, takes one beyond the ends for the end.

        Raises:
            InvalidOperation: the mesh can't hold the value, or it would be nested too deep; nothing was changed.
        """
        at = slice(index, None).indices(len(self))[0]
        written = normal(value)
        require_room(self._path, (written,))
        self._document._edit("insert", self._path, lambda held: (*held[:at], written, *held[at:]), at, written)

    def append(self, value: Any) -> None:
        """Puts an element at the end; raises what `insert` does."""
        self.insert(len(self), value)

    def extend(self, items: Iterable[Any]) -> None:
        """Puts elements at the end; raises what `insert` does."""
        written = cast("tuple[PlainValue, ...]", normal(tuple(items)))
        require_room(self._path, written)
        if written:
            self._document._edit("extend", self._path, lambda held: (*held, *written), written)

    def move(self, index: int, to: int) -> None:
        """Takes an element elsewhere.

        It stays the same element: who changes it meanwhile changes it where it went.

        Args:
            index: where it is; from the end if negative.
            to: where it is to be afterwards.

        Raises:
            IndexError: one of them is out of range.
        """
        at, target = self._index(index), self._index(to)
        if at == target:
            return

        def moved(held: tuple[PlainValue, ...]) -> tuple[PlainValue, ...]:
            rest = (*held[:at], *held[at + 1 :])
            return (*rest[:target], held[at], *rest[target:])

        self._document._edit("move", self._path, moved, at, target)

    def __getitem__(self, index: int) -> Item:
        return self._item(self._index(index))

    def __setitem__(self, index: int, value: Any) -> None:
        at = self._index(index)
        self._document._set((*self._path, at), value, lambda held, written: (*held[:at], written, *held[at + 1 :]))

    def __delitem__(self, index: int) -> None:
        at = self._index(index)
        self._document._delete((*self._path, at), lambda held: (*held[:at], *held[at + 1 :]))

    def __iter__(self) -> Iterator[Item]:
        return (self._item(index) for index in range(len(self)))

    def _index(self, index: int) -> int:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} in a list of {size}")
        return index % size


class JsonDocument(Snapshot[dict[str, PlainValue]]):
    """A document of nested objects and lists: `ctx.state["order"]["lines"].append({"item": "milk"})`.

    Reading gives scalars, and views of objects and lists that are changed in place. Changes of different places are
    all kept, at every depth; of concurrent writes of one scalar the later one holds.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "JsonDocument"

    def __init__(self, fields: Mapping[str, Any] | None = None) -> None:
        """A document of `fields`, as a test of a handler would want it."""
        super().__init__(cast("dict[str, PlainValue]", normal(dict(fields or {}))))

    @property
    def value(self) -> dict[str, PlainValue]:
        """The document as fresh plain data, with what this turn has changed so far; lists are tuples."""
        return cast("dict[str, PlainValue]", _fresh(self._value))

    def set(self, fields: Mapping[str, Any]) -> None:
        """Replaces the whole document.

        Raises:
            InvalidOperation: the mesh can't hold a value, or it would be nested too deep; nothing was changed.
        """
        written = normal(dict(fields))
        require_room((), written)
        self._edit("set", (), lambda _: written, written)

    def clear(self) -> None:
        """Empties the document of all that this node has seen."""
        if self._value:
            self._record("clear")
            self._value = {}

    def update(self, fields: Mapping[str, Any]) -> None:
        """Sets several keys of the root in one change, and leaves the others; raises what `set` does."""
        self._root.update(fields)

    def get(self, key: str, default: Item = None) -> Item:
        """The item under a key of the root, or the default."""
        return self._root.get(key, default)

    @property
    def _root(self) -> JsonObject:
        return JsonObject(self, ())

    def _parse(self, value: PlainValue) -> dict[str, PlainValue]:
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"expected a dict for a JsonDocument, got {shorten(value)}")
        return dict(value or {})

    def _at(self, path: _Path) -> Any:
        """What is at a path; KeyError or IndexError for a view whose place is gone."""
        held: Any = self._value
        for step in path:
            held = held[step]
        return held

    def _set(self, path: _Path, value: Any, change: Callable[[Any, PlainValue], PlainValue]) -> None:
        written = normal(value)
        require_room(path, written)
        self._at(path[:-1])
        self._record("set", path, written)
        self._change(path[:-1], lambda held: change(held, written))

    def _delete(self, path: _Path, change: Callable[[Any], PlainValue]) -> None:
        self._record("delete", path)
        self._change(path[:-1], change)

    def _edit(self, name: str, path: _Path, change: Callable[[Any], PlainValue], *arguments: PlainValue) -> None:
        self._at(path)
        self._record(name, path, *arguments)
        self._change(path, change)

    def _change(self, path: _Path, change: Callable[[Any], PlainValue]) -> None:
        """Puts a changed container in the place of the one at a path; what others hold of the old value stays."""
        self._value = cast("dict[str, PlainValue]", _changed(self._value, path, change))

    def __getitem__(self, key: str) -> Item:
        return self._root[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._root[key] = value

    def __delitem__(self, key: str) -> None:
        del self._root[key]

    def __contains__(self, key: object) -> bool:
        return key in self._value

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._value))

    def __len__(self) -> int:
        return len(self._value)


def _changed(held: Any, path: _Path, change: Callable[[Any], PlainValue]) -> PlainValue:
    if not path:
        return change(held)
    step, *rest = path
    inner = _changed(held[step], tuple(rest), change)
    if isinstance(step, str):
        return {**held, step: inner}
    return (*held[:step], inner, *held[step + 1 :])


def _fresh(held: PlainValue) -> PlainValue:
    if isinstance(held, Mapping):
        return {key: _fresh(inner) for key, inner in held.items()}
    return tuple(map(_fresh, held)) if isinstance(held, tuple | list) else held
