"""The replica of one node: all its shards, one hybrid clock, one commit barrier, and the five verbs.

A core: bytes and commands in, messages, records and events out; time, entropy and the disk are the driver's. It decides
what is applied, in which order it becomes durable, and when others may see it. What it leaves out: which peers there
are (links), who may call (runtime), and levels above `local` (`levels`). Driven by the node, and by the simulator.
"""

import hashlib
import random
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from crdtmesh.crdts import registry
from crdtmesh.crdts.base import Touched
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import N_MAX, REPLICA_ID_BYTES, ReplicaTable
from crdtmesh.crdts.errors import CodecError, CrdtError
from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.base import LogRecord, Record, StateRecord
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication import wire
from crdtmesh.replication.checkpoint import Checkpoints, RowLoader, clock_record
from crdtmesh.replication.commits import CommitBarrier
from crdtmesh.replication.entry import Entry, EntryView, Snapshot
from crdtmesh.replication.errors import IdentityLost, LimitExceeded, SnapshotInUse, StorageFailed, shown
from crdtmesh.replication.events import EntryName, Event
from crdtmesh.replication.identity import RecentFrames, describe_run
from crdtmesh.replication.options import (
    KEY_BYTES_MAX,
    OPERATIONS_PER_UPDATE_MAX,
    PEERS_MAX,
    SYSTEM_BYTES_MAX,
    SYSTEMS_MAX,
    ReplicationOptions,
)
from crdtmesh.replication.outputs import (
    Alarm,
    AlarmKind,
    CaughtUp,
    Changed,
    CommitFailed,
    Committed,
    EntryKey,
    EventRun,
    IdentityNeeded,
    Outgoing,
    ReadOnly,
    Rejected,
)
from crdtmesh.replication.outputs import Event as OutputEvent
from crdtmesh.replication.parts import Assembler, MalformedPart
from crdtmesh.replication.push import FrameEncoder, Outbox
from crdtmesh.replication.repair import Repairer
from crdtmesh.replication.shard import Change, Shard

# What an operation adds to an entry beside its arguments: dots, intervals, counts. Generous, since it only decides when
# an entry is measured.
_OPERATION_BYTES: Final = 32


class UpdateResult(NamedTuple):
    """What an update did in memory; it is acknowledged by `Committed`.

    Attributes:
        event: its dots; None when no operation had an effect.
        touched: elements that became different in the entry, or WHOLE; empty for no effect.
        entry: the entry after it.
    """

    event: EventRun | None
    touched: Touched
    entry: EntryView


class ShardSummary(NamedTuple):
    """Sizes of one shard, for status and metrics."""

    system: str
    entries: int
    events: int
    replica_ids: int
    index_runs: int


