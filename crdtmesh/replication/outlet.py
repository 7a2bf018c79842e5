"""What leaves a replica, and when: records, messages to peers, and events, in the order that the commit barrier allows.

Local events wait here until the group is closed; then they become PUSH messages, which are the log rows at the same
time. Driven by `Replica` and `Receiver`.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from crdtmesh.crdts.base import WHOLE
from crdtmesh.durations import NEVER_MS, SYNC_MS
from crdtmesh.persistence.base import LogRecord, Record
from crdtmesh.replication import wire
from crdtmesh.replication.checkpoint import Checkpoints, clock_record
from crdtmesh.replication.commits import CommitBarrier
from crdtmesh.replication.durability import Durability
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.errors import StorageFailed
from crdtmesh.replication.events import EntryName, Event
from crdtmesh.replication.identity import RecentFrames
from crdtmesh.replication.options import POSTPONED_BYTES_MAX, ReplicationOptions
from crdtmesh.replication.outputs import (
    Alarm,
    AlarmKind,
    Changed,
    CommitFailed,
    Committed,
    EntryKey,
    Outgoing,
    ReadOnly,
    Rejected,
)
from crdtmesh.replication.outputs import Event as OutputEvent
from crdtmesh.replication.push import FrameEncoder, Outbox
from crdtmesh.replication.repeats import CELL_MARK
from crdtmesh.replication.shard import Change, Shard
from crdtmesh.replication.systems import Systems
from crdtmesh.replication.waves import OwnCopy

_MILLISECOND_NS: Final = 1_000_000


class Outlet:
    """Collects outputs until the driver takes them.

    Attributes:
        barrier: what may leave before the disk has what it could have seen.
        outbox: messages for peers.
        checkpoints: when to write what beside the log.
        events: what happened, in order.
        now_ns, wall_ms: the time, as the driver told last.
        due_ns: when records are to be written for which nobody waits; None while there are none with a time.
        read_only_reason: why nothing is applied any more; None while all is well.
        on_cell: told of an expiry that a peer has changed.
        on_own_copy: told of a ticket of the levels: that it is on disk, or why it never will be.
        is_tainted: memory holds what the disk never will; then not even reads are acknowledged.
    """

    def __init__(self, options: ReplicationOptions, systems: Systems, *, now_ns: int, wall_ms: int) -> None:
        self.barrier: Final = CommitBarrier()
        self.outbox: Final = Outbox(options.outgoing_bytes_per_peer_max)
        self.checkpoints: Final = Checkpoints(options)
        self.events: list[OutputEvent] = []
        self.now_ns, self.wall_ms = now_ns, wall_ms
        self.due_ns: int | None = None
        self.read_only_reason: str | None = "read_only is set in the options" if options.read_only else None
        self.is_tainted = False
        self.on_cell: Callable[[Entry], None] = lambda cell: None
        self.on_own_copy: Callable[[OwnCopy, str | None], None] = lambda ticket, error: None
        self._systems = systems
        self._frames = FrameEncoder()
        self._recent: dict[str, RecentFrames] = {}
        # Local events that are applied but not yet encoded, by system and shard, until the group is closed.
        self._unsent: dict[str, dict[int, list[Event]]] = {}
        self._durability = Durability(options.durability_rules)
        self._postponed_bytes = 0
        # Rows of the log in the open group; a checkpoint cuts the log where a group begins.
        self._log_rows = self._log_bytes = 0

    # --- what others put in

    def queue(self, shard: Shard, event: Event) -> None:
        """Takes a local event, to be logged and pushed."""
        sections = self._unsent.get(shard.system)
        if sections is None:
            self._unsent[shard.system] = {shard.number: [event]}
        else:
            events = sections.get(shard.number)
            if events is None:
                sections[shard.number] = [event]
            else:
                events.append(event)
        interval_ms = self._durability.of(shard.system, (event,))
        if interval_ms == SYNC_MS:
            self.barrier.expect()
        else:
            self._postpone(interval_ms)

    def log(self, message: bytes) -> None:
        """Has a message written to the log with the open group."""
        self.barrier.record(LogRecord(message))
        self._logged(message)

    def log_push(self, message: bytes, system: str, events: Iterable[Event]) -> None:
        """Has a push of a peer written to the log: with the open group, or later if all its entries allow it."""
        interval_ms = self._durability.of(system, events)
        if interval_ms == SYNC_MS:
            self.log(message)
        else:
            self._postpone(interval_ms)
            self._log_later(message)

    def _log_later(self, message: bytes) -> None:
        self.barrier.postpone(LogRecord(message))
        self._postponed_bytes += len(message)
        self._logged(message)

    def _logged(self, message: bytes) -> None:
        self._log_rows += 1
        self._log_bytes += len(message)
        self.checkpoints.logged(len(message))

    def _postpone(self, interval_ms: int) -> None:
        if interval_ms != NEVER_MS:
            due_ns = self.now_ns + interval_ms * _MILLISECOND_NS
            self.due_ns = due_ns if self.due_ns is None else min(self.due_ns, due_ns)

    def settle(self) -> None:
        """Has all that waits for its time written with the next flush."""
        self.due_ns = self.now_ns

    def keep(self, record: Record) -> None:
        """Has a row written with the open group."""
        self.barrier.record(record)

    def send(self, peer: str, message: bytes) -> None:
        """Sends a message of anti-entropy as soon as all that it could have seen is on disk."""
        if not self.barrier.hold(peer, message):
            self.outbox.send(peer, message)

    def announce(self, changes: Sequence[Change], size_bytes: int) -> None:
        """Reports changes, and counts their share of a message of this size as growth of their entries."""
        for entry, _ in changes:
            entry.size_bytes += size_bytes // len(changes)
            if CELL_MARK in entry.name.key:
                self.on_cell(entry)
        self.events += [Changed(entry.key, touched, False, entry.version) for entry, touched in changes]

    def announce_rows(self, system: str, names: Iterable[EntryName]) -> None:
        """Reports entries that came whole, and were not looked at."""
        self.events += [Changed(EntryKey(system, *name), WHOLE, False, 1) for name in names]

    def emit(self, event: OutputEvent) -> None:
        """Tells the driver of something."""
        self.events.append(event)

    def alarm(self, kind: AlarmKind, detail: str) -> None:
        """Reports something that an operator should see."""
        self.events.append(Alarm(kind, detail))

    def reject(self, peer: str, reason: str, detail: str) -> None:
        """Reports a payload that changed nothing."""
        self.events.append(Rejected(peer, reason, detail))

    def recent(self, system: str) -> RecentFrames:
        """The frames of a system seen lately."""
        return self._recent.setdefault(system, RecentFrames())

    def wait(self, ticket: Hashable | None) -> None:
        """Has `Committed(ticket)` emitted when all that could have been seen so far is on disk; at once if it is."""
        if ticket is None:
            return
        if self.is_tainted:
            self.events.append(CommitFailed(ticket, self.read_only_reason or ""))
        elif not self.barrier.wait(ticket):
            self.events.append(Committed(ticket))

    def wait_for_own_copy(self, ticket: OwnCopy) -> bool:
        """Has `on_own_copy` called when all that was applied so far is on disk; False when it is."""
        if self.is_tainted:
            self.on_own_copy(ticket, self.read_only_reason or "")
            return True
        return self.barrier.wait(ticket)

    def require_writable(self) -> None:
        """Refuses an update after a failed commit.

        Raises:
            StorageFailed: nothing was changed.
        """
        if self.read_only_reason is not None:
            raise StorageFailed(
                f"a disk that takes commits expected, it failed: {self.read_only_reason}; restart the node"
            )

    # --- the disk

    def persisted(self, seq: int) -> None:
        """All groups up to `seq` are on disk: what waited for them may leave."""
        for group in self.barrier.persisted(seq):
            for peer, message in group.sends:
                if peer is None:
                    self.outbox.broadcast(message)
                else:
                    self.outbox.send(peer, message)
            for ticket in group.tickets:
                if isinstance(ticket, OwnCopy):
                    self.on_own_copy(ticket, None)
                else:
                    self.events.append(Committed(ticket))

    def persist_failed(self, reason: str) -> None:
        """Nothing that waits will ever be on disk: nothing is applied or acknowledged from here on."""
        if self.is_tainted:
            return
        self.is_tainted = True
        self.read_only_reason = reason
        self._unsent.clear()
        for group in self.barrier.abandon():
            for ticket in group.tickets:
                if isinstance(ticket, OwnCopy):
                    self.on_own_copy(ticket, reason)
                else:
                    self.events.append(CommitFailed(ticket, reason))
        self.events.append(ReadOnly(reason))

    # --- what the driver takes

    def take_outgoing(self) -> list[Outgoing]:
        """Closes the open group: at most one `Persist`, then the payloads that may leave."""
        persist = self._close_group()
        payloads = self.outbox.take()
        return [*payloads] if persist is None else [persist, *payloads]

    def take_events(self) -> list[OutputEvent]:
        """What happened, in order."""
        events, self.events = self.events, []
        return events

    def _close_group(self) -> Outgoing | None:
        if self.is_tainted:
            return None
        barrier = self.barrier
        if self._unsent:
            self._encode_unsent()
            bound_ms = self._systems.clock.renew_bound(now_ms=self.wall_ms)
            if bound_ms is not None:
                barrier.postpone(clock_record(bound_ms))
        if not (barrier.is_open_awaited or self.checkpoints.is_running or self._is_due()):
            return None
        for record in self.checkpoints.records(self._systems, self._log_rows, self._log_bytes):
            barrier.postpone(record)
        self._log_rows = self._log_bytes = self._postponed_bytes = 0
        self.due_ns = None
        return barrier.close_group()

    def _is_due(self) -> bool:
        """Whether records for which nobody waits are to be written."""
        if self._postponed_bytes >= POSTPONED_BYTES_MAX:
            return True
        return self.due_ns is not None and self.due_ns <= self.now_ns

    def _encode_unsent(self) -> None:
        systems = self._systems
        for name, sections in self._unsent.items():
            system = systems.get(name)
            assert system is not None
            head = wire.header(wire.Kind.PUSH, systems.shards, name)
            recent = self.recent(name)
            for body, batch in self._frames.encode(system.table, systems.clock.time, sorted(sections.items())):
                message = head + body
                recent.remember(message, batch)
                if self.barrier.is_open_awaited:
                    self.log(message)
                else:
                    self._log_later(message)
                if not self.barrier.hold(None, message):
                    self.outbox.broadcast(message)
        self._unsent = {}
