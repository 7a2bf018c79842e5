"""Bytes of all replication messages.

A message is a kind, the number of shards that the sender splits a system into, the name of a system, and a body in the
canonical codec of `crdts.codec`, whose replica ids are named once for the message. Names of keys and types are written
once too and referred to by place. Log rows on disk are these same messages. A body is decoded to its end before
anything is changed; not even a replica id of a refused message is kept.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.codec import Reader, Writer, named_replica_ids
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication.carrying import read_store, type_of, write_store
from crdtmesh.replication.errors import shown
from crdtmesh.replication.events import AnyType, EntryName, EntryState, Event, KeyDelta, covers
from crdtmesh.replication.options import (
    KEY_BYTES_MAX,
    KEYS_PER_EVENT_MAX,
    MESSAGE_BYTES_MAX,
    SHARDS_MAX,
    SYSTEM_BYTES_MAX,
    SYSTEMS_MAX,
)

# Kind, number of shards, length of the system's name, and the name.
HEADER_BYTES_MAX: Final = 3 + SYSTEM_BYTES_MAX

DIGEST_BYTES: Final = 16

# Of the hash of a system a DIGEST has the first half: two that differ and begin alike are met once in 2**64.
WHOLE_BYTES: Final = 8

# Of each shard's digest a DIGEST has only the first bytes, to tell which shards differ when the digest of the system
# does. Two that differ and begin alike, once in 2**32, are found when the next event changes one of them.
SHORT_BYTES: Final = 4

# Of what a peer remembers of vectors a DIGEST has a hash so long.
MARK_BYTES: Final = 4

# A session number is drawn by its sender; 32 bits tell apart those of one peer that can still be on their way.
SESSION_MAX: Final = (1 << 32) - 1

# In place of an event's number of keys.
_NEXT_DOT: Final = 0

T = TypeVar("T")


class Kind(enum.IntEnum):
    """First byte of a message. 1 to 5 were those of format 1, which knew no shards (`upgrade`)."""

    PUSH = 17
    DIGEST = 18
    VECTORS = 19
    REPAIR = 20
    ACK = 21
    OFFER = 22
    WANT = 23
    STAGE = 24
    TAKEOVER = 25
    AUDIT = 26
    # Of `level_wire`: CONFIRM and those after it.
    CONFIRM = 32
    CONFIRMED = 33
    LACKS = 34
    READ = 35
    HAS = 36
    TELL = 37
    MARK = 38
    TOLD = 39
    # Of `peer_explaining`.
    EXPLAIN = 48
    EXPLAINED = 49


class Frame(NamedTuple):
    """A message before its body is read.

    Attributes:
        kind: what the body is.
        shards: how many shards its sender splits a system into.
        system: which one it is about; empty when it is about all.
        body: in the canonical codec.
    """

    kind: Kind
    shards: int
    system: str
    body: bytes


ShardEvents = tuple[int, Sequence[Event]]
"""The number of a shard, and events of it."""


class Push(NamedTuple):
    """Events by shard, and the sender's clock when it wrote them."""

    clock: int
    sections: tuple[ShardEvents, ...]


class Digest(NamedTuple):
    """What a replica has applied of one system.

    Attributes:
        whole: the first bytes of the hash over all shards.
        shorts: the first bytes of the hash of each shard; none for a shard in which nothing was applied.
        mark: what the sender remembers of the receiver's vectors (`vectors`).
    """

    whole: bytes
    shorts: tuple[bytes, ...]
    mark: bytes = b""


class Repair(NamedTuple):
    """A chunk of a repair of one shard, legal on its own.

    Attributes:
        shard: which.
        session: of the sender.
        chunk: counts from 0.
        clock: the sender's.
        base: of the vector that the receiver announced the dots that the sender knows, and that none of the entries
            holds. It is part of every entry's context, and the receiver must have applied it.
        entries: states to join, without what the receiver has applied.
        spans: events of several keys among them: first and last dot.
        applied: what the sender has applied, in the last chunk of a session whose receiver has more; else None.
        wants_ack: more follows when this one has arrived.
    """

    shard: int
    session: int
    chunk: int
    clock: int
    base: CausalContext
    entries: tuple[EntryState, ...]
    spans: tuple[tuple[Dot, Dot], ...]
    applied: CausalContext | None
    wants_ack: bool


class Ack(NamedTuple):
    """A chunk, and all before it, has been applied."""

    session: int
    chunk: int


