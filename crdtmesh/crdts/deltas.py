"""What holds for the deltas and states of every type: their bytes, decomposition and difference.

A state and a delta are the same thing, a store under a context; `Delta` stands for both here.
"""

from collections.abc import Iterator
from typing import TypeVar

from crdtmesh.crdts.base import DataType, Delta
from crdtmesh.crdts.codec import MESSAGE_SIZE_BYTES_MAX, Reader, Writer
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import ReplicaTable

S = TypeVar("S")


def write_delta(writer: Writer, data_type: DataType[S], delta: Delta[S]) -> None:
    """Write a delta into a message; several of them share the message's replica ids."""
    writer.context(delta.context)
    data_type.encode(delta.store, writer)


def read_delta(reader: Reader, data_type: DataType[S]) -> Delta[S]:
    """Read a delta from a message.

    Raises:
        CodecError: the items are not a delta of this type.
    """
    context = reader.context()
    return Delta(data_type.decode(reader), context)


def encode_delta(data_type: DataType[S], delta: Delta[S]) -> bytes:
    """The canonical bytes of a delta or state with its context: equal ones have equal bytes everywhere."""
    writer = Writer(delta.context.table)
    write_delta(writer, data_type, delta)
    return writer.finish()


def decode_delta(
    data_type: DataType[S], data: bytes, table: ReplicaTable, *, size_bytes_max: int = MESSAGE_SIZE_BYTES_MAX
) -> Delta[S]:
    """A delta or state from its bytes.

    Args:
        data_type: the type that wrote it.
        data: bytes, from anywhere.
        table: new replica ids are interned here.
        size_bytes_max: a longer message is refused unread.

    Raises:
        CodecError: the bytes are not a delta of this type.
    """
    reader = Reader(data, table, size_bytes_max=size_bytes_max)
    delta = read_delta(reader, data_type)
    reader.finish()
    return delta


def encode_store(data_type: DataType[S], store: S, table: ReplicaTable) -> bytes:
    """The canonical bytes of a store alone, under the context of its own live dots.

    This is what entries are stored, compared and digested by: two replicas with equal live parts have equal bytes,
    whatever else they know. `decode_delta` reads it back, with that context.
    """
    return encode_delta(data_type, Delta(store, CausalContext(table, data_type.dots(store))))


def join(data_type: DataType[S], a: Delta[S], b: Delta[S]) -> Delta[S]:
    """The join of two states or deltas, as a new one."""
    return Delta(data_type.join(a.store, a.context, b.store, b.context), a.context.union(b.context))


def decompose(data_type: DataType[S], state: Delta[S]) -> Iterator[Delta[S]]:
    """The join-irreducible parts of a state: one for each of its dots, live or removed.

    Source: Enes et al., ICDE 2019; one dot store under one context.
    """
    live = set(data_type.dots(state.store))
    for dot in state.context:
        store = data_type.restrict(state.store, dot.__eq__) if dot in live else data_type.bottom()
        yield Delta(store, CausalContext.of_one(state.context.table, dot))


def difference(data_type: DataType[S], a: Delta[S], b: Delta[S]) -> Delta[S]:
    """The least state whose join with b is that of a with b; bottom if b already holds all of a.

    A part of a is news to b if b does not know its dot, or still holds live what a has removed.
    """
    require_same_table(a.context, b.context)
    news = a.context.difference(b.context)
    live = set(data_type.dots(a.store))
    removed = [dot for dot in data_type.dots(b.store) if dot in a.context and dot not in live]
    news.update(CausalContext(a.context.table, removed))
    return Delta(data_type.restrict(a.store, news.__contains__), news)
