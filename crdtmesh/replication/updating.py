"""Updates by commands: what they may touch, what rides along, and the event that each of them becomes.

Beside the entries that a caller names an update may change cells of its own: the operation ids of `repeats` and the
expiry of `expiring`. All of it is one event. Driven by `Replica`.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from crdtmesh.crdts import registry
from crdtmesh.crdts.base import Touched
from crdtmesh.crdts.dots import N_MAX
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.removals import removal_of
from crdtmesh.replication import repeats
from crdtmesh.replication.entry import Entry, EntryView, Snapshot
from crdtmesh.replication.errors import LimitExceeded, ReplicationError, SnapshotInUse, shown
from crdtmesh.replication.events import EntryName, Event
from crdtmesh.replication.expiring import NO_EXPIRY_MS, Expiry, cell_of, checked_ttl, writing
from crdtmesh.replication.options import ENTRY_BYTES_MAX, KEY_BYTES_MAX, OPERATIONS_PER_UPDATE_MAX
from crdtmesh.replication.outlet import Outlet
from crdtmesh.replication.outputs import Changed, EntryKey, EventRun
from crdtmesh.replication.shard import Change, Shard
from crdtmesh.replication.sizes import require_room
from crdtmesh.replication.systems import Systems, require_batch

# What an operation adds to an entry beside its arguments: dots, intervals, counts. Generous, since it only decides when
# an entry is measured.
_OPERATION_BYTES: Final = 32

Update = tuple[EntryKey, Sequence[Operation]]
"""An entry, and what is to be done to it."""

_Part = tuple[Entry, Sequence[Operation]]


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


class BatchResult(NamedTuple):
    """What an update of several entries did in memory.

    Attributes:
        event: its dots; None when no operation had an effect.
        entries: all of them, in the order in which they were named.
    """

    event: EventRun | None
    entries: tuple[EntryView, ...]


class Updates:
    """Turns commands into events.

    Args:
        systems: all that the replica holds.
        outlet: takes the events.
        require_writable: raises when no event can be made now.

    Attributes:
        expiry: which entries expire; set by the replica, which ties the two together.
    """

    expiry: Expiry

    def __init__(self, systems: Systems, outlet: Outlet, *, require_writable: Callable[[], None]) -> None:
        self._systems: Final = systems
        self._outlet: Final = outlet
        self._require_writable: Final = require_writable

    def update(
        self,
        key: EntryKey,
        operations: Sequence[Operation],
        *,
        ticket: Hashable | None,
        wall_ms: int,
        view: Snapshot | None,
        ttl_ms: int | None,
        operation_id: str = "",
    ) -> UpdateResult:
        """Changes one entry; see `Replica.update`."""
        outlet = self._outlet
        self._require_writable()
        outlet.wall_ms = wall_ms
        shard = self._systems.find_for(key)
        if view is not None and view.entry.key == key:
            entry: Entry | None = view.entry
        else:
            entry = shard.entries.find(key[1:]) if shard is not None else None
        if entry is not None and entry.is_hidden:
            self.remove_expired(key)
        ttl_ms = self._ttl_of(key, ttl_ms)
        is_new = entry is None
        if shard is None or entry is None:
            shard, entry = self.make(key)
        try:
            self._check(shard, entry, operations, view)
            if ttl_ms is not None or operation_id:
                beside = (ttl_ms, operation_id)
                return self._update_with(shard, entry, operations, ticket=ticket, view=view, beside=beside)
            done = shard.update(entry, operations, wall_ms)
        except Exception:
            if is_new:
                shard.entries.take_back(entry)
            raise
        if done is None:
            outlet.wait(ticket)
            return UpdateResult(None, (), entry)
        event, touched = done
        outlet.queue(shard, event)
        outlet.wait(ticket)
        outlet.events.append(Changed(entry.key, touched, True, entry.version))
        return UpdateResult(self._run(shard, event), touched, entry)

    def _update_with(
        self,
        shard: Shard,
        entry: Entry,
        operations: Sequence[Operation],
        *,
        ticket: Hashable | None,
        view: Snapshot | None,
        beside: tuple[int | None, str],
    ) -> UpdateResult:
        """One entry and what is kept beside it, its expiry or an operation id, in one event."""
        ttl_ms, operation_id = beside
        parts: list[_Part] = [(entry, operations)]
        with _taken_back(shard) as made:
            if ttl_ms is not None:
                cell, write = self._cell(shard, entry.key, ttl_ms, made)
                parts.append((cell, [write]))
            if operation_id:
                repeats.check_operation_id(operation_id)
                key = repeats.beside(entry.key)
                found = self.find(key)
                kept = () if found is None else found.value()
                note = repeats.noting(kept, operation_id, wall_ms=self._outlet.wall_ms)
                parts.append((self._entry(shard, key, note, made), note))
            run, changes = self._apply(shard, parts, ticket, view)
        touched = next((touched for changed, touched in changes if changed is entry), ())
        return UpdateResult(run, touched, entry)

    def update_batch(
        self,
        updates: Sequence[Update],
        *,
        ticket: Hashable | None,
        wall_ms: int,
        operation_id: str,
        ttl_ms: int | None,
    ) -> BatchResult:
        """Changes several entries of one shard; see `Replica.update_batch`."""
        outlet = self._outlet
        self._require_writable()
        outlet.wall_ms = wall_ms
        named = len(updates)
        if operation_id:
            repeats.check_operation_id(operation_id)
            beside = repeats.beside(updates[0][0])
            entry = self.find(beside)
            kept = () if entry is None else entry.value()
            if repeats.is_repeated(kept, operation_id, wall_ms=wall_ms):
                outlet.wait(ticket)
                return BatchResult(None, tuple(self.find(key) or self.make(key)[1] for key, _ in updates))
            updates = [*updates, (beside, repeats.noting(kept, operation_id, wall_ms=wall_ms))]
        keys = [key for key, _ in updates]
        ttls = [(key, found) for key in keys[:named] if (found := self._ttl_of(key, ttl_ms)) is not None]
        require_batch([*keys, *(cell_of(key) for key, _ in ttls)], shards=self._systems.shards)
        size = sum(_size_of(operations) for _, operations in updates)
        if size > ENTRY_BYTES_MAX:
            raise LimitExceeded(f"an update of at most {ENTRY_BYTES_MAX} bytes expected, {size} found; split it")
        shard = self._systems.find_for(keys[0]) or self._systems.make(keys[0].system).shard_of(keys[0].key)
        for key in keys:
            known = shard.entries.find(key[1:])
            if known is not None and known.is_hidden:
                self.remove_expired(key)
        with _taken_back(shard) as made:
            parts = [(self._entry(shard, key, operations, made), operations) for key, operations in updates]
            cells = [self._cell(shard, key, found, made) for key, found in ttls]
            run, _ = self._apply(shard, [*parts, *((cell, [write]) for cell, write in cells)], ticket, None)
        return BatchResult(run, tuple(entry for entry, _ in parts))

    def remove_expired(self, key: EntryKey) -> bool:
        """Removes an entry that has expired, with its cell: what was seen here of both; False when it can't be now."""
        shard = self._systems.find_for(key)
        try:
            self._require_writable()
            removal = removal_of(key.type_name)
        except (ReplicationError, UnknownType):
            return False
        if removal is None or shard is None:
            return False
        found = ((shard.entries.find(key[1:]), removal), (shard.entries.find(cell_of(key)[1:]), Operation("clear")))
        self._apply(shard, [(entry, [operation]) for entry, operation in found if entry is not None], None, None)
        return True

    # --- entries

    def find(self, key: EntryKey) -> Entry | None:
        """An entry, which may be bottom."""
        shard = self._systems.find_for(key)
        return shard.entries.find(key[1:]) if shard is not None else None

    def make(self, key: EntryKey) -> tuple[Shard, Entry]:
        """An entry that comes into being, without an event yet.

        Raises:
            UnknownType, LimitExceeded: nothing was changed.
        """
        system = self._systems.draft(key.system)
        if not 0 < len(key.key.encode()) <= KEY_BYTES_MAX:
            raise LimitExceeded(f"a key of 1 to {KEY_BYTES_MAX} bytes expected, {shown(key.key)} found")
        data_type = registry.get(key.type_name)
        self._systems.keep(system)
        shard = system.shard_of(key.key)
        return shard, shard.entries.make(EntryName(key.key, key.type_name), data_type)

    # --- inside

    def _ttl_of(self, key: EntryKey, ttl_ms: int | None) -> int | None:
        """The ttl that an update renews; None when it leaves the entry's expiry as it is, or as little as it is."""
        if ttl_ms is None:
            return self.expiry.rule_ms(key)
        checked = checked_ttl(key, ttl_ms)
        return None if checked == NO_EXPIRY_MS and self.expiry.of(key) is None else checked

    def _cell(self, shard: Shard, key: EntryKey, ttl_ms: int, made: list[Entry]) -> tuple[Entry, Operation]:
        name = cell_of(key)
        cell = shard.entries.find(name[1:])
        if cell is None:
            cell = self.make(name)[1]
            made.append(cell)
        return cell, writing(cell, ttl_ms, wall_ms=self._outlet.wall_ms)

    def _entry(self, shard: Shard, key: EntryKey, operations: Sequence[Operation], made: list[Entry]) -> Entry:
        """The entry of one part of a batch, checked; a new one is added to `made` too."""
        entry = shard.entries.find(key[1:])
        if entry is None:
            entry = self.make(key)[1]
            made.append(entry)
        self._check(shard, entry, operations, None)
        return entry

    def _apply(
        self, shard: Shard, parts: Sequence[_Part], ticket: Hashable | None, view: Snapshot | None
    ) -> tuple[EventRun | None, list[Change]]:
        """Makes one event of several entries, if any operation has an effect."""
        outlet = self._outlet
        done = shard.update_all(parts, outlet.wall_ms, view=view)
        if done is None:
            outlet.wait(ticket)
            return None, []
        event, changes = done
        outlet.queue(shard, event)
        outlet.wait(ticket)
        outlet.events += [Changed(entry.key, touched, True, entry.version) for entry, touched in changes]
        self._note_cells(entry for entry, _ in changes)
        return self._run(shard, event), changes

    def _note_cells(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if repeats.CELL_MARK in entry.name.key:
                self.expiry.noted(entry)

    def _run(self, shard: Shard, event: Event) -> EventRun:
        return EventRun(self._systems.clock.replica_id, event.first & N_MAX, event.last & N_MAX, shard.number)

    def _check(self, shard: Shard, entry: Entry, operations: Sequence[Operation], view: Snapshot | None) -> None:
        if entry.open_snapshot is not view:
            raise SnapshotInUse(f"{entry.key.key!r:.64} has another snapshot open than the one passed as view")
        if len(operations) > OPERATIONS_PER_UPDATE_MAX:
            raise LimitExceeded(
                f"at most {OPERATIONS_PER_UPDATE_MAX} operations expected, {len(operations)} found; split the update"
            )
        if require_room(entry, shard.table, _size_of(operations)) and not entry.is_large:
            entry.is_large = True
            self._outlet.alarm(
                "entry_large", f"entry {entry.key.key!r:.64} has {entry.size_bytes} bytes; split it over keys"
            )


@contextmanager
def _taken_back(shard: Shard) -> Iterator[list[Entry]]:
    """Entries that are put into the list were made for an update: they are forgotten again if it is refused."""
    made: list[Entry] = []
    try:
        yield made
    except Exception:
        for entry in reversed(made):
            shard.entries.take_back(entry)
        raise


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
