"""Watches of a replica driven by hand, and readers that check each event against what they were shown before."""

from __future__ import annotations

from dataclasses import dataclass, field

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue, encode
from crdtmesh.replication.outputs import Changed, CommitFailed, Committed, EntryKey
from crdtmesh.replication.watch import Selection, SnapshotReason, Watch, WatchBatch, WatchEvent, WatchKind
from crdtmesh.replication.watch_values import MapDifference, SetDifference
from crdtmesh.replication.watching import Watches, WatchOptions, WatchTicket
from tests.unit.crdtmesh.replication.mesh import Mesh

ALL = Selection(system="shop")


@dataclass
class Reader:
    """What somebody who reads a watch knows; a step that does not follow from what was shown is an error."""

    shown: dict[EntryKey, PlainValue] = field(default_factory=dict)
    token: str = ""
    reasons: list[SnapshotReason] = field(default_factory=list)
    is_complete: bool = False
    events: list[WatchEvent] = field(default_factory=list)

    def receive(self, batch: WatchBatch, token: str) -> None:
        if batch.begins is not None:
            self.shown.clear()
            self.reasons.append(batch.begins)
            self.is_complete = False
        for event in batch.events:
            self._apply(event)
        self.events += batch.events
        self.is_complete = self.is_complete or batch.completes
        self.token = token

    def take_events(self) -> list[WatchEvent]:
        events, self.events = self.events, []
        return events

    def _apply(self, event: WatchEvent) -> None:
        key = event.key
        if event.kind is WatchKind.PRESENT:
            assert not self.is_complete
            assert key not in self.shown
            self.shown[key] = event.new
        elif event.kind is WatchKind.ABSENT:
            assert {} == self.shown
        elif event.kind is WatchKind.DELETED:
            assert self.shown.pop(key) == event.old
        else:
            assert self.is_complete
            assert event.had == (key in self.shown)
            before = self.shown.get(key)
            after = self._changed(event, before)
            assert before != after
            self.shown[key] = after

    def _changed(self, event: WatchEvent, before: PlainValue) -> PlainValue:
        difference = event.difference
        if isinstance(difference, SetDifference):
            known = {encode(item): item for item in before or ()}  # type: ignore[union-attr]
            for item in difference.removed:
                del known[encode(item)]
            for item in difference.added:
                assert encode(item) not in known
                known[encode(item)] = item
            return tuple(known[data] for data in sorted(known))
        if isinstance(difference, MapDifference):
            entries = dict(before or {})  # type: ignore[arg-type]
            for change in difference.keys:
                assert change.had == (change.key in entries)
                assert entries.pop(change.key, None) == change.old
                if change.has:
                    entries[change.key] = change.new
            return entries
        assert event.old == before
        return event.new


class Desk:
    """A replica that is watched. Nothing happens by itself: `turn` is the engine's loop turn, `sync` the disk's."""

    def __init__(self, *, mesh: Mesh | None = None, options: WatchOptions | None = None, run: str = "run1") -> None:
        self.mesh = mesh or Mesh("a")
        self.node = self.mesh["a"]
        self.watches = Watches(self.node.replica, options or WatchOptions(), run=run)
        self.ready: list[Watch] = []
        self._seen = len(self.node.events)

    def open(self, selection: Selection = ALL, *, interval_ms: int = 0, token: str = "") -> Watch:
        interval_ns = interval_ms * 1_000_000
        return self.watches.open(selection, interval_ns=interval_ns, token=token, now_ns=self.mesh.now_ns)

    def update(self, key: EntryKey, *operations: Operation) -> None:
        self.mesh.update("a", key, *operations)

    def turn(self) -> None:
        self._take_events()
        for ticket in self.watches.tick(now_ns=self.mesh.now_ns):
            self.node.replica.barrier(ticket)
        self._take_events()

    def sync(self) -> None:
        """Turns, and puts all on disk, until nothing moves at this time."""
        for _ in range(1_000):
            self.turn()
            self.node.sync(now_ns=self.mesh.now_ns)
            self._take_events()
            due_ns = self.watches.next_deadline_ns()
            if due_ns is None or due_ns > self.mesh.now_ns:
                return
        raise AssertionError("turns without end")

    def advance_ms(self, ms: int) -> None:
        self.mesh.now_ns += ms * 1_000_000

    def read(self, watch: Watch, reader: Reader) -> None:
        """The reader takes one batch, if there is one."""
        if watch.queue:
            batch = watch.queue[0]
            reader.receive(batch, self.watches.token(watch, batch))
            self.watches.advance(watch)

    def read_all(self, watch: Watch, reader: Reader) -> None:
        """The reader takes all that comes, at this time."""
        self.sync()
        while watch.queue:
            self.read(watch, reader)
            self.sync()

    def state(self, selection: Selection = ALL) -> dict[EntryKey, PlainValue]:
        views = self.node.replica.entries(selection.system)
        return {view.key: view.value() for view in views if selection.has(view.key)}

    def _take_events(self) -> None:
        self.node.flush()
        new, self._seen = self.node.events[self._seen :], len(self.node.events)
        for event in new:
            if isinstance(event, Changed):
                self.watches.changed(event.key, now_ns=self.mesh.now_ns, is_expired=event.is_expired)
            elif isinstance(event, Committed) and isinstance(event.ticket, WatchTicket):
                self.watches.committed(event.ticket)
            elif isinstance(event, CommitFailed) and isinstance(event.ticket, WatchTicket):
                self.watches.commit_failed(event.ticket, event.reason)
        self.ready += self.watches.take_ready()