class NameWriter:
    """Writes each text once, and its place from then on, which is a number."""

    __slots__ = ("_places", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._places: dict[str, int] = {}

    def write(self, name: EntryName) -> None:
        """Writes the key and the type of an entry."""
        places = self._places
        for text in name:
            place = places.get(text)
            if place is None:
                places[text] = len(places)
                self._writer.text(text)
            else:
                self._writer.integer(place)


class NameReader:
    """Reads what `NameWriter` wrote."""

    __slots__ = ("_reader", "_texts")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._texts: list[str] = []

    def read(self) -> str:
        """The next text."""
        if not self._reader.is_at_text:
            return self._texts[self._reader.integer(len(self._texts) - 1)]
        text = self._reader.text()
        if not 0 < len(text.encode()) <= KEY_BYTES_MAX:
            raise CodecError(f"expected a name of 1 to {KEY_BYTES_MAX} bytes, got {shown(text)}")
        self._texts.append(text)
        return text

    def read_entry(self) -> tuple[EntryName, AnyType]:
        """The next two texts, as the key and the type of an entry."""
        name = EntryName(self.read(), self.read())
        return name, type_of(name.type_name)


# --- the frame around a body


def header(kind: Kind, shards: int, system: str = "") -> bytes:
    """The first bytes of a message."""
    name = system.encode()
    return bytes((kind, shards - 1, len(name))) + name


def open_message(message: bytes) -> Frame:
    """Reads what is around a body.

    Raises:
        CodecError: it has no such form.
    """
    try:
        kind = Kind(message[0])
        start = 3 + message[2]
        if len(message) > MESSAGE_BYTES_MAX or len(message) < start:
            raise CodecError(f"message of {len(message)} bytes, at most {MESSAGE_BYTES_MAX} expected")
        return Frame(kind, message[1] + 1, message[3:start].decode(), message[start:])
    except (IndexError, ValueError) as error:
        raise CodecError(f"message begins with {shown(message[:8])}") from error


def decode(body: bytes, table: ReplicaTable, read: Callable[[Reader], T]) -> T:
    """Reads a body to its end.

    A body that brings new replica ids is first read against a table of its own, so that a refused one leaves no trace.

    Raises:
        CodecError: nothing was changed.
    """
    ids = named_replica_ids(body)
    if ids is None or not all(replica_id in table for replica_id in ids):
        _read_all(body, ReplicaTable(), read)
    return _read_all(body, table, read)


def _read_all(body: bytes, table: ReplicaTable, read: Callable[[Reader], T]) -> T:
    reader = Reader(body, table, size_bytes_max=MESSAGE_BYTES_MAX)
    result = read(reader)
    reader.finish()
    return result


# --- pushes


def write_push(writer: Writer, clock: int, sections: Sequence[ShardEvents]) -> None:
    """Writes the body of a `Push`.

    An event begins with its number of keys and its run; most are one dot of one key, right after the event before them,
    and begin with a zero instead.
    """
    names = NameWriter(writer)
    writer.integer(clock)
    writer.integer(len(sections))
    for shard, events in sections:
        writer.integer(shard)
        writer.integer(len(events))
        following = -1
        for first, last, parts in events:
            if first == following and first == last and len(parts) == 1:
                writer.integer(_NEXT_DOT)
            else:
                writer.integer(len(parts))
                _write_run(writer, first, last)
            following = last + 1
            for name, data_type, (store, context) in parts:
                names.write(name)
                writer.context(context)
                write_store(writer, data_type, store)


def read_push(reader: Reader) -> Push:
    """Reads the body of a `Push`.

    Raises:
        CodecError: it is none, or an event claims dots that its deltas don't speak for.
    """
    names = NameReader(reader)
    clock = reader.integer()
    sections: list[ShardEvents] = []
    for _ in range(reader.integer(SHARDS_MAX)):
        shard = reader.integer(SHARDS_MAX - 1)
        sections.append((shard, read_events(reader, names)))
    return Push(clock, tuple(sections))


def read_events(reader: Reader, names: NameReader) -> tuple[Event, ...]:
    """Reads the events of one shard.

    Raises:
        CodecError: they are none, or one claims dots that its deltas don't speak for.
    """
    events: list[Event] = []
    for _ in range(reader.count()):
        events.append(_read_event(reader, names, events[-1].last + 1 if events else 0))
    return tuple(events)


def _read_event(reader: Reader, names: NameReader, following: Dot) -> Event:
    keys = reader.integer(KEYS_PER_EVENT_MAX)
    if keys == _NEXT_DOT:
        if following & N_MAX == 0:
            raise CodecError("expected the run of an event, got none and no event before it")
        first = last = following
        keys = 1
    else:
        first, last = _read_run(reader)
    parts = []
    for _ in range(keys):
        name, data_type = names.read_entry()
        context = reader.context()
        parts.append(KeyDelta(name, data_type, Delta(read_store(reader, data_type), context)))
    spoken = parts[0].delta.context
    for part in parts[1:]:
        spoken = spoken.union(part.delta.context)
    is_joined = len(parts) == 1 and first in spoken and last in spoken
    if not is_joined and not covers(spoken, first, last):
        raise CodecError("an event's deltas don't speak for all of its dots")
    return Event(first, last, tuple(parts))


def _write_run(writer: Writer, first: Dot, last: Dot) -> None:
    writer.replica(first >> DOT_BITS)
    writer.integer((first & N_MAX) - 1)
    writer.integer(last - first)


def _read_run(reader: Reader) -> tuple[Dot, Dot]:
    replica = reader.replica()
    n = reader.integer(N_MAX - 1) + 1
    first = replica << DOT_BITS | n
    return first, first + reader.integer(N_MAX - n)


# --- anti-entropy


def write_digests(writer: Writer, digests: Sequence[tuple[str, Digest]]) -> None:
    """Writes the body of a DIGEST: of each system its hash, which shards have something, and their short hashes."""
    writer.integer(len(digests))
    for system, digest in digests:
        bits = sum(1 << number for number, short in enumerate(digest.shorts) if short)
        writer.text(system)
        writer.binary(digest.whole + bits.to_bytes(_bytes_of_bits(len(digest.shorts)), "big") + b"".join(digest.shorts))
        writer.binary(digest.mark)


def read_digests(reader: Reader, shards: int) -> dict[str, Digest]:
    """Reads the body of a DIGEST whose sender has so many shards."""
    digests: dict[str, Digest] = {}
    start = WHOLE_BYTES + _bytes_of_bits(shards)
    for _ in range(reader.integer(SYSTEMS_MAX)):
        system, data, mark = reader.text(), reader.binary(), reader.binary()
        bits = int.from_bytes(data[WHOLE_BYTES:start], "big")
        if len(data) != start + SHORT_BYTES * bits.bit_count() or bits >> shards or len(mark) not in (0, MARK_BYTES):
            raise CodecError(f"expected the digests of {shards} shards, got {len(data)} bytes and {len(mark)}")
        if not system or len(system.encode()) > SYSTEM_BYTES_MAX:
            raise CodecError(f"expected the name of a system, got {shown(system)}")
        each = iter(range(start, len(data), SHORT_BYTES))
        shorts = tuple(
            data[(at := next(each)) : at + SHORT_BYTES] if bits >> number & 1 else b"" for number in range(shards)
        )
        digests[system] = Digest(data[:WHOLE_BYTES], shorts, mark)
    return digests


def _bytes_of_bits(count: int) -> int:
    return (count + 7) // 8


def write_repair(writer: Writer, repair: Repair) -> None:
    """Writes the body of a `Repair`."""
    names = NameWriter(writer)
    writer.integer(repair.shard)
    writer.integer(repair.session)
    writer.integer(repair.chunk)
    writer.integer(repair.clock)
    writer.integer(int(repair.wants_ack))
    writer.integer(int(repair.applied is not None))
    writer.context(repair.base)
    if repair.applied is not None:
        writer.context(repair.applied)
    write_runs(writer, repair.spans)
    write_entries(writer, names, repair.entries)


def write_entries(writer: Writer, names: NameWriter, entries: Sequence[EntryState]) -> None:
    """Writes states of entries."""
    writer.integer(len(entries))
    for name, data_type, store, context, unapplied in entries:
        names.write(name)
        writer.context(unapplied)
        writer.context(context)
        write_store(writer, data_type, store)


def read_repair(reader: Reader) -> Repair:
    """Reads the body of a `Repair`.

    Raises:
        CodecError: it is none.
    """
    names = NameReader(reader)
    shard = reader.integer(SHARDS_MAX - 1)
    session, chunk = reader.integer(SESSION_MAX), reader.integer(SESSION_MAX)
    clock = reader.integer()
    wants_ack, has_applied = reader.integer(1), reader.integer(1)
    base = reader.context()
    applied = reader.context() if has_applied else None
    spans = read_runs(reader)
    entries = read_entries(reader, names)
    return Repair(shard, session, chunk, clock, base, entries, spans, applied, wants_ack == 1)


def read_entries(reader: Reader, names: NameReader) -> tuple[EntryState, ...]:
    """Reads states of entries."""
    return tuple(_read_entry(reader, names) for _ in range(reader.count()))


def _read_entry(reader: Reader, names: NameReader) -> EntryState:
    name, data_type = names.read_entry()
    unapplied = reader.context()
    context = reader.context()
    return EntryState(name, data_type, read_store(reader, data_type), context, unapplied)


def read_ack(reader: Reader) -> Ack:
    """Reads the body of an ACK."""
    return Ack(reader.integer(SESSION_MAX), reader.integer(SESSION_MAX))


def write_runs(writer: Writer, spans: Sequence[tuple[Dot, Dot]]) -> None:
    """Writes runs of dots."""
    writer.integer(len(spans))
    for first, last in spans:
        _write_run(writer, first, last)


def read_runs(reader: Reader) -> tuple[tuple[Dot, Dot], ...]:
    """Reads runs of dots."""
    return tuple(_read_run(reader) for _ in range(reader.count()))


# --- whole messages, without their headers


def encode_push(table: ReplicaTable, clock: int, sections: Sequence[ShardEvents]) -> bytes:
    """The body of a PUSH."""
    writer = Writer(table)
    write_push(writer, clock, sections)
    return writer.finish()


def encode_digests(digests: Sequence[tuple[str, Digest]]) -> bytes:
    """The body of a DIGEST."""
    writer = Writer(ReplicaTable())
    write_digests(writer, digests)
    return writer.finish()


def encode_repair(table: ReplicaTable, repair: Repair) -> bytes:
    """The body of a REPAIR."""
    writer = Writer(table)
    write_repair(writer, repair)
    return writer.finish()


def encode_ack(ack: Ack) -> bytes:
    """The body of an ACK."""
    writer = Writer(ReplicaTable())
    writer.integer(ack.session)
    writer.integer(ack.chunk)
    return writer.finish()
