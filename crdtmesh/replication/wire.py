"""Bytes of all replication messages.

A message is a kind, the name of a system, and a body in the canonical codec of `crdts.codec`, whose replica ids are
named once for the message. Names of keys and types are written once too and referred to by place. Log rows on disk are
these same messages. A body is decoded to its end before anything is changed; not even a replica id of a refused message
is kept.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from crdtmesh.crdts import registry
from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, REPLICA_ID_BYTES, Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError, UnknownType
from crdtmesh.replication.errors import shown
from crdtmesh.replication.events import AnyType, EntryName, EntryState, Event, KeyDelta, covers
from crdtmesh.replication.options import (
    KEY_BYTES_MAX,
    KEYS_PER_EVENT_MAX,
    MESSAGE_BYTES_MAX,
    SYSTEM_BYTES_MAX,
    SYSTEMS_MAX,
)

DIGEST_BYTES: Final = 16

# A session number is drawn by its sender; 32 bits tell apart those of one peer that can still be on their way.
SESSION_MAX: Final = (1 << 32) - 1

# msgpack's binary items: first byte, and how many bytes of length follow it.
_BINARY_WIDTHS: Final = {b"\xc4": 1, b"\xc5": 2, b"\xc6": 4}

# In place of an event's number of keys.
_NEXT_DOT: Final = 0

T = TypeVar("T")


class Kind(enum.IntEnum):
    """First byte of a message."""

    PUSH = 1
    DIGEST = 2
    VECTOR = 3
    REPAIR = 4
    ACK = 5


class Push(NamedTuple):
    """Events, and the sender's clock when it wrote them."""

    clock: int
    events: tuple[Event, ...]


class Repair(NamedTuple):
    """A chunk of a repair, legal on its own.

    Attributes:
        session: of the sender.
        chunk: counts from 0.
        clock: the sender's.
        base: the vector that the receiver announced, as far as the sender knows its dots. It is part of every entry's
            context, and the receiver must have applied it.
        entries: states to join.
        spans: events of several keys among them: first and last dot.
        applied: what the sender has applied, in the last chunk of a session whose receiver has more; else None.
        is_last: nothing follows.
    """

    session: int
    chunk: int
    clock: int
    base: CausalContext
    entries: tuple[EntryState, ...]
    spans: tuple[tuple[Dot, Dot], ...]
    applied: CausalContext | None
    is_last: bool


