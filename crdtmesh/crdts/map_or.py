"""ORMap: a map whose values are of any registered type, maps included; removing a key resets what it has seen of it.

State: DotMap from (key, type) to the nested store, all under one context. Keys are text. A key that two replicas make
with different types concurrently holds both, and they are never joined.
Join: that of DotMap, recursively. Value: `{key: {type: value}}`, without entries that hold no dot or no key: an empty
ORSet or map is an absent key.

Who wins: an update concurrent with a removal of its key survives, but only as much of it as the nested type lets
survive its own reset (reset-remove). What the removal has seen is gone, at every depth. `remove` without a type removes
the key with all its types. Where all that an update builds on should survive with it, use `UWMap`; where nothing of it
should, `RWMap`.
After a removal nothing is kept but the dots in the context. An update costs what the nested one does; taking in a
removal costs O(entries).

A value of a type that this node does not know is kept, joined, removed with its key and passed on, and does not show.

`update(key, type, operation, *arguments)` carries a nested operation; for a map in a map, the arguments are again those
of `update`. Maps nest up to 4 deep.
Source: Almeida, Shoker, Baquero 2018, section 7.5; reset-remove as Riak's maps.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from crdtmesh.crdts import values
from crdtmesh.crdts.base import DataType, Delta, Mutation
from crdtmesh.crdts.errors import CodecError, shorten
from crdtmesh.crdts.mixed_maps import ARGUMENTS_MAX, MixedMap, held, shown
from crdtmesh.crdts.nested import Nested
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue


class KeyAndType(MixedMap):
    """What `ORMap` and `UWMap` share: entries named by key and type, and removal of what was seen."""

    operations: ClassVar[Mapping[str, tuple[int, int]]] = {
        "update": (3, ARGUMENTS_MAX),
        "remove": (1, 2),
        "clear": (0, 0),
    }

    def type_of(self, entry: bytes) -> DataType[Any]:
        """What the entry holds."""
        return held(key_and_type(entry)[1])

    def _write(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        if operation.name == "update":
            return self._update(store, operation, mutation)
        key, *kind = self._key(operation), *operation.arguments[1:]
        values.encode(tuple(kind))
        known = [(entry, key_and_type(entry)) for entry in store.keys]
        return self._removed(
            store,
            [entry for entry, named in known if named[0] == key and (not kind or named[1] == kind[0])],
            mutation,
        )

    def _update(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        update = self._nested_update(operation)
        return self._updated(store, values.encode((update.key, update.kind)), update.operation, mutation)

    def value(self, store: Nested) -> dict[str, PlainValue]:
        """Key to type to what the entry reads as, keys in the order of their bytes."""
        read: dict[str, dict[str, PlainValue]] = {}
        for entry in sorted(store.keys):
            key, kind = key_and_type(entry)
            value, is_shown = self._read(entry, store.keys[entry])
            if is_shown:
                read.setdefault(key, {})[kind] = value
        return cast("dict[str, PlainValue]", read)

    def _read(self, entry: bytes, inner: Any) -> tuple[PlainValue, bool]:
        """What an entry reads as, and whether it shows at all."""
        return shown(self.type_of(entry), inner)


class ORMap(KeyAndType):
    """The data type; see the module for its meaning.

    Operations:     `update(key, type, operation, *arguments)`, `remove(key, type=any)`, `clear()`.
    """

    name: ClassVar[str] = "ORMap"


def key_and_type(entry: bytes) -> tuple[str, str]:
    """What names an entry.

    Raises:
        CodecError: these are no bytes of a key and a type.
    """
    pair = values.decode(entry)
    if isinstance(pair, tuple) and len(pair) == 2:
        key, kind = pair
        if isinstance(key, str) and isinstance(kind, str):
            return key, kind
    raise CodecError(f"expected a key and a type, got {shorten(pair)}")


OR_MAP: Final = ORMap()
"""The data type's only instance."""
