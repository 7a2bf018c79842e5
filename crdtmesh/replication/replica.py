"""The replica of one node: all its shards, one hybrid clock, one commit barrier, and the five verbs.

A core: bytes and commands in, messages, records and events out; time, entropy and the disk are the driver's. Here are
its commands and its life; what comes from peers is the business of `receiver`, what leaves that of `outlet`, and
what "acknowledged" means above this node's own disk that of `level_layer`. What it leaves out: which peers there are
(links), and who may call (runtime). Driven by the node, and by the simulator.
"""

import hashlib
import random
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from heapq import merge
from typing import Final, TypeVar

from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.dots import REPLICA_ID_BYTES
from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.base import Loaded, StateRows
from crdtmesh.replication import repeats, wire
from crdtmesh.replication.checkpoint import RowLoader
from crdtmesh.replication.entry import EntryView, Snapshot
from crdtmesh.replication.errors import IdentityLost
from crdtmesh.replication.expiring import Expiry
from crdtmesh.replication.explaining import Explanation, explain
from crdtmesh.replication.ground import Ground
from crdtmesh.replication.level_layer import Levels
from crdtmesh.replication.levels import Level
from crdtmesh.replication.options import PEERS_MAX, ReplicationOptions
from crdtmesh.replication.outlet import Outlet
from crdtmesh.replication.outputs import EntryKey, EventRun, Outgoing
from crdtmesh.replication.outputs import Event as OutputEvent
from crdtmesh.replication.receiver import Receiver
from crdtmesh.replication.repair import Repairer
from crdtmesh.replication.systems import Systems, SystemSummary, shard_number
from crdtmesh.replication.tokens import Tokens
from crdtmesh.replication.updating import BatchResult, UpdateResult, Updates
from crdtmesh.replication.upgrade import Upgrade

_MILLISECOND_NS: Final = 1_000_000

T = TypeVar("T", bound=Hashable)