class Replica:
    """All that one node replicates.

    Args:
        options: pace and limits.
        node: this node's name, as peers know it.
        replica_id: 16 fresh random bytes; a new one at every start, also with old data.
        rng: for jitter and the choice of peers; nothing secret is drawn from it.
        now_ns: monotonic time.
        wall_ms: wall clock, milliseconds since 1970.
    """

    def __init__(
        self,
        options: ReplicationOptions,
        *,
        node: str,
        replica_id: bytes,
        rng: random.Random,
        now_ns: int,
        wall_ms: int,
    ) -> None:
        _require_replica_id(replica_id)
        self._options = options
        self._clock = HybridClock(replica_id, drift_ms_max=options.drift_max_ms)
        self._wall_ms = wall_ms
        self._shards: dict[str, Shard] = {}
        # Local events that are applied but not yet encoded, by system, until the group is closed.
        self._unsent: dict[str, list[Event]] = {}
        self._barrier = CommitBarrier()
        self._outbox = Outbox(options.outgoing_bytes_per_peer_max)
        self._repairer = Repairer(options, node, rng, now_ns)
        self._checkpoints = Checkpoints(options)
        self._frames = FrameEncoder()
        self._recent: dict[str, RecentFrames] = {}
        self._assemblers: dict[str, Assembler] = {}
        self._drifting: dict[str, None] = {}
        self._events: list[OutputEvent] = []
        self._read_only_reason: str | None = "read_only is set in the options" if options.read_only else None
        # Memory holds what the disk never will; then not even reads are acknowledged.
        self._is_tainted = False
        self._is_identity_lost = False
        self._caught_up: set[str] = set()
        self._marks: dict[str, CausalContext] = {}

    # --- storage

    def load(self, records: Iterable[Record]) -> None:
        """Takes up what the disk holds; before anything else is called.

        Raises:
            CorruptRecord: a record is none that this version writes; the replica is not to be used.
            ValueError: the replica id of this start was used before.
        """
        loader = RowLoader(self._shard)
        is_state_loaded = False
        for record in records:
            if isinstance(record, StateRecord):
                loader.load(record)
                continue
            if not is_state_loaded:
                self._checkpoints.loaded(self._shards, loader.index_rows)
                is_state_loaded = True
            if not isinstance(record, LogRecord):
                raise CorruptRecord(f"a row expected, {shown(record)} found; restore a backup")
            self._replay(record.data)
        if not is_state_loaded:
            self._checkpoints.loaded(self._shards, loader.index_rows)
        if any(shard.known.greatest(shard.mutation.replica) for shard in self._shards.values()):
            raise ValueError("replica_id was used before; pass 16 fresh random bytes at every start")
        replica_id = self._clock.replica_id
        self._clock = HybridClock(replica_id, drift_ms_max=self._options.drift_max_ms, bound_ms=loader.clock_bound_ms)
        for shard in self._shards.values():
            shard.mutation.renew(self._clock)

    def _replay(self, message: bytes) -> None:
        try:
            kind, system, body = wire.open_message(message)
            shard = self._shard(system)
            if kind is wire.Kind.PUSH:
                self._apply_events(shard, wire.decode(body, shard.table, wire.read_push).events, len(message))
            elif kind is wire.Kind.REPAIR:
                self._apply_repair(shard, wire.decode(body, shard.table, wire.read_repair), len(message))
            else:
                raise CodecError(f"{kind.name} is no message of the log")
        except (CrdtError, LimitExceeded) as error:
            raise CorruptRecord(f"a log row can't be read: {error}; restore a backup") from error
        self._checkpoints.logged(len(message))

    def persisted(self, seq: int, *, now_ns: int) -> None:
        """All groups up to `seq` are on disk: what waited for them may leave."""
        for group in self._barrier.persisted(seq):
            for peer, message in group.sends:
                self._release(peer, message)
            self._events += [Committed(ticket) for ticket in group.tickets]

    def persist_failed(self, seq: int, reason: str) -> None:
        """Group `seq` and those after it will never be on disk: nothing is applied or acknowledged from here on."""
        if self._is_tainted:
            return
        self._is_tainted = True
        self._read_only_reason = reason
        self._unsent.clear()
        for group in self._barrier.abandon():
            self._events += [CommitFailed(ticket, reason) for ticket in group.tickets]
        self._events.append(ReadOnly(reason))

    # --- peers

    def peer_up(self, peer: str, *, now_ns: int) -> None:
        """A link to a peer is up."""
        if len(self._outbox) >= PEERS_MAX and peer not in self._outbox:
            self._events.append(Rejected(peer, "too_many_peers", f"at most {PEERS_MAX} links expected"))
            return
        self._outbox.up(peer)
        self._assemblers[peer] = Assembler()
        if self._read_only_reason is None and self._repairer.asks_first(peer):
            self._send(peer, self._repairer.ask(self._shards))

    def peer_down(self, peer: str, *, now_ns: int) -> None:
        """The link to a peer is down; what waited for it is dropped."""
        self._outbox.down(peer)
        self._repairer.forget(peer)
        self._assemblers.pop(peer, None)
        self._drifting.pop(peer, None)

    def refused(self, peer: str, *, now_ns: int) -> None:
        """The link had no room for a `SendTo`: the peer is repaired in one of the next rounds."""
        if peer in self._outbox:
            self._outbox.lagging[peer] = None

    def receive(self, payload: bytes, source: str, *, now_ns: int, wall_ms: int) -> None:
        """Takes a payload of a peer; what can't be understood becomes a `Rejected` event and changes nothing."""
        if self._read_only_reason is not None:
            return
        self._wall_ms = wall_ms
        assembler = self._assemblers.get(source)
        if assembler is None:
            self._events.append(Rejected(source, "unknown_peer", "no link to this peer is up"))
            return
        try:
            message = assembler.receive(payload)
            if message is not None:
                self._receive(message, source, now_ns)
        except MalformedPart as error:
            self._events.append(Rejected(source, "malformed_part", str(error)))
        except CrdtError as error:
            self._events.append(Rejected(source, "undecodable", str(error)))
        except LimitExceeded as error:
            self._events.append(Rejected(source, "limit_exceeded", str(error)))

    def _receive(self, message: bytes, source: str, now_ns: int) -> None:
        kind, system, body = wire.open_message(message)
        if kind is wire.Kind.DIGEST:
            digests = wire.decode(body, ReplicaTable(), wire.read_digests)
            for answer in self._repairer.on_digest(digests, self._shards):
                self._send(source, answer)
            for system in self._repairer.agreed(digests, self._shards):
                self._has_caught_up(system)
            return
        # A system becomes ours only when a message about it was understood.
        shard = self._shards.get(system)
        if shard is None:
            shard = Shard(_checked_system(system), self._clock)
        if kind is wire.Kind.PUSH:
            push = wire.decode(body, shard.table, wire.read_push)
            self._keep(shard)
            self._witness(push.clock, source)
            self._receive_push(shard, push, message, source)
        elif kind is wire.Kind.VECTOR:
            theirs = wire.decode(body, shard.table, wire.read_vector)
            self._keep(shard)
            self._receive_vector(shard, theirs, source, now_ns, is_back=False)
        elif kind is wire.Kind.REPAIR:
            repair = wire.decode(body, shard.table, wire.read_repair)
            self._keep(shard)
            self._witness(repair.clock, source)
            self._receive_repair(shard, repair, message, source, now_ns)
        else:
            session, chunk = wire.decode(body, shard.table, wire.read_ack)
            answers = self._repairer.on_ack(source, system, session, chunk, clock=self._clock.time, now_ns=now_ns)
            self._send_repairs(source, answers)

    def _receive_push(self, shard: Shard, push: wire.Push, message: bytes, source: str) -> None:
        recent = self._recent.setdefault(shard.system, RecentFrames())
        fresh: list[Event] = []
        for event in push.events:
            for part in event.parts:
                self._check_own_dots(shard, part.delta.context, source)
            if not shard.has_applied(event.first, event.last):
                fresh.append(event)
            elif recent.is_forged(shard, message, event):
                run = describe_run(shard, event.first, event.last)
                self._alarm("event_forged", f"event {run} came from {source} with another content than before")
        if not fresh:
            return
        recent.remember(message, push.events)
        self._log(message)
        self._apply_events(shard, fresh, len(message) * len(fresh) // len(push.events))

    def _receive_vector(self, shard: Shard, theirs: CausalContext, source: str, now_ns: int, *, is_back: bool) -> None:
        self._check_own_dots(shard, theirs, source)
        # The first vector of a run is the mark to reach: under load the peer is always a few events ahead.
        if self._marks.setdefault(shard.system, theirs).issubset(shard.applied):
            self._has_caught_up(shard.system)
        answers = self._repairer.on_vector(
            source, shard, theirs, clock=self._clock.time, is_back=is_back, now_ns=now_ns
        )
        self._send_repairs(source, answers)

    def _has_caught_up(self, system: str) -> None:
        if system not in self._caught_up:
            self._caught_up.add(system)
            self._events.append(CaughtUp(system))

    def _receive_repair(self, shard: Shard, repair: wire.Repair, message: bytes, source: str, now_ns: int) -> None:
        if not repair.base.issubset(shard.applied):
            self._events.append(Rejected(source, "stale_repair", "it builds on events that are not applied here"))
            return
        for state in repair.entries:
            self._check_own_dots(shard, state.context, source)
        changes, has_grown = self._apply_repair(shard, repair, len(message))
        if changes or has_grown:
            self._log(message)
        if not repair.is_last:
            self._send(source, wire.encode_ack(shard.system, repair.session, repair.chunk))
        if repair.applied is not None:
            self._receive_vector(shard, repair.applied, source, now_ns, is_back=True)

    # --- commands

    def update(
        self,
        key: EntryKey,
        operations: Sequence[Operation],
        *,
        ticket: Hashable | None,
        wall_ms: int,
        view: Snapshot | None = None,
    ) -> UpdateResult:
        """Applies operations to one entry as one event; all of them or, if it raises, none.

        Args:
            key: which entry; it comes into being with its first effect.
            operations: in order, each computed on what the ones before it left.
            ticket: named by the `Committed` that acknowledges the update; None for nobody.
            wall_ms: wall clock, milliseconds since 1970.
            view: the open snapshot of this key against which the operations are computed.

        Raises:
            UnknownType, InvalidOperation: nothing was changed.
            StorageFailed, IdentityLost, LimitExceeded, SnapshotInUse: nothing was changed.
        """
        if self._read_only_reason is not None or self._is_identity_lost:
            self._refuse()
        self._wall_ms = wall_ms
        shard = self._shards.get(key.system)
        entry = shard.find(key[1:]) if shard is not None else None
        is_new = entry is None
        if shard is None or entry is None:
            shard, entry = self._make(key)
        try:
            self._check_update(shard, entry, operations, view)
            done = shard.update(entry, operations, wall_ms)
        except Exception:
            if is_new:
                shard.drop_unused(entry)
            raise
        if done is None:
            self.barrier(ticket)
            return UpdateResult(None, (), entry)
        event, touched = done
        unsent = self._unsent.get(key.system)
        if unsent is None:
            self._unsent[key.system] = [event]
        else:
            unsent.append(event)
        self._barrier.expect()
        if ticket is not None:
            self._barrier.wait(ticket)
        self._events.append(Changed(entry.key, touched, True, entry.version))
        run = EventRun(self._clock.replica_id, event.first & N_MAX, event.last & N_MAX)
        return UpdateResult(run, touched, entry)

    def snapshot(self, key: EntryKey) -> Snapshot:
        """Opens the view of a turn; the entry comes into being if it is new, without an event.

        Raises:
            UnknownType, LimitExceeded: nothing was changed.
            SnapshotInUse: the key has an open one.
        """
        shard = self._shards.get(key.system)
        entry = shard.find(key[1:]) if shard is not None else None
        return Snapshot(entry if entry is not None else self._make(key)[1])

    def read(self, key: EntryKey) -> EntryView | None:
        """The entry, or None when it has no state. Show it to others only behind a `barrier`."""
        shard = self._shards.get(key.system)
        entry = shard.find(key[1:]) if shard is not None else None
        return None if entry is None or entry.is_bottom else entry

    def entries(self, system: str, prefix: str = "") -> Iterator[EntryView]:
        """The entries with state whose key has a prefix, in order of key and type. Complexity: O(n log n)."""
        shard = self._shards.get(system)
        return iter(()) if shard is None else shard.sorted_entries(prefix)

    def barrier(self, ticket: Hashable | None) -> None:
        """Has `Committed(ticket)` emitted when all that could have been seen so far is on disk; at once if it is."""
        if ticket is None:
            return
        if self._is_tainted:
            self._events.append(CommitFailed(ticket, self._read_only_reason or ""))
        elif not self._barrier.wait(ticket):
            self._events.append(Committed(ticket))

    def renew_identity(self, replica_id: bytes) -> None:
        """Continues under a new replica id, 16 fresh random bytes: the answer to `IdentityNeeded`."""
        _require_replica_id(replica_id)
        bound_ms = self._clock.time >> 16
        self._clock = HybridClock(replica_id, drift_ms_max=self._options.drift_max_ms, bound_ms=bound_ms + 1)
        for shard in self._shards.values():
            shard.mutation.renew(self._clock)
        self._is_identity_lost = False

    def digest(self, system: str) -> bytes:
        """A hash of all entries with state, the same on every node that holds the same. Complexity: O(state)."""
        hashed = hashlib.blake2b(digest_size=wire.DIGEST_BYTES)
        for field in self._shards[system].canonical_fields() if system in self._shards else ():
            hashed.update(len(field).to_bytes(8, "big"))
            hashed.update(field)
        return hashed.digest()

    def systems(self) -> list[str]:
        """The systems that have a shard here, sorted."""
        return sorted(self._shards)

    def summary(self) -> list[ShardSummary]:
        """Sizes of each shard."""
        return [
            ShardSummary(system, shard.entry_count, len(shard.applied), len(shard.table), len(shard.index))
            for system, shard in sorted(self._shards.items())
        ]

    @property
    def lagging(self) -> frozenset[str]:
        """Peers to which deltas were dropped, and that no repair has reached since."""
        return frozenset(self._outbox.lagging)

    # --- verbs

    def tick(self, *, now_ns: int) -> None:
        """Starts a round of anti-entropy when it is due."""
        if self._read_only_reason is not None:
            return
        peer = self._repairer.due(self._outbox.peers, self._outbox.lagging, now_ns)
        if peer is not None:
            self._send(peer, self._repairer.ask(self._shards))

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; None without peers."""
        return self._repairer.next_ns if len(self._outbox) and self._read_only_reason is None else None

    def take_outgoing(self) -> list[Outgoing]:
        """Closes the open group: at most one `Persist`, then the payloads that may leave."""
        persist = self._close_group()
        payloads = self._outbox.take()
        return [*payloads] if persist is None else [persist, *payloads]

    def take_events(self) -> list[OutputEvent]:
        """What happened, in order."""
        events, self._events = self._events, []
        return events

    # --- inside

    def _close_group(self) -> Outgoing | None:
        if self._is_tainted:
            return None
        if self._unsent:
            for system, events in self._unsent.items():
                shard = self._shards[system]
                recent = self._recent.setdefault(system, RecentFrames())
                for message, batch in self._frames.encode(shard, self._clock.time, events):
                    recent.remember(message, batch)
                    self._log(message)
                    self._barrier.hold(None, message)
            self._unsent = {}
            bound_ms = self._clock.renew_bound(now_ms=self._wall_ms)
            if bound_ms is not None:
                self._barrier.record(clock_record(bound_ms))
        rows = self._barrier.row_count
        if rows or self._checkpoints.is_running:
            for record in self._checkpoints.records(self._shards, rows):
                self._barrier.record(record)
        return self._barrier.close_group()

    def _log(self, message: bytes) -> None:
        self._barrier.record(LogRecord(message))
        self._checkpoints.logged(len(message))

    def _send(self, peer: str, message: bytes) -> None:
        if not self._barrier.hold(peer, message):
            self._outbox.send(peer, message)

    def _send_repairs(self, peer: str, messages: list[bytes]) -> None:
        for message in messages:
            self._send(peer, message)
        for entry in self._repairer.oversized:
            self._alarm("entry_refused", f"entry {entry.key.key!r:.64} is too large to be sent to {peer}")
        self._repairer.oversized.clear()

    def _release(self, peer: str | None, message: bytes) -> None:
        if peer is None:
            self._outbox.broadcast(message)
        else:
            self._outbox.send(peer, message)

    def _apply_events(self, shard: Shard, events: Sequence[Event], size_bytes: int) -> None:
        changes: list[Change] = []
        for event in events:
            if not shard.has_applied(event.first, event.last):
                changes += shard.apply_event(event)
        self._announce(changes, size_bytes)

    def _apply_repair(self, shard: Shard, repair: wire.Repair, size_bytes: int) -> tuple[list[Change], bool]:
        for first, last in repair.spans:
            if (first, last) not in shard.spans_within(first, last):
                shard.add_span(first, last)
        changes, has_grown = shard.apply_states(repair.base, repair.entries)
        self._announce(changes, size_bytes)
        return changes, has_grown

    def _announce(self, changes: Sequence[Change], size_bytes: int) -> None:
        """Reports changes, and counts their share of a message of this size as growth of their entries."""
        for entry, _ in changes:
            entry.size_bytes += size_bytes // len(changes)
        self._events += [Changed(entry.key, touched, False, entry.version) for entry, touched in changes]

    def _witness(self, time: int, source: str) -> None:
        if self._clock.observe(time, now_ms=self._wall_ms):
            self._drifting.pop(source, None)
        elif source not in self._drifting:
            self._drifting[source] = None
            self._alarm("clock_drift", f"the clock of {source} is more than {self._options.drift_max_ms} ms ahead")

    def _check_own_dots(self, shard: Shard, context: CausalContext, source: str) -> None:
        if shard.is_above(context) and not self._is_identity_lost:
            self._is_identity_lost = True
            self._alarm(
                "identity_doubled",
                f"{source} has events of our replica id {self._clock.replica_id.hex()[:8]} that we never issued; "
                "is this a copied machine or data directory?",
            )
            self._events.append(IdentityNeeded())

    def _alarm(self, kind: AlarmKind, detail: str) -> None:
        self._events.append(Alarm(kind, detail))

    def _refuse(self) -> None:
        if self._read_only_reason is not None:
            raise StorageFailed(
                f"a disk that takes commits expected, it failed: {self._read_only_reason}; restart the node"
            )
        raise IdentityLost("the replica id is used by another process; retry when this node has taken a new one")

    def _make(self, key: EntryKey) -> tuple[Shard, Entry]:
        _checked_system(key.system)
        if not 0 < len(key.key.encode()) <= KEY_BYTES_MAX:
            raise LimitExceeded(f"a key of 1 to {KEY_BYTES_MAX} bytes expected, {shown(key.key)} found")
        data_type = registry.get(key.type_name)
        shard = self._shard(key.system)
        return shard, shard.entry(EntryName(key.key, key.type_name), data_type)

    def _shard(self, system: str) -> Shard:
        shard = self._shards.get(system)
        if shard is None:
            shard = Shard(_checked_system(system), self._clock)
            self._keep(shard)
        return shard

    def _keep(self, shard: Shard) -> None:
        if shard.system not in self._shards:
            if len(self._shards) >= SYSTEMS_MAX:
                raise LimitExceeded(f"at most {SYSTEMS_MAX} systems expected; one more was named")
            self._shards[shard.system] = shard

    def _check_update(self, shard: Shard, entry: Entry, operations: Sequence[Operation], view: Snapshot | None) -> None:
        if entry.open_snapshot is not view:
            raise SnapshotInUse(f"{entry.key.key!r:.64} has another snapshot open than the one passed as view")
        if len(operations) > OPERATIONS_PER_UPDATE_MAX:
            raise LimitExceeded(
                f"at most {OPERATIONS_PER_UPDATE_MAX} operations expected, {len(operations)} found; split the update"
            )
        if shard.require_room(entry, _size_of(operations)) and not entry.is_large:
            entry.is_large = True
            self._alarm("entry_large", f"entry {entry.key.key!r:.64} has {entry.size_bytes} bytes; split it over keys")


def _size_of(operations: Sequence[Operation]) -> int:
    """Roughly what operations add to an entry, without encoding them."""
    size = 0
    for operation in operations:
        size += _OPERATION_BYTES
        for argument in operation.arguments:
            if isinstance(argument, (str, bytes)):
                size += len(argument)
            elif not isinstance(argument, (int, float)) and argument is not None:
                size += len(repr(argument))
    return size


def _checked_system(system: str) -> str:
    if not 0 < len(system.encode()) <= SYSTEM_BYTES_MAX:
        raise LimitExceeded(f"a system name of 1 to {SYSTEM_BYTES_MAX} bytes expected, {shown(system)} found")
    return system


def _require_replica_id(replica_id: bytes) -> None:
    if len(replica_id) != REPLICA_ID_BYTES:
        raise ValueError(f"replica_id has {len(replica_id)} bytes; {REPLICA_ID_BYTES} random ones expected")
