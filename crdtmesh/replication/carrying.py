"""Entries of types that not every node knows: kept, counted, repaired and passed on by those who don't (see `sealed`).

The types that came with the codec's format are written as they are. Any other, one that a package registers or a later
version brings, is written sealed; a node that does not know it keeps what it got under the dots of it, so that joins,
removals and repair are exact, and opens it when it starts with code that knows the type. A new version of a type is
another type with a name of its own, such as `ORSet.2`.
"""

from typing import Any

from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.crdts.sealed import Opaque, carried
from crdtmesh.replication.events import AnyType


def type_of(name: str) -> AnyType:
    """The type of a name; one that only keeps and passes on if it is not known."""
    try:
        return registry.get(name)
    except UnknownType:
        return Opaque(name)


def write_store(writer: Writer, data_type: AnyType, store: Any) -> None:
    """Writes a store, after its context was written."""
    if registry.is_built_in(data_type.name):
        data_type.encode(store, writer)
        return
    is_bottom = data_type.is_bottom(store)
    writer.integer(int(is_bottom))
    if not is_bottom:
        carried(data_type.name).encode(store, writer)


def read_store(reader: Reader, data_type: AnyType) -> Any:
    """Reads a store, after its context was read.

    Raises:
        CodecError: the items are none of this type.
    """
    if registry.is_built_in(data_type.name):
        return data_type.decode(reader)
    if reader.integer(1):
        return data_type.bottom()
    return carried(data_type.name).decode(reader)


def canonical(data_type: AnyType, store: Any, table: ReplicaTable) -> bytes:
    """Bytes that are equal for equal stores on every node, whether it knows the type or not.

    Of a sealed store only the dots are compared: each has one content, and who does not know the type can't spell it
    canonically.
    """
    if registry.is_built_in(data_type.name):
        return deltas.encode_store(data_type, store, table)
    writer = Writer(table)
    writer.context(CausalContext(table, data_type.dots(store)))
    return writer.finish()


def encoded(data_type: AnyType, store: Any, context: CausalContext) -> bytes:
    """The bytes of a store under a context."""
    writer = Writer(context.table)
    writer.context(context)
    write_store(writer, data_type, store)
    return writer.finish()
