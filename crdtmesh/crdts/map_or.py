"""ORMap: a map whose values are of any registered type, maps included; removing a key resets what it has seen of it.

State: DotMap from (key, type) to the nested store, all under one context. Keys are text. A key that two replicas make
with different types concurrently holds both, and they are never joined.
Join: that of DotMap, recursively. Value: `{key: {type: value}}`, without entries that hold no dot: an empty ORSet is an
absent key.

Who wins: an update concurrent with a removal of its key survives, but only as much of it as the nested type lets
survive its own reset (reset-remove). What the removal has seen is gone, at every depth. `remove` without a type removes
the key with all its types.
After a removal nothing is kept but the dots in the context. An update costs what the nested one does; taking in a
removal costs O(entries).

`update(key, type, operation, *arguments)` carries a nested operation; for a map in a map, the arguments are again those
of `update`. Maps nest up to 4 deep.
Source: Almeida, Shoker, Baquero 2018, section 7.5; reset-remove as Riak's maps.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from crdtmesh.crdts import registry, values
from crdtmesh.crdts.base import DataType, Delta, Mutation
from crdtmesh.crdts.codec import Reader
from crdtmesh.crdts.errors import CodecError, InvalidOperation, UnknownType, shorten
from crdtmesh.crdts.nested import Nested, NestedType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

NESTING_MAX: Final = 4
"""Maps within maps. Each takes two of the 28 levels that a value may have on the wire: with 4, eight and one for the
outermost elements are taken, and arguments keep 19."""

_ARGUMENTS_MAX: Final = 3 * NESTING_MAX + 2
"""Key, type and operation for each map on the way, and at most two arguments of the operation at its end."""


class ORMap(NestedType):
    """The data type; see the module for its meaning.

    Operations: `update(key, type, operation, *arguments)`, `remove(key, type=any)`, `clear()`.
    """

    name: ClassVar[str] = "ORMap"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {
        "update": (3, _ARGUMENTS_MAX),
        "remove": (1, 2),
        "clear": (0, 0),
    }

    def type_of(self, entry: bytes) -> DataType[Any]:
        """The type that the entry names."""
        return _registered(_key_and_type(entry)[1])

    def _write(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        key, *rest = operation.arguments
        if not isinstance(key, str):
            raise InvalidOperation(f"ORMap.{operation.name} takes text as a key, got {shorten(key)}")
        if operation.name == "remove":
            known = [(entry, _key_and_type(entry)) for entry in store.keys]
            values.encode(tuple(operation.arguments))
            return self._removed(
                store,
                [entry for entry, named in known if named[0] == key and (not rest or named[1] == rest[0])],
                mutation,
            )
        kind, name, *arguments = rest
        if not isinstance(kind, str) or not isinstance(name, str):
            raise InvalidOperation(f"ORMap.update takes a key, a type and an operation, got {shorten(rest)}")
        _require_room(operation)
        try:
            _registered(kind)
        except CodecError as error:
            raise InvalidOperation(f"ORMap.update: {error}") from error
        return self._updated(store, values.encode((key, kind)), Operation(name, tuple(arguments)), mutation)

    def value(self, store: Nested) -> dict[str, PlainValue]:
        """Key to type to what the entry reads as, keys in the order of their bytes."""
        read: dict[str, dict[str, PlainValue]] = {}
        for entry in sorted(store.keys):
            key, kind = _key_and_type(entry)
            read.setdefault(key, {})[kind] = _registered(kind).value(store.keys[entry])
        return cast("dict[str, PlainValue]", read)

    def _decode_inner(self, kind: DataType[Any], reader: Reader, depth: int) -> Any:
        if not isinstance(kind, ORMap):
            return kind.decode(reader)
        if depth >= NESTING_MAX:
            raise CodecError(f"maps are nested deeper than {NESTING_MAX}")
        return kind._decode(reader, depth + 1)


def _key_and_type(entry: bytes) -> tuple[str, str]:
    pair = values.decode(entry)
    if isinstance(pair, tuple) and len(pair) == 2:
        key, kind = pair
        if isinstance(key, str) and isinstance(kind, str):
            return key, kind
    raise CodecError(f"expected a key and a type, got {shorten(pair)}")


def _registered(name: str) -> DataType[Any]:
    try:
        return registry.get(name)
    except UnknownType as error:
        raise CodecError(str(error)) from error


def _require_room(operation: Operation) -> None:
    """Refuse maps nested too deep, and arguments that are too deep to be read out of the map."""
    arguments, depth = operation.arguments, 1
    while len(arguments) > 3 and arguments[1] == ORMap.name and arguments[2] == "update":
        arguments, depth = arguments[3:], depth + 1
    if depth > NESTING_MAX:
        raise InvalidOperation(f"maps nest up to {NESTING_MAX} deep, got {depth}; use a state of its own")
    wrapped: PlainValue = tuple(operation.arguments)
    for _ in range(2 * NESTING_MAX):
        wrapped = (wrapped,)
    values.encode(wrapped)


OR_MAP: Final = ORMap()
"""The data type's only instance."""
