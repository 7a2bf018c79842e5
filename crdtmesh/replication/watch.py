"""One subscription: what it selects, what its reader was shown, and what it has still to be shown.

A watch is a small machine. It is free, or a batch of it waits for the disk (`committing`), or a batch waits for its
reader (`queue`). Only a free watch takes the next batch, so a slow reader costs one batch and the names of the keys
that changed meanwhile, however often they did. Batches that were handed over are kept for a while: a reader that
comes back names the last one that it got, and is given those behind it.
"""

import enum
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.repeats import SEPARATOR
from crdtmesh.replication.watch_values import Difference, Shown

# Handed-over batches of a watch that a reader may be given again: more than gRPC and the kernel hold of a stream whose
# client is gone (64 KiB windows, some socket buffers).
KEPT_BATCHES_MAX: Final = 64
KEPT_SIZE_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries of a system are watched.

    Attributes:
        system: the actor system.
        key: one key; None for all that begin with `prefix`.
        prefix: of the keys.
        type_name: only entries of this type; empty for all.
    """

    system: str
    key: str | None = None
    prefix: str = ""
    type_name: str = ""

    def has(self, key: EntryKey) -> bool:
        """Whether an entry is among them; what is kept beside one never is."""
        if key.system != self.system or self.type_name not in ("", key.type_name) or SEPARATOR in key.key:
            return False
        return key.key.startswith(self.prefix) if self.key is None else key.key == self.key


class WatchKind(enum.IntEnum):
    """What a reader is told of an entry; the numbers of `crdtmesh.v1.StateChange.Kind`."""

    PRESENT = 1
    """Part of the snapshot."""
    ABSENT = 2
    """There is no state under the one key that is watched: the whole snapshot."""
    CHANGED = 3
    DELETED = 4


class SnapshotReason(enum.IntEnum):
    """Why a snapshot begins; the numbers of `crdtmesh.v1.SnapshotReason`."""

    FIRST = 1
    OTHER_NODE = 2
    """The token is of another node, or of an earlier run of this one."""
    EXPIRED = 3
    """The reader was away for too long, or too much was underway."""
    OTHER_SELECTION = 4
    """The token is of a watch of other entries."""


class WatchEvent(NamedTuple):
    """One entry, and how it differs from what the reader was shown before.

    Attributes:
        kind: what happened.
        key: which entry.
        new: PRESENT, and CHANGED without difference: what it reads as.
        old: DELETED, and CHANGED without difference: what was shown before; None for an entry that is new.
        had: whether anything was shown before.
        difference: for sets and maps that changed.
        is_lagged: the reader was slow, and changes that it would have got one by one were joined into this one.
        is_expired: DELETED because its time was over, by this node's clock.
    """

    kind: WatchKind
    key: EntryKey
    new: PlainValue = None
    old: PlainValue = None
    had: bool = False
    difference: Difference | None = None
    is_lagged: bool = False
    is_expired: bool = False


class WatchBatch(NamedTuple):
    """What leaves as one message.

    Attributes:
        seq: number within the watch, from 1.
        begins: a snapshot begins here: what the reader has is to be forgotten.
        events: in order.
        completes: the snapshot is complete with this batch.
        size_bytes: about what it takes in memory.
    """

    seq: int
    begins: SnapshotReason | None
    events: tuple[WatchEvent, ...]
    completes: bool
    size_bytes: int


WatchEnd = Literal["limit_reached", "storage_failed"]


class Watch:
    """One subscription; changed by `watching.Watches` only.

    Attributes:
        number: its name within the run of the node.
        selection: what is watched.
        interval_ns: between batches, at least.
        begins: a snapshot begins with the next batch, and why.
        is_complete: the snapshot has been taken whole.
        snapshot: entries of the snapshot that are still to be taken, in order.
        dirty: entries that changed since they were shown; whether the reader missed changes of them.
        expired: those of them that have expired.
        shown: what the reader was shown, or is about to be.
        committing: a batch that waits for the disk.
        queue: batches that wait for the reader.
        kept: batches that were handed over, the last ones.
        parked_ns: since when there is no reader; None while there is one.
        end: why it has ended; None while it goes on.
        detail: of the end, for people.
        held_bytes: about what it takes in memory.
    """

    def __init__(self, number: int, selection: Selection, interval_ns: int, begins: SnapshotReason) -> None:
        self.number = number
        self.selection = selection
        self.interval_ns = interval_ns
        self.begins: SnapshotReason | None = begins
        self.is_complete = False
        self.snapshot: OrderedDict[EntryKey, bool] = OrderedDict()
        self.dirty: OrderedDict[EntryKey, bool] = OrderedDict()
        self.expired: set[EntryKey] = set()
        self.shown: dict[EntryKey, Shown] = {}
        self.committing: WatchBatch | None = None
        self.queue: deque[WatchBatch] = deque()
        self.kept: deque[WatchBatch] = deque()
        self.parked_ns: int | None = None
        self.end: WatchEnd | None = None
        self.detail = ""
        self.held_bytes = 0
        self._seq = 0
        self._kept_bytes = 0
        self._free_ns = 0

    @property
    def keys(self) -> int:
        """How many entries it remembers; one that was shown and changed counts twice."""
        return len(self.shown) + len(self.snapshot) + len(self.dirty)

    @property
    def is_free(self) -> bool:
        """Whether the next batch may be taken, once it is due."""
        return self.parked_ns is None and self.committing is None and not self.queue

    @property
    def has_work(self) -> bool:
        """Whether there is anything to put into a batch."""
        return not self.is_complete or bool(self.dirty)

    @property
    def due_ns(self) -> int:
        """When the next batch may be taken: a snapshot goes on at once, changes wait for the interval."""
        return self._free_ns if self.is_complete else 0

    def mark(self, key: EntryKey, now_ns: int, *, is_expired: bool = False) -> None:
        """An entry has changed, or has expired; it is removed some seconds later, which is another change."""
        if key in self.snapshot:
            return
        if is_expired:
            self.expired.add(key)
        was_marked = key in self.dirty
        is_late = (bool(self.queue) or self.parked_ns is not None) and now_ns >= self._free_ns
        self.dirty[key] = self.dirty.get(key, False) or (was_marked and is_late)

    def taken(self, events: list[WatchEvent], size_bytes: int, now_ns: int) -> WatchBatch | None:
        """Makes a batch of events that were taken; None when there is nothing to tell."""
        completes = not self.is_complete and not self.snapshot
        self.is_complete = self.is_complete or completes
        if not events and self.begins is None and not completes:
            return None
        self._seq += 1
        batch = WatchBatch(self._seq, self.begins, tuple(events), completes, size_bytes)
        self.begins = None
        self.committing = batch
        self.held_bytes += size_bytes
        self._free_ns = now_ns + self.interval_ns
        return batch

    def committed(self) -> None:
        """The batch is on disk, and may be read."""
        assert self.committing is not None
        self.queue.append(self.committing)
        self.committing = None

    def advance(self) -> None:
        """The reader has the first batch of the queue."""
        batch = self.queue.popleft()
        self.kept.append(batch)
        self._kept_bytes += batch.size_bytes
        while len(self.kept) > KEPT_BATCHES_MAX or self._kept_bytes > KEPT_SIZE_BYTES_MAX:
            dropped = self.kept.popleft()
            self._kept_bytes -= dropped.size_bytes
            self.held_bytes -= dropped.size_bytes

    def rewind(self, seq: int) -> bool:
        """Has the queue begin behind a batch that the reader has; False when a batch behind it is gone."""
        last = self._seq if self.committing is None else self.committing.seq - 1
        first = self.kept[0].seq if self.kept else self.queue[0].seq if self.queue else last + 1
        if not first - 1 <= seq <= last:
            return False
        while self.kept and self.kept[-1].seq > seq:
            batch = self.kept.pop()
            self._kept_bytes -= batch.size_bytes
            self.queue.appendleft(batch)
        while self.queue and self.queue[0].seq <= seq:
            self.advance()
        return True