# Pause between the steps of work that is done in slices: about as long as a step, so it takes half of the time at most.
_STEP_NS: Final = 5_000_000


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
        self._node = node
        clock = HybridClock(replica_id, drift_ms_max=options.drift_max_ms)
        self._systems = Systems(options.shards, clock)
        self._outlet = Outlet(options, self._systems, now_ns=now_ns, wall_ms=wall_ms)
        self._repairer = Repairer(options, node, rng, now_ns)
        ground = Ground(
            node=node,
            options=options,
            systems=self._systems,
            read=self.read,
            peers=lambda: self._outlet.outbox.peers,
            send=self._outlet.send,
            wait=self._outlet.wait_for_own_copy,
            emit=self._outlet.emit,
            keep=self._outlet.keep,
        )
        self._levels = Levels(ground, rng)
        self._tokens = Tokens(self._systems, emit=self._outlet.emit, wait=self._outlet.wait)
        self._outlet.on_own_copy = self._levels.own_copy
        self._receiver = Receiver(ground, self._outlet, self._repairer, self._levels, rng=rng, now_ns=now_ns)
        self._updates = Updates(self._systems, self._outlet, require_writable=self._require_writable)
        self._expiry = Expiry(
            options,
            self._systems,
            self._levels.voters.of,
            node=node,
            changed=self._outlet.emit,
            remove=self._updates.remove_expired,
        )
        self._updates.expiry = self._expiry
        self._outlet.on_cell = self._expiry.noted
        self._ticked_ns, self._ticked_wall_ms = now_ns, wall_ms

    # --- storage

    def load(self, loaded: Iterable[Loaded]) -> None:
        """Takes up what the disk holds; before anything else is called.

        Raises:
            CorruptRecord: a record is none that this version writes; the replica is not to be used.
            ValueError: the replica id of this start was used before.
        """
        loader, upgrade = RowLoader(self._systems), Upgrade(self._systems)
        checkpoints = self._outlet.checkpoints
        is_state_loaded = False
        for record in loaded:
            if isinstance(record, StateRows):
                if not loader.load_next(record):
                    for row in record.records():
                        if not upgrade.load(row):
                            loader.load(row)
                continue
            if not is_state_loaded:
                checkpoints.loaded(self._systems, loader.index_rows)
                is_state_loaded = True
            if not upgrade.replay(record.data):
                upgrade.finish()
                self._receiver.replay(record.data)
            checkpoints.logged(len(record.data))
        if not is_state_loaded:
            checkpoints.loaded(self._systems, loader.index_rows)
        upgrade.finish()
        if upgrade.is_needed:
            checkpoints.replace(upgrade.rows)
        if any(shard.known.greatest(shard.mutation.replica) for shard in self._systems):
            raise ValueError("replica_id was used before; pass 16 fresh random bytes at every start")
        if loader.reconciled_node == self._node:
            self._levels.loaded()
        replica_id = self._systems.clock.replica_id
        self._systems.renew(
            HybridClock(replica_id, drift_ms_max=self._options.drift_max_ms, bound_ms=loader.clock_bound_ms)
        )
        self._expiry.loaded()
        self._expiry.tick(self._outlet.wall_ms)

    def persisted(self, seq: int, *, now_ns: int) -> None:
        """All groups up to `seq` are on disk: what waited for them may leave."""
        self._outlet.persisted(seq)

    def persist_failed(self, seq: int, reason: str) -> None:
        """Group `seq` and those after it will never be on disk: nothing is applied or acknowledged from here on."""
        self._outlet.persist_failed(reason)

    # --- peers

    def peer_up(self, peer: str, *, now_ns: int) -> None:
        """A link to a peer is up."""
        outbox = self._outlet.outbox
        if len(outbox) >= PEERS_MAX and peer not in outbox:
            self._outlet.reject(peer, "too_many_peers", f"at most {PEERS_MAX} links expected")
            return
        outbox.up(peer)
        self._receiver.peer_up(peer)
        self._repairer.linked(peer, now_ns)
        if self._outlet.read_only_reason is None and self._repairer.asks_first(peer):
            self._outlet.send(peer, self._repairer.ask(peer, self._systems, now_ns=now_ns))
        if self._outlet.read_only_reason is None:
            self._levels.peer_up(peer)

    def peer_down(self, peer: str, *, now_ns: int) -> None:
        """The link to a peer is down; what waited for it is dropped."""
        self._outlet.outbox.down(peer)
        self._repairer.forget(peer)
        self._receiver.peer_down(peer)
        self._levels.peer_down(peer)

    def refused(self, peer: str, *, now_ns: int) -> None:
        """The link had no room for a `SendTo`: the peer is repaired in one of the next rounds."""
        outbox = self._outlet.outbox
        if peer in outbox:
            outbox.lagging[peer] = None

    def receive(self, payload: bytes, source: str, *, now_ns: int, wall_ms: int) -> None:
        """Takes a payload of a peer; what can't be understood becomes a `Rejected` event and changes nothing."""
        if self._outlet.read_only_reason is None:
            self._outlet.wall_ms = wall_ms
            self._receiver.receive(payload, source, now_ns=now_ns)

    # --- commands

    def update(
        self,
        key: EntryKey,
        operations: Sequence[Operation],
        *,
        ticket: Hashable | None,
        wall_ms: int,
        view: Snapshot | None = None,
        ttl_ms: int | None = None,
        operation_id: str = "",
    ) -> UpdateResult:
        """Applies operations to one entry as one event; all of them or, if it raises, none.

        Args:
            key: which entry; it comes into being with its first effect.
            operations: in order, each computed on what the ones before it left.
            ticket: named by the `Committed` that acknowledges the update; None for nobody.
            wall_ms: wall clock, milliseconds since 1970.
            view: the open snapshot of this key against which the operations are computed.
            ttl_ms: the entry lives for so long from now, or longer if it does already; without operations this alone is
                changed; 0 ends its expiry. None: as the options say for the key, else as it is.
            operation_id: kept with the update, whatever its effect; ask `has_done` first.

        Raises:
            UnknownType, InvalidOperation: nothing was changed.
            StorageFailed, IdentityLost, LimitExceeded, SnapshotInUse, TtlInvalid: nothing was changed.
        """
        return self._updates.update(
            key, operations, ticket=ticket, wall_ms=wall_ms, view=view, ttl_ms=ttl_ms, operation_id=operation_id
        )

    def has_done(self, key: EntryKey, operation_id: str, *, wall_ms: int) -> bool:
        """Whether an update of this entry was done under this id, as far as this replica knows (`repeats`)."""
        entry = self._updates.find(repeats.beside(key))
        return entry is not None and repeats.is_repeated(entry.value(), operation_id, wall_ms=wall_ms)

    def update_batch(
        self,
        updates: Sequence[tuple[EntryKey, Sequence[Operation]]],
        *,
        ticket: Hashable | None,
        wall_ms: int,
        operation_id: str = "",
        ttl_ms: int | None = None,
    ) -> BatchResult:
        """Applies operations to several entries of one shard as one event: here, and on every other replica.

        Args:
            updates: entries, each once and without an open snapshot, with the operations for each.
            ticket: named by the `Committed` that acknowledges the update; None for nobody.
            wall_ms: wall clock, milliseconds since 1970.
            operation_id: what was done under this id is not done again (`repeats`); empty for none.
            ttl_ms: of each of them, as in `update`.

        Raises:
            UnknownType, InvalidOperation: nothing was changed.
            BatchInvalid, StorageFailed, IdentityLost, LimitExceeded, SnapshotInUse, TtlInvalid: nothing was changed.
        """
        return self._updates.update_batch(
            updates, ticket=ticket, wall_ms=wall_ms, operation_id=operation_id, ttl_ms=ttl_ms
        )

    def snapshot(self, key: EntryKey) -> Snapshot:
        """Opens the view of a turn; the entry comes into being if it is new, without an event.

        Raises:
            UnknownType, LimitExceeded: nothing was changed.
            SnapshotInUse: the key has an open one.
        """
        entry = self._updates.find(key)
        if entry is not None and entry.is_hidden:
            self._updates.remove_expired(key)
        return Snapshot(entry if entry is not None else self._updates.make(key)[1])

    def read(self, key: EntryKey) -> EntryView | None:
        """The entry, or None when it has no state. Show it to others only behind a `barrier`."""
        entry = self._updates.find(key)
        return None if entry is None or entry.is_hidden or entry.is_bottom else entry

    def expires_ms(self, key: EntryKey) -> int | None:
        """When an entry expires, in milliseconds since 1970; None for never."""
        return self._expiry.of(key)

    def explain(self, key: EntryKey) -> Explanation:
        """All that is known here of an entry. Show it to others only behind a `barrier`."""
        return explain(self._systems, key)

    def explain_at(self, peer: str, key: EntryKey, *, ticket: Hashable, timeout_ns: int, now_ns: int) -> None:
        """Has `PeerExplained(ticket, ...)` emitted with all that a peer knows of an entry; None in it for no answer."""
        self._receiver.peer_explainer.ask(ticket, peer, key, timeout_ns=timeout_ns, now_ns=now_ns)

    def entries(self, system: str, prefix: str = "") -> Iterator[EntryView]:
        """The entries with state whose key has a prefix, in order of key and type. Complexity: O(n log n)."""
        found = merge(
            *(shard.entries.sorted(prefix) for shard in self._systems.get(system) or ()), key=lambda entry: entry.name
        )
        return (entry for entry in found if repeats.SEPARATOR not in entry.name.key and not entry.is_hidden)

    def barrier(self, ticket: Hashable | None) -> None:
        """Has `Committed(ticket)` emitted when all that could have been seen so far is on disk; at once if it is."""
        self._outlet.wait(ticket)

    def acknowledge(
        self,
        ticket: Hashable,
        key: EntryKey,
        run: EventRun | None,
        *,
        level: Level,
        timeout_ns: int,
        now_ns: int,
        others: Sequence[EntryKey] = (),
    ) -> None:
        """Has an update acknowledged when so many voters as a level asks for have it applied and on disk.

        Exactly one event follows for the ticket: `Committed`; `CommitFailed`, this node's disk failed; or
        `LevelTimeout`. After the last two the outcome is unknown: the update stays, and spreads if it can.

        Args:
            ticket: named by that event.
            key: the entry that was updated.
            run: what `update` has returned; None, an update without effect, waits until what it saw is at the level.
            level: for `local`, as `barrier`.
            timeout_ns: for everything, from now on.
            now_ns: monotonic time.
            others: further entries of the same update.
        """
        if level.is_local:
            self.barrier(ticket)
        else:
            self._levels.acknowledge(ticket, (key, *others), run, level=level, timeout_ns=timeout_ns, now_ns=now_ns)

    def read_at(self, key: EntryKey, *, level: Level, ticket: Hashable, timeout_ns: int, now_ns: int) -> None:
        """Reads an entry at a level: joined from so many voters, and repaired at them before the answer.

        Exactly one event follows for the ticket: `ReadAt`, `CommitFailed` or `LevelTimeout`.

        Args:
            key: which entry.
            level: how many voters are asked, this node among them if it counts.
            ticket: named by that event.
            timeout_ns: for everything, from now on.
            now_ns: monotonic time.
        """
        self._levels.read(ticket, key, level=level, timeout_ns=timeout_ns, now_ns=now_ns)

    def read_range_at(
        self, system: str, prefix: str, new_ticket: Callable[[], T], *, level: Level, timeout_ns: int, now_ns: int
    ) -> list[T]:
        """Has all entries whose keys begin so joined from a level above `local`, and repaired there.

        For each of the tickets, one for each shard, follows `Committed`, `CommitFailed` or `LevelTimeout`.
        """
        tickets, key = [new_ticket() for _ in range(self._options.shards)], EntryKey(system, prefix, "")
        for shard, ticket in enumerate(tickets):
            self._levels.read_range(ticket, key, shard, level=level, timeout_ns=timeout_ns, now_ns=now_ns)
        return tickets

    def shard_of(self, key: EntryKey) -> int:
        """The number of the shard that a key lies in; its type has no say."""
        return shard_number(key.key, self._options.shards)

    def token(self, key: EntryKey) -> bytes:
        """What is applied of the key's shard now, for `await_token` at another node. Show it behind a `barrier`."""
        return self._tokens.make(key.system, self.shard_of(key))

    def await_token(self, token: bytes, *, ticket: Hashable, timeout_ns: int, now_ns: int) -> None:
        """Has `Committed(ticket)` emitted when all that a token holds is applied and on disk here.

        Otherwise `LevelTimeout` follows, or `CommitFailed`; nothing is changed in any case.

        Raises:
            TokenInvalid: it is none of this cluster's; no event follows.
        """
        self._tokens.await_token(token, ticket, timeout_ns=timeout_ns, now_ns=now_ns)

    def voters(self, system: str) -> list[str]:
        """The nodes that count for a system, sorted."""
        return sorted(self._levels.voters.of(system))

    @property
    def is_reconciled(self) -> bool:
        """Whether this node has caught up since its start, so that it counts where it is a voter."""
        return self._levels.is_reconciled

    @property
    def replica_id(self) -> bytes:
        """The id that owns the dots of this run's next events."""
        return self._systems.clock.replica_id

    def renew_identity(self, replica_id: bytes) -> None:
        """Continues under a new replica id, 16 fresh random bytes: the answer to `IdentityNeeded`."""
        _require_replica_id(replica_id)
        bound_ms = self._systems.clock.time >> 16
        self._systems.renew(HybridClock(replica_id, drift_ms_max=self._options.drift_max_ms, bound_ms=bound_ms + 1))
        self._receiver.is_identity_lost = False

    def digest(self, system: str) -> bytes:
        """A hash of all entries with state, the same on every node that holds the same. Complexity: O(state)."""
        hashed = hashlib.blake2b(digest_size=wire.DIGEST_BYTES)
        for shard in self._systems.get(system) or ():
            for field in shard.canonical_fields():
                hashed.update(len(field).to_bytes(8, "big"))
                hashed.update(field)
        return hashed.digest()

    def systems(self) -> list[str]:
        """The systems that this replica holds, sorted."""
        return self._systems.names

    def summary(self) -> list[SystemSummary]:
        """Sizes of each system."""
        found: list[SystemSummary] = []
        for name in self._systems.names:
            shards = list(self._systems.get(name) or ())
            found.append(
                SystemSummary(
                    name,
                    sum(len(shard.entries) for shard in shards),
                    sum(len(shard.applied) for shard in shards),
                    max((len(shard.table) for shard in shards), default=0),
                    sum(len(shard.index) for shard in shards),
                )
            )
        return found

    def counters(self) -> dict[str, int]:
        """What happened since the start, by name.

        `audit.compared` shards that had applied the same, `audit.mismatches` of them that differed (must be 0);
        `handover.sent` and `handover.taken` whole shards, `handover.entries` that have come in them so far;
        `index.forced` times that a limit had the index forget what a member may lack; `expiry.removed` entries that
        this node removed because they had expired.
        """
        receiver = self._receiver
        return {
            "audit.compared": receiver.auditor.count,
            "audit.mismatches": receiver.auditor.mismatches,
            "handover.sent": receiver.handovers.count,
            "handover.taken": receiver.stagings.count,
            "handover.entries": receiver.stagings.entries,
            "index.forced": receiver.trimmer.forced,
            "expiry.removed": self._expiry.removed,
        }

    @property
    def lagging(self) -> frozenset[str]:
        """Peers to which deltas were dropped, and that no repair has reached since."""
        return frozenset(self._outlet.outbox.lagging)

    # --- verbs

    def tick(self, *, now_ns: int, wall_ms: int) -> None:
        """Starts a round of anti-entropy when it is due; looks after those who wait for a level, and what expires."""
        self._ticked_ns, self._ticked_wall_ms = now_ns, wall_ms
        self._outlet.now_ns, self._outlet.wall_ms = now_ns, wall_ms
        self._expiry.tick(wall_ms)
        self._levels.tick(now_ns=now_ns)
        self._tokens.tick(now_ns=now_ns)
        self._receiver.peer_explainer.tick(now_ns=now_ns)
        if self._outlet.read_only_reason is not None:
            return
        outbox = self._outlet.outbox
        peer = self._repairer.due(outbox.peers, outbox.lagging, now_ns)
        if peer is not None:
            self._outlet.send(peer, self._repairer.ask(peer, self._systems, now_ns=now_ns))
        self._receiver.tick(now_ns=now_ns)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; None for never."""
        deadlines = [self._levels.next_deadline_ns(), self._tokens.next_deadline_ns(), self._outlet.due_ns]
        deadlines.append(self._receiver.peer_explainer.next_deadline_ns())
        if len(self._outlet.outbox) and self._outlet.read_only_reason is None:
            receiver = self._receiver
            if receiver.is_preparing:
                deadlines.append(self._ticked_ns + _STEP_NS)
            deadlines += [self._repairer.next_ns, receiver.trimmer.next_ns, receiver.auditor.next_ns]
        expiring_ms = self._expiry.next_ms()
        if expiring_ms is not None:
            deadlines.append(self._ticked_ns + max(0, expiring_ms - self._ticked_wall_ms) * _MILLISECOND_NS)
        return min((due_ns for due_ns in deadlines if due_ns is not None), default=None)

    def settle(self) -> None:
        """Before the end of a run: has the next `take_outgoing` write all that was left to be written later."""
        self._outlet.settle()

    def take_outgoing(self) -> list[Outgoing]:
        """Closes the open group: at most one `Persist`, then the payloads that may leave."""
        self._levels.flush()
        self._tokens.flush()
        return self._outlet.take_outgoing()

    def take_events(self) -> list[OutputEvent]:
        """What happened, in order."""
        return self._outlet.take_events()

    # --- inside

    def _require_writable(self) -> None:
        """Raises when no event can be made now."""
        if self._outlet.read_only_reason is not None:
            self._outlet.require_writable()
        if self._receiver.is_identity_lost:
            raise IdentityLost("the replica id is used by another process; retry when this node has taken a new one")


def _require_replica_id(replica_id: bytes) -> None:
    if len(replica_id) != REPLICA_ID_BYTES:
        raise ValueError(f"replica_id has {len(replica_id)} bytes; {REPLICA_ID_BYTES} random ones expected")
