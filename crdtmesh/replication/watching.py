"""All subscriptions of a node: marks what changed, takes batches when they are due, within bounds.

A core. It is told which entries changed, reads them from the replica when a batch is due, and names a ticket for each
batch: what was read may be shown when the replica's barrier has passed it. What a reader gets is decided by versions
and values, not by counting notices: a change is shown once, and none is skipped, whatever the order of notices was.
Snapshots go through the same machine, some entries at a time, so that a big one holds up nothing else.

Left out: streams and waiting (`crdtmesh.watch_streams`), levels (a watch shows what is on this node's disk).
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from crdtmesh.crdts import registry
from crdtmesh.errors import MeshError
from crdtmesh.replication.entry import EntryView
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.watch import Selection, SnapshotReason, Watch, WatchBatch, WatchEnd, WatchEvent, WatchKind
from crdtmesh.replication.watch_values import Shown, difference, is_same, size_of

# A batch is one message: so many entries, or about so many bytes and one entry more, far below the edge's 16 MiB.
BATCH_EVENTS_MAX: Final = 256
BATCH_SIZE_BYTES_MAX: Final = 512 * 1024

# Entries read in one turn of the engine, which serves calls too: some milliseconds.
READS_PER_TICK_MAX: Final = 1_024

INTERVAL_MS_MAX: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """Bounds of all subscriptions of a node.

    Attributes:
        watches_max: readers and those that may come back; a change is compared with each prefix that is watched.
        keys_max: entries that one watch remembers, about 200 bytes each beside their values.
        held_bytes_max: values and batches of all watches, as if none were shared.
        parked_ns_max: how long a reader may be away and go on where it was.
    """

    watches_max: int = 1_024
    keys_max: int = 100_000
    held_bytes_max: int = 256 * 1024 * 1024
    parked_ns_max: int = 60_000_000_000

    def __post_init__(self) -> None:
        if min(self.watches_max, self.keys_max, self.held_bytes_max, self.parked_ns_max) < 1:
            raise ValueError("bounds of watches: 1 or more expected")


class WatchRefused(MeshError):
    """A watch was not opened; nothing was changed. `is_limit`: by a bound of the node, else by what was asked."""

    def __init__(self, message: str, *, is_limit: bool) -> None:
        super().__init__(message)
        self.is_limit = is_limit


class WatchTicket(NamedTuple):
    """Names a batch to the replica's barrier."""

    watch: int
    batch: int


class Source(Protocol):
    """What is watched; a `Replica`."""

    def read(self, key: EntryKey) -> EntryView | None:
        """An entry, or None when it has no state."""

    def entries(self, system: str, prefix: str = "") -> Iterator[EntryView]:
        """The entries with state whose key has a prefix, in order."""


