"""What a peer knows of one key: asked for over the link, told as `explaining` tells it. Changes nothing on either side.

asker                                peer
EXPLAIN  number, key, type    ──►
◄── EXPLAINED  number, what is known there
"""

from collections.abc import Hashable
from typing import Final, NamedTuple

from crdtmesh.crdts import values
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.dots import N_MAX, REPLICA_ID_BYTES, ReplicaTable
from crdtmesh.crdts.errors import CodecError, InvalidValue
from crdtmesh.replication import level_wire as lw
from crdtmesh.replication import wire
from crdtmesh.replication.explaining import (
    FINGERPRINT_BYTES,
    INTERVALS_MAX,
    WRITERS_MAX,
    Explanation,
    Intervals,
    explain,
)
from crdtmesh.replication.explaining import Writer as EntryWriter
from crdtmesh.replication.ground import Ground
from crdtmesh.replication.options import ENTRY_BYTES_MAX, KEY_BYTES_MAX, SHARDS_MAX
from crdtmesh.replication.outputs import EntryKey, PeerExplained

ASKED_MAX: Final = 64
"""Questions on their way at once: people ask them."""


class _Asked(NamedTuple):
    ticket: Hashable
    peer: str
    key: EntryKey
    deadline_ns: int


class PeerExplainer:
    """Asks peers, and answers them.

    Args:
        ground: the replica.
    """

    __slots__ = ("_asked", "_ground", "_number")

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        # Begins elsewhere in each run, so that an answer to an earlier one counts for nothing.
        self._number = int.from_bytes(ground.systems.clock.replica_id[:7], "big")
        self._asked: dict[int, _Asked] = {}

    def ask(self, ticket: Hashable, peer: str, key: EntryKey, *, timeout_ns: int, now_ns: int) -> None:
        """Has `PeerExplained(ticket, ...)` emitted: with None when the peer does not answer in time, or can't."""
        if peer not in self._ground.peers() or len(self._asked) >= ASKED_MAX:
            self._ground.emit(PeerExplained(ticket, None))
            return
        self._number += 1
        self._asked[self._number] = _Asked(ticket, peer, key, now_ns + timeout_ns)
        writer = Writer(ReplicaTable())
        writer.integer(self._number)
        writer.text(key.key)
        writer.text(key.type_name)
        self._ground.send(peer, self._ground.header(wire.Kind.EXPLAIN, key.system) + writer.finish())

    def receive(self, frame: wire.Frame, source: str) -> None:
        """Takes a question, or an answer.

        Raises:
            CodecError: it can't be read; nothing was changed.
        """
        if frame.kind is wire.Kind.EXPLAIN:
            number, key = wire.decode(frame.body, ReplicaTable(), lambda reader: _read_question(reader, frame.system))
            body = encode(number, explain(self._ground.systems, key))
            self._ground.send(source, self._ground.header(wire.Kind.EXPLAINED, frame.system) + body)
            return
        number, found = wire.decode(frame.body, ReplicaTable(), lambda reader: _read_answer(reader, frame.system))
        asked = self._asked.get(number)
        if asked is not None and asked.peer == source and asked.key == found.key:
            self._end(number, found)

    def peer_down(self, peer: str) -> None:
        """What was not answered by now will not be."""
        for number in [number for number, asked in self._asked.items() if asked.peer == peer]:
            self._end(number, None)

    def tick(self, *, now_ns: int) -> None:
        """Gives up what took too long."""
        for number in [number for number, asked in self._asked.items() if asked.deadline_ns <= now_ns]:
            self._end(number, None)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; None for never."""
        return min((asked.deadline_ns for asked in self._asked.values()), default=None)

    def _end(self, number: int, found: Explanation | None) -> None:
        self._ground.emit(PeerExplained(self._asked.pop(number).ticket, found))


# --- bytes


def encode(number: int, found: Explanation) -> bytes:
    """The body of an answer. A value that is too large to be told is left out."""
    writer = Writer(ReplicaTable())
    writer.integer(number)
    writer.text(found.key.key)
    writer.text(found.key.type_name)
    writer.integers((found.shard, int(found.found), found.version, found.size_bytes))
    writer.binary(found.fingerprint)
    writer.binary(found.own_replica_id)
    try:
        value = values.encode(found.value)
    except InvalidValue:
        value = values.encode(None)
    writer.value(value)
    writer.integer(len(found.writers))
    for each in found.writers:
        writer.binary(each.replica_id)
        writer.integers((each.live_count, each.last, each.low))
        for intervals in (each.live, each.applied, each.known):
            writer.integers((len(intervals), *(bound for interval in intervals for bound in interval)))
    return writer.finish()


def _read_question(reader: Reader, system: str) -> tuple[int, EntryKey]:
    return lw.read_number(reader), _read_key(reader, system)


def _read_key(reader: Reader, system: str) -> EntryKey:
    key, type_name = reader.text(), reader.text()
    if not 0 < len(key.encode()) <= KEY_BYTES_MAX or not 0 < len(type_name.encode()) <= KEY_BYTES_MAX:
        raise CodecError(f"expected a key and a type of 1 to {KEY_BYTES_MAX} bytes")
    return EntryKey(system, key, type_name)


def _read_answer(reader: Reader, system: str) -> tuple[int, Explanation]:
    number, key = _read_question(reader, system)
    shard, is_found = reader.integer(SHARDS_MAX - 1), reader.integer(1) == 1
    version, size_bytes = reader.integer(), reader.integer(2 * ENTRY_BYTES_MAX)
    fingerprint, own_replica_id = reader.binary(), reader.binary()
    value = values.decode(reader.value())
    writers = tuple(_read_writer(reader) for _ in range(reader.integer(WRITERS_MAX)))
    if len(fingerprint) not in (0, FINGERPRINT_BYTES) or len(own_replica_id) != REPLICA_ID_BYTES:
        raise CodecError("expected a fingerprint and a replica id")
    found = Explanation(key, shard, is_found, version, value, size_bytes, fingerprint, writers, own_replica_id)
    return number, found


def _read_writer(reader: Reader) -> EntryWriter:
    replica_id = reader.binary()
    if len(replica_id) != REPLICA_ID_BYTES:
        raise CodecError(f"expected a replica id of {REPLICA_ID_BYTES} bytes, got {len(replica_id)}")
    live_count, last, low = reader.integer(), reader.integer(N_MAX), reader.integer(N_MAX)
    live, applied, known = (_read_intervals(reader) for _ in range(3))
    return EntryWriter(replica_id, live, live_count, last, applied, known, low)


def _read_intervals(reader: Reader) -> Intervals:
    return tuple((reader.integer(N_MAX), reader.integer(N_MAX)) for _ in range(reader.integer(INTERVALS_MAX)))
