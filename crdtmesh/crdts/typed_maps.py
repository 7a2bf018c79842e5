"""What maps of one nested type share: text keys, `remove(key)`, and a value that reads as a plain dict."""

from collections.abc import Mapping
from typing import Any, ClassVar

from crdtmesh.crdts import values
from crdtmesh.crdts.base import DataType, Delta, Mutation
from crdtmesh.crdts.errors import CodecError, InvalidOperation, shorten
from crdtmesh.crdts.nested import Nested, NestedType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue


class TypedMap(NestedType):
    """Base of maps whose entries are text keys and whose values are all of type `inner`."""

    inner: ClassVar[DataType[Any]]
    updates: ClassVar[Mapping[str, str]]
    """Operation of the map to that of the nested type that gets its further arguments."""

    def type_of(self, entry: bytes) -> DataType[Any]:
        """The nested type; refuses what is no text."""
        _text(entry)
        return self.inner

    def _write(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        key = operation.arguments[0]
        if not isinstance(key, str):
            raise InvalidOperation(f"{self.name}.{operation.name} takes text as a key, got {shorten(key)}")
        entry = values.encode(key)
        if operation.name == "remove":
            return self._removed(store, [entry], mutation)
        return self._update(store, entry, operation, mutation)

    def _update(self, store: Nested, entry: bytes, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        """The delta of what changes one entry."""
        inner = Operation(self.updates[operation.name], tuple(operation.arguments[1:]))
        return self._updated(store, entry, inner, mutation)

    def value(self, store: Nested) -> dict[str, PlainValue]:
        """Key to what its value reads as, in the order of the keys' bytes."""
        return {_text(entry): self.inner.value(store.keys[entry]) for entry in sorted(store.keys)}


def _text(entry: bytes) -> str:
    key = values.decode(entry)
    if not isinstance(key, str):
        raise CodecError(f"expected text as a key, got {shorten(key)}")
    return key