class _NameWriter:
    """Writes each text once, and its place from then on."""

    __slots__ = ("_places", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._places: dict[str, int] = {}

    def write(self, text: str) -> None:
        place = self._places.get(text)
        if place is not None:
            self._writer.integer(place)
            return
        place = self._places[text] = len(self._places)
        self._writer.integer(place)
        self._writer.text(text)


class _NameReader:
    """Reads what `_NameWriter` wrote."""

    __slots__ = ("_reader", "_texts")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._texts: list[str] = []

    def read(self) -> str:
        place = self._reader.integer(len(self._texts))
        if place == len(self._texts):
            text = self._reader.text()
            if not 0 < len(text.encode()) <= KEY_BYTES_MAX:
                raise CodecError(f"expected a name of 1 to {KEY_BYTES_MAX} bytes, got {shown(text)}")
            self._texts.append(text)
        return self._texts[place]

    def read_entry(self) -> tuple[EntryName, AnyType]:
        name = EntryName(self.read(), self.read())
        try:
            return name, registry.get(name.type_name)
        except UnknownType as error:
            raise CodecError(f"unknown data type {shown(name.type_name)}; a newer node sent it") from error


# --- the frame around a body


def header(kind: Kind, system: str = "") -> bytes:
    """The first bytes of a message."""
    name = system.encode()
    return bytes((kind, len(name))) + name


def open_message(message: bytes) -> tuple[Kind, str, bytes]:
    """Kind, system and body of a message.

    Raises:
        CodecError: it has no such form.
    """
    try:
        kind = Kind(message[0])
        start = 2 + message[1]
        if len(message) > MESSAGE_BYTES_MAX or len(message) < start:
            raise CodecError(f"message of {len(message)} bytes, at most {MESSAGE_BYTES_MAX} expected")
        return kind, message[2:start].decode(), message[start:]
    except (IndexError, ValueError) as error:
        raise CodecError(f"message begins with {shown(message[:8])}") from error


def decode(body: bytes, table: ReplicaTable, read: Callable[[Reader], T]) -> T:
    """Reads a body to its end.

    A body that brings new replica ids is first read against a table of its own, so that a refused one leaves no trace.

    Raises:
        CodecError: nothing was changed.
    """
    if not _has_known_ids(body, table):
        _read_all(body, ReplicaTable(), read)
    return _read_all(body, table, read)


def _has_known_ids(body: bytes, table: ReplicaTable) -> bool:
    """Whether the head of a body lists replica ids of the table only; False also for a head that is none."""
    width = _BINARY_WIDTHS.get(body[1:2])
    if width is None:
        return False
    start = 2 + width
    ids = body[start : start + int.from_bytes(body[2:start], "big")]
    return all(ids[at : at + REPLICA_ID_BYTES] in table for at in range(0, len(ids), REPLICA_ID_BYTES))


def _read_all(body: bytes, table: ReplicaTable, read: Callable[[Reader], T]) -> T:
    reader = Reader(body, table, size_bytes_max=MESSAGE_BYTES_MAX)
    result = read(reader)
    reader.finish()
    return result


# --- pushes


def write_push(writer: Writer, clock: int, events: Sequence[Event]) -> None:
    """Writes the body of a `Push`.

    An event begins with its number of keys and its run; most are one dot of one key, right after the event before them,
    and begin with a zero instead.
    """
    names = _NameWriter(writer)
    writer.integer(clock)
    writer.integer(len(events))
    following = -1
    for first, last, parts in events:
        if first == following and first == last and len(parts) == 1:
            writer.integer(_NEXT_DOT)
        else:
            writer.integer(len(parts))
            _write_run(writer, first, last)
        following = last + 1
        for name, data_type, delta in parts:
            names.write(name.key)
            names.write(name.type_name)
            writer.context(delta.context)
            data_type.encode(delta.store, writer)


def read_push(reader: Reader) -> Push:
    """Reads the body of a `Push`.

    Raises:
        CodecError: it is none, or an event claims dots that its deltas don't speak for.
    """
    names = _NameReader(reader)
    clock = reader.integer()
    events: list[Event] = []
    for _ in range(reader.count()):
        events.append(_read_event(reader, names, events[-1].last + 1 if events else 0))
    return Push(clock, tuple(events))


def _read_event(reader: Reader, names: _NameReader, following: Dot) -> Event:
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
        parts.append(KeyDelta(name, data_type, Delta(data_type.decode(reader), context)))
    spoken = parts[0].delta.context
    for part in parts[1:]:
        spoken = spoken.union(part.delta.context)
    if not covers(spoken, first, last):
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


def write_digests(writer: Writer, digests: Sequence[tuple[str, bytes]]) -> None:
    """Writes the body of a DIGEST: the hash of what was applied, for each system."""
    writer.integer(len(digests))
    for system, digest in digests:
        writer.text(system)
        writer.binary(digest)


def read_digests(reader: Reader) -> dict[str, bytes]:
    """Reads the body of a DIGEST."""
    digests: dict[str, bytes] = {}
    for _ in range(reader.integer(SYSTEMS_MAX)):
        system, digest = reader.text(), reader.binary()
        if len(digest) != DIGEST_BYTES or not system or len(system.encode()) > SYSTEM_BYTES_MAX:
            raise CodecError(f"expected a system and {DIGEST_BYTES} bytes, got {shown(system)}, {len(digest)} bytes")
        digests[system] = digest
    return digests


def write_repair(writer: Writer, repair: Repair) -> None:
    """Writes the body of a `Repair`."""
    names = _NameWriter(writer)
    for number in (repair.session, repair.chunk, repair.clock, int(repair.is_last), int(repair.applied is not None)):
        writer.integer(number)
    writer.context(repair.base)
    if repair.applied is not None:
        writer.context(repair.applied)
    writer.integer(len(repair.spans))
    for first, last in repair.spans:
        _write_run(writer, first, last)
    writer.integer(len(repair.entries))
    for name, data_type, store, context, unapplied in repair.entries:
        names.write(name.key)
        names.write(name.type_name)
        writer.context(unapplied)
        writer.context(context)
        data_type.encode(store, writer)


def read_repair(reader: Reader) -> Repair:
    """Reads the body of a `Repair`.

    Raises:
        CodecError: it is none.
    """
    names = _NameReader(reader)
    session, chunk = reader.integer(SESSION_MAX), reader.integer(SESSION_MAX)
    clock = reader.integer()
    is_last, has_applied = reader.integer(1), reader.integer(1)
    base = reader.context()
    applied = reader.context() if has_applied else None
    spans = tuple(_read_run(reader) for _ in range(reader.count()))
    entries = tuple(_read_entry(reader, names) for _ in range(reader.count()))
    return Repair(session, chunk, clock, base, entries, spans, applied, is_last == 1)


def _read_entry(reader: Reader, names: _NameReader) -> EntryState:
    name, data_type = names.read_entry()
    unapplied = reader.context()
    context = reader.context()
    return EntryState(name, data_type, data_type.decode(reader), context, unapplied)


def read_vector(reader: Reader) -> CausalContext:
    """Reads the body of a VECTOR: what the sender has applied."""
    return reader.context()


def read_ack(reader: Reader) -> tuple[int, int]:
    """Reads the body of an ACK: session and chunk."""
    return reader.integer(SESSION_MAX), reader.integer(SESSION_MAX)


# --- whole messages


def encode_push(system: str, table: ReplicaTable, clock: int, events: Sequence[Event]) -> bytes:
    """A PUSH message."""
    writer = Writer(table)
    write_push(writer, clock, events)
    return header(Kind.PUSH, system) + writer.finish()


def encode_digests(digests: Sequence[tuple[str, bytes]]) -> bytes:
    """A DIGEST message."""
    writer = Writer(ReplicaTable())
    write_digests(writer, digests)
    return header(Kind.DIGEST) + writer.finish()


def encode_vector(system: str, applied: CausalContext) -> bytes:
    """A VECTOR message."""
    writer = Writer(applied.table)
    writer.context(applied)
    return header(Kind.VECTOR, system) + writer.finish()


def encode_repair(system: str, table: ReplicaTable, repair: Repair) -> bytes:
    """A REPAIR message."""
    writer = Writer(table)
    write_repair(writer, repair)
    return header(Kind.REPAIR, system) + writer.finish()


def encode_ack(system: str, session: int, chunk: int) -> bytes:
    """An ACK message."""
    writer = Writer(ReplicaTable())
    writer.integer(session)
    writer.integer(chunk)
    return header(Kind.ACK, system) + writer.finish()