class Watches:
    """The subscriptions of one node.

    Args:
        source: where entries are read.
        options: bounds.
        run: names this run of this node in tokens; letters and digits, no other run has it.
    """

    def __init__(self, source: Source, options: WatchOptions, *, run: str) -> None:
        self._source = source
        self._options = options
        self._run = run
        self._numbers = 0
        self._watches: dict[int, Watch] = {}
        self._by_key: dict[tuple[str, str], dict[int, Watch]] = {}
        self._by_prefix: dict[str, dict[int, Watch]] = {}
        self._active: OrderedDict[int, Watch] = OrderedDict()
        self._parked: OrderedDict[int, Watch] = OrderedDict()
        self._shared: WeakValueDictionary[EntryKey, Shown] = WeakValueDictionary()
        self._ready: dict[int, Watch] = {}
        self.held_bytes = 0

    def __len__(self) -> int:
        """How many there are, those included whose reader is away."""
        return len(self._watches)

    # --- readers

    def open(self, selection: Selection, *, interval_ns: int, token: str = "", now_ns: int) -> Watch:
        """Begins a watch with a snapshot, or goes on with one from what its reader had.

        Args:
            selection: what to watch.
            interval_ns: between batches, at least; 0 for none.
            token: of the last batch that the reader has; empty to begin.
            now_ns: monotonic time.

        Raises:
            WatchRefused: nothing was changed.
        """
        if not 0 <= interval_ns <= INTERVAL_MS_MAX * 1_000_000:
            raise WatchRefused(f"interval_ms: 0 to {INTERVAL_MS_MAX} expected", is_limit=False)
        reason = SnapshotReason.FIRST
        if token:
            resumed = self._resume(token, selection, interval_ns)
            if isinstance(resumed, Watch):
                return resumed
            reason = resumed
        keys = self._select(selection)
        if not self._make_room(self._options.watches_max - 1):
            raise WatchRefused(f"{self._options.watches_max} watches are open on this node, its limit", is_limit=True)
        self._numbers += 1
        watch = Watch(self._numbers, selection, interval_ns, reason)
        watch.snapshot.update(dict.fromkeys(keys, False))
        self._watches[watch.number] = watch
        self._index(watch)[watch.number] = watch
        self._active[watch.number] = watch
        return watch

    def token(self, watch: Watch, batch: WatchBatch) -> str:
        """What a reader that has this batch goes on with."""
        return f"{self._run}.{watch.number}.{batch.seq}"

    def advance(self, watch: Watch) -> None:
        """The reader has the first batch of the queue."""
        held = watch.held_bytes
        watch.advance()
        self.held_bytes += watch.held_bytes - held
        self._activate(watch)

    def park(self, watch: Watch, *, now_ns: int) -> None:
        """The reader is gone; it may come back."""
        if watch.number in self._watches and watch.parked_ns is None:
            watch.parked_ns = now_ns
            self._parked[watch.number] = watch
            self._active.pop(watch.number, None)

    # --- the replica

    def changed(self, key: EntryKey, *, now_ns: int, is_expired: bool = False) -> None:
        """An entry has changed, or has expired. Complexity: O(1), and O(watches of prefixes in its system)."""
        if not self._watches:
            return
        watches = [*self._by_key.get((key.system, key.key), {}).values(), *self._by_prefix.get(key.system, {}).values()]
        for watch in watches:
            if watch.selection.has(key):
                watch.mark(key, now_ns, is_expired=is_expired)
                if watch.keys > 2 * self._options.keys_max:
                    self._finish(watch, "limit_reached", self._too_many())
                else:
                    self._activate(watch)

    def tick(self, *, now_ns: int) -> list[WatchTicket]:
        """Takes the batches that are due; each may be shown when the barrier has passed its ticket."""
        while self._parked:
            watch = next(iter(self._parked.values()))
            if now_ns < (watch.parked_ns or 0) + self._options.parked_ns_max:
                break
            self._drop(watch)
        tickets: list[WatchTicket] = []
        reads_left = READS_PER_TICK_MAX
        for watch in [*self._active.values()]:
            if reads_left <= 0:
                break
            if watch.due_ns <= now_ns:
                reads_left -= self._take(watch, min(reads_left, BATCH_EVENTS_MAX), now_ns)
                if watch.committing is not None:
                    tickets.append(WatchTicket(watch.number, watch.committing.seq))
                if not (watch.is_free and watch.has_work):
                    self._active.pop(watch.number, None)
                elif watch.number in self._active:
                    self._active.move_to_end(watch.number)
        return tickets

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted again."""
        times = [watch.due_ns for watch in self._active.values()]
        if self._parked:
            first = next(iter(self._parked.values()))
            times.append((first.parked_ns or 0) + self._options.parked_ns_max)
        return min(times, default=None)

    def committed(self, ticket: WatchTicket) -> None:
        """What a batch shows is on disk."""
        watch = self._watches.get(ticket.watch)
        if watch is not None and watch.committing is not None:
            watch.committed()
            self._ready[watch.number] = watch

    def commit_failed(self, ticket: WatchTicket, reason: str) -> None:
        """What a batch would show will never be on disk: its watch ends."""
        watch = self._watches.get(ticket.watch)
        if watch is not None:
            self._finish(watch, "storage_failed", reason)

    def take_ready(self) -> list[Watch]:
        """The watches that have something for their readers: a batch in the queue, or an end."""
        ready, self._ready = self._ready, {}
        return list(ready.values())

    # --- inside

    def _resume(self, token: str, selection: Selection, interval_ns: int) -> Watch | SnapshotReason:
        run, _, rest = token.partition(".")
        number, _, seq = rest.partition(".")
        if not (run.isalnum() and number.isdecimal() and seq.isdecimal() and len(rest) <= 40):
            raise WatchRefused("resume_token is not one of ours; start without it", is_limit=False)
        if run != self._run:
            return SnapshotReason.OTHER_NODE
        watch = self._watches.get(int(number))
        if watch is None:
            return SnapshotReason.EXPIRED
        if watch.selection != selection:
            return SnapshotReason.OTHER_SELECTION
        held = watch.held_bytes
        is_known = watch.rewind(int(seq))
        self.held_bytes += watch.held_bytes - held
        if not is_known:
            return SnapshotReason.EXPIRED
        watch.parked_ns = None
        watch.interval_ns = interval_ns
        self._parked.pop(watch.number, None)
        self._activate(watch)
        if watch.queue:
            self._ready[watch.number] = watch
        return watch

    def _select(self, selection: Selection) -> list[EntryKey]:
        """The entries of a selection that have state now."""
        if selection.key is None:
            keys = [view.key for view in self._source.entries(selection.system, selection.prefix)]
        else:
            named = [EntryKey(selection.system, selection.key, name) for name in registry.names()]
            keys = [key for key in named if self._source.read(key) is not None]
        keys = [key for key in keys if selection.has(key)]
        if len(keys) > self._options.keys_max:
            raise WatchRefused(self._too_many(), is_limit=True)
        return keys

    def _too_many(self) -> str:
        return f"more than {self._options.keys_max} entries are selected, the limit of a watch; name a longer prefix"

    def _index(self, watch: Watch) -> dict[int, Watch]:
        """The watches that are told of the same changes."""
        selection = watch.selection
        if selection.key is None:
            return self._by_prefix.setdefault(selection.system, {})
        return self._by_key.setdefault((selection.system, selection.key), {})

    def _activate(self, watch: Watch) -> None:
        if watch.is_free and watch.has_work and watch.number in self._watches:
            self._active[watch.number] = watch

    def _take(self, watch: Watch, count: int, now_ns: int) -> int:
        """Takes the next batch; how many entries were read for it."""
        events: list[WatchEvent] = []
        size_bytes = reads = 0
        pending = watch.dirty if watch.is_complete else watch.snapshot
        before = watch.held_bytes
        while pending and reads < count and size_bytes < BATCH_SIZE_BYTES_MAX:
            key, is_lagged = pending.popitem(last=False)
            reads += 1
            event = self._event(watch, key, is_lagged=is_lagged)
            if event is not None:
                events.append(event)
                size_bytes += _size(event)
        selection = watch.selection
        if not watch.is_complete and not watch.snapshot and not watch.shown and selection.key is not None:
            key = EntryKey(selection.system, selection.key, selection.type_name)
            events.append(WatchEvent(WatchKind.ABSENT, key))
        watch.taken(events, size_bytes, now_ns)
        self.held_bytes += watch.held_bytes - before
        if self.held_bytes > self._options.held_bytes_max and not self._make_room(self._options.watches_max):
            self._finish(watch, "limit_reached", "the watches of this node hold too much, its limit; watch less")
        return max(reads, 1)

    def _event(self, watch: Watch, key: EntryKey, *, is_lagged: bool) -> WatchEvent | None:
        """What the reader is to be told of an entry; None when it has been shown the same."""
        old, new = watch.shown.get(key), self._read(key)
        is_expired = key in watch.expired
        watch.expired.discard(key)
        if new is None:
            if old is None:
                return None
            del watch.shown[key]
            watch.held_bytes -= old.size_bytes
            return WatchEvent(
                WatchKind.DELETED, key, old=old.value, had=True, is_lagged=is_lagged, is_expired=is_expired
            )
        if old is not None and old.version == new.version:
            return None
        watch.shown[key] = new
        watch.held_bytes += new.size_bytes - (old.size_bytes if old is not None else 0)
        if not watch.is_complete:
            return WatchEvent(WatchKind.PRESENT, key, new=new.value)
        if old is not None and is_same(old.value, new.value):
            return None
        changed = difference(key.type_name, old, new)
        if changed is not None:
            return WatchEvent(WatchKind.CHANGED, key, had=old is not None, difference=changed, is_lagged=is_lagged)
        return WatchEvent(
            WatchKind.CHANGED,
            key,
            new=new.value,
            old=old.value if old is not None else None,
            had=old is not None,
            is_lagged=is_lagged,
        )

    def _read(self, key: EntryKey) -> Shown | None:
        """What an entry reads as; one object for all watches that read the same version."""
        view = self._source.read(key)
        if view is None:
            return None
        shown = self._shared.get(key)
        if shown is None or shown.version != view.version:
            shown = self._shared[key] = Shown(view.version, view.value())
        return shown

    def _make_room(self, watches_max: int) -> bool:
        """Forgets readers that are away, the longest one first, while there is too much; whether that was enough."""
        options = self._options
        while len(self._watches) > watches_max or self.held_bytes > options.held_bytes_max:
            if not self._parked:
                return False
            self._drop(next(iter(self._parked.values())))
        return True

    def _finish(self, watch: Watch, end: WatchEnd, detail: str) -> None:
        """Ends a watch, and has its reader told."""
        watch.end, watch.detail = end, detail
        self._drop(watch)
        self._ready[watch.number] = watch

    def _drop(self, watch: Watch) -> None:
        for table in (self._watches, self._active, self._parked):
            table.pop(watch.number, None)
        same = self._index(watch)
        same.pop(watch.number, None)
        if not same:
            selection = watch.selection
            if selection.key is None:
                del self._by_prefix[selection.system]
            else:
                del self._by_key[selection.system, selection.key]
        self.held_bytes -= watch.held_bytes
        watch.held_bytes = 0


def _size(event: WatchEvent) -> int:
    parts = (event.new, event.old, event.difference)
    return sum(size_of(part) for part in parts if part is not None) + size_of(event.key.key)
