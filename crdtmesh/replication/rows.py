"""How an entry stands in its row on disk: key, type, a context of its live dots, and its store.

A row is read in two steps. At a start only the names are needed, of as many entries as there are; the rest is decoded
when an entry is first looked at.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from crdtmesh.crdts import registry
from crdtmesh.crdts.codec import FORMAT, MESSAGE_SIZE_BYTES_MAX, Reader, Writer, named_replica_ids
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.scalars import HEADER_SIZES, pack_header
from crdtmesh.replication.carrying import read_store, type_of, write_store
from crdtmesh.replication.events import AnyType, EntryName
from crdtmesh.replication.options import KEY_BYTES_MAX

# msgpack's strings and binary items: first byte, and how many bytes of length follow it.
_TEXT_WIDTHS: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BINARY_WIDTHS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}


# A string of less than 32 bytes has its length in its first byte, above this.
_SHORT_TEXT: Final = 0b1010_0000

_SHORT_BEGIN: Final = bytes((FORMAT, 0xC4))


class Row(NamedTuple):
    """What a row holds; the context is that of its live dots."""

    name: EntryName
    data_type: AnyType
    context: CausalContext
    store: Any


def write_row(name: EntryName, data_type: AnyType, store: Any, table: ReplicaTable) -> bytes:
    """The bytes of an entry."""
    writer = Writer(table)
    writer.text(name.key)
    writer.text(name.type_name)
    writer.context(CausalContext(table, data_type.dots(store)))
    write_store(writer, data_type, store)
    return writer.finish()


def read_row(data: bytes, table: ReplicaTable) -> Row:
    """The entry of a row.

    Raises:
        CodecError: these are not the bytes of an entry.
    """
    reader = Reader(data, table, size_bytes_max=2 * MESSAGE_SIZE_BYTES_MAX)
    name = EntryName(reader.text(), reader.text())
    data_type = type_of(name.type_name)
    context = reader.context()
    store = read_store(reader, data_type)
    reader.finish()
    return Row(name, data_type, context, store)


def check_foreign(data: bytes, table: ReplicaTable, low: CausalContext) -> None:
    """Refuses a row of a peer that is none, or that speaks of more than the peer has told before.

    Args:
        data: the row.
        table: of the shard; it learns nothing.
        low: what the row's dots have to lie in.

    Raises:
        CodecError: nothing of it may be kept.
    """
    ids = named_replica_ids(data)
    if not ids or not all(replica_id in table for replica_id in ids):
        raise CodecError("expected a row with dots of replica ids that were named before")
    name, _, context, _ = read_row(data, table)
    if not all(0 < len(text.encode()) <= KEY_BYTES_MAX for text in name):
        raise CodecError(f"expected a key and a type of 1 to {KEY_BYTES_MAX} bytes")
    if not context or not context.issubset(low):
        raise CodecError("expected a row whose dots lie below the mark of the offer")


def name_in(data: bytes) -> tuple[str, str]:
    """Key and type of a row, without a look at the rest of it. Complexity: O(key).

    Raises:
        CodecError: it does not begin like an entry.
    """
    return _begin(data)[:2]


def names_in(rows: Iterable[tuple[int, bytes]], by_type: dict[str, dict[str, int]]) -> None:
    """Puts the names of many rows, as `name_in` finds them, under their type and key, each with the number beside it.

    Raises:
        CodecError: one of them does not begin like an entry; those before it were put in.
    """
    found = {type_name.encode(): keys for type_name, keys in by_type.items()}
    head, at = b"\xff" * 3, 0  # no row goes on like that
    try:
        for number, data in rows:
            # Format and replica ids are mostly those of the row before; the number of items, in the first byte, may be
            # another. In a row with more than 15 items it takes more bytes, and what follows the first is another.
            if not data.startswith(head, 1):
                at = _names_at(data)
                head = data[1:at]
            middle = at + 1 + data[at] - _SHORT_TEXT
            if data[at] >> 5 == 0b101 and 0 <= (size := data[middle] - _SHORT_TEXT) < 32:
                key, type_bytes = data[at + 1 : middle].decode(), data[middle + 1 : middle + 1 + size]
            else:
                key, type_name, _ = _begin(data)
                type_bytes = type_name.encode()
            try:
                found[type_bytes][key] = number
            except KeyError:
                found[type_bytes] = by_type[type_bytes.decode()] = {key: number}
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise CodecError("expected replica ids, a key and a type") from error


def is_bottom_in(data: bytes) -> bool:
    """Whether the entry of a row has no live dot, so that its context, which follows the names, is empty."""
    return data[_begin(data)[2]] == 0


def canonical_in(data: bytes) -> tuple[tuple[str, str], bytes | None]:
    """The name of a row, and what `carrying.canonical` gives for its entry, without decoding it.

    A row is the canonical bytes of its store with the two names put in. None for a type whose stores are sealed, and
    for an entry that is bottom.
    """
    key, type_name, at = _begin(data)
    if not registry.is_built_in(type_name) or data[at] == 0:
        return (key, type_name), None
    start = HEADER_SIZES.get(data[0], 1)
    count = data[0] & 0b1111 if start == 1 else int.from_bytes(data[1:start], "big")
    return (key, type_name), pack_header(count - 2) + data[start : _names_at(data)] + data[at:]


def _begin(data: bytes) -> tuple[str, str, int]:
    """Key and type of a row, and where its context begins."""
    try:
        # Nearly all rows have short headers and names: read here, since this is done for each row at a start.
        if data[:1] < b"\xa0" and data[1:3] == _SHORT_BEGIN:
            at = 4 + data[3]
            middle = at + 1 + (data[at] & 0b11111)
            if data[at] >> 5 == data[middle] >> 5 == 0b101:
                stop = middle + 1 + (data[middle] & 0b11111)
                return data[at + 1 : middle].decode(), data[middle + 1 : stop].decode(), stop
        key, at = _text(data, _names_at(data))
        type_name, at = _text(data, at)
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise CodecError("expected replica ids, a key and a type") from error
    return key, type_name, at


def _names_at(data: bytes) -> int:
    """Where the names begin, behind the format and the replica ids."""
    at = HEADER_SIZES.get(data[0], 1)
    if data[at] != FORMAT:
        raise CodecError(f"expected format {FORMAT}, got {data[at : at + 1].hex()}")
    width = _BINARY_WIDTHS[data[at + 1]]
    return at + 2 + width + int.from_bytes(data[at + 2 : at + 2 + width], "big")


def _text(data: bytes, at: int) -> tuple[str, int]:
    head = data[at]
    if head >> 5 == 0b101:
        stop = at + 1 + (head & 0b11111)
        return data[at + 1 : stop].decode(), stop
    start = at + 1 + _TEXT_WIDTHS[head]
    stop = start + int.from_bytes(data[at + 1 : start], "big")
    if stop > len(data):
        raise IndexError
    return data[start:stop].decode(), stop
