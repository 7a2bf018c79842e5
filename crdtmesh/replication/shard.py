"""THE machine of one shard: its entries, what it has applied (E), what it knows (C), and which entry has which dots.

The rules that it keeps, and what breaks without them (facts of the data types, section 8.4):

- **A.** E and C are different sets. A delta's context names dots that it supersedes; knowing such a dot is not having
  applied its event, with *its* removals. What to repair is decided on E.
- **B.** A context is absorbed only together with all that it speaks for: an entry's context holds dots of that entry,
  or dots that this shard has applied itself.
- **C.** The context of a repaired entry reaches below what both sides have applied (`base`), or an element that was
  superseded there would stay.
- An event is applied all or nothing.

Every change comes through `apply_event` or `apply_states`: local updates, pushes, repairs and the log at a start.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final

from crdtmesh.crdts import deltas
from crdtmesh.crdts.base import Delta, Touched
from crdtmesh.crdts.clock import HybridClock, Stamp
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, ReplicaTable
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.events import AnyDelta, AnyType, EntryName, EntryState, Event, KeyDelta, covers
from crdtmesh.replication.index import DotIndex
from crdtmesh.replication.options import ENTRIES_PER_SHARD_MAX, ENTRY_BYTES_MAX, ENTRY_BYTES_SOFT

Change = tuple[Entry, Touched]


class OwnDots:
    """What mutators may ask of the shard's own replica id. Dots are taken for good only by `apply_event`."""

    __slots__ = ("_clock", "next", "replica", "table", "wall_ms")

    def __init__(self, table: ReplicaTable, clock: HybridClock) -> None:
        self.table: Final = table
        self._clock = clock
        self.wall_ms = 0
        self.replica = table.intern(clock.replica_id)
        self.next: Dot = self.replica << DOT_BITS | 1

    def renew(self, clock: HybridClock) -> None:
        """Continues under the replica id of another clock, which was never used before."""
        self._clock = clock
        self.replica = self.table.intern(clock.replica_id)
        self.next = self.replica << DOT_BITS | 1

    def next_dot(self) -> Dot:
        """The next dot of the own replica id."""
        dot = self.next
        self.next = dot + 1
        return dot

    def stamp(self, after: Stamp | None) -> Stamp:
        """A stamp of the node's clock, greater than all before and than `after`."""
        return self._clock.stamp(now_ms=self.wall_ms, after=after)


class Shard:
    """Entries under one numbering, one E and one C.

    Args:
        system: whose shard it is.
        clock: of the replica.
        number: which of the system's shards.
        table: replica ids of its dots; shared by the shards of one system, or its own.

    Attributes:
        system: whose shard it is.
        number: which of the system's shards.
        table: replica ids of this shard's dots.
        applied: E, the events whose every effect is in the entries.
        known: C, the dots that the entries speak for; E is part of it.
        index: which entry each dot of C belongs to.
        spans: which event of several keys each dot of such events belongs to, numbered as they came.
        mutation: the own replica id, and its next dot.
        revision: grows when E grows.
        dirty: entries changed since the last checkpoint took them.
    """

    __slots__ = (
        "_entries",
        "_numbered",
        "_span_runs",
        "applied",
        "dirty",
        "index",
        "known",
        "mutation",
        "number",
        "revision",
        "spans",
        "system",
        "table",
    )

    def __init__(self, system: str, clock: HybridClock, *, number: int = 0, table: ReplicaTable | None = None) -> None:
        self.system: Final = system
        self.number: Final = number
        self.table: Final = ReplicaTable() if table is None else table
        self.applied = CausalContext(self.table)
        self.known = CausalContext(self.table)
        self.index = DotIndex()
        self.spans = DotIndex()
        self._span_runs: list[tuple[Dot, Dot]] = []
        self.mutation = OwnDots(self.table, clock)
        self.revision = 0
        self.dirty: list[Entry] = []
        self._entries: dict[tuple[str, str], Entry] = {}
        self._numbered: list[Entry | None] = []

    # --- entries

    def restore_entry(self, name: EntryName, data_type: AnyType, number: int, store: Any, size_bytes: int) -> None:
        """Puts an entry from disk back under its number; numbers in between belong to entries that come later.

        Raises:
            ValueError: the number or the name is taken, or the number is out of bounds.
        """
        if not 0 <= number < ENTRIES_PER_SHARD_MAX or name in self._entries:
            raise ValueError(f"entry number {number} of {name.key!r:.64} is out of bounds or its name is taken")
        while len(self._numbered) <= number:
            self._numbered.append(None)
        if self._numbered[number] is not None:
            raise ValueError(f"entry number {number} is taken")
        entry = Entry(self.system, name, number, data_type)
        entry.store, entry.size_bytes, entry.version = store, size_bytes, 1
        self._entries[name] = entry
        self._numbered[number] = entry

    def find(self, name: tuple[str, str]) -> Entry | None:
        """The entry of a name, which may be bottom."""
        return self._entries.get(name)

    def entry(self, name: EntryName, data_type: AnyType) -> Entry:
        """The entry of a name, made if it is new.

        Raises:
            LimitExceeded: it would be one too many; nothing was changed.
        """
        entry = self._entries.get(name)
        if entry is None:
            if len(self._numbered) >= ENTRIES_PER_SHARD_MAX:
                raise LimitExceeded(f"system {self.system!r:.64} holds {ENTRIES_PER_SHARD_MAX} entries, its limit")
            entry = Entry(self.system, name, len(self._numbered), data_type)
            self._entries[name] = entry
            self._numbered.append(entry)
        return entry

    def drop_unused(self, entry: Entry) -> None:
        """Takes back an entry that was just made and that nothing was applied to."""
        if self._numbered[-1] is entry:
            self._numbered.pop()
            del self._entries[entry.name]

    def numbered(self, number: int) -> Entry:
        """The entry of a number that the index gave."""
        entry = self._numbered[number]
        assert entry is not None
        return entry

    @property
    def entry_count(self) -> int:
        """Number of entries, those included that are bottom now."""
        return len(self._entries)

    def sorted_entries(self, prefix: str = "") -> Iterator[Entry]:
        """Entries that are not bottom, in order of key and type."""
        for name in sorted(name for name in self._entries if name[0].startswith(prefix)):
            entry = self._entries[name]
            if not entry.is_bottom:
                yield entry

    def canonical_fields(self) -> Iterator[bytes]:
        """Key, type and live store of each entry that is not bottom: equal for equal states, on every node."""
        for entry in self.sorted_entries():
            yield entry.name.key.encode()
            yield entry.name.type_name.encode()
            yield deltas.encode_store(entry.data_type, entry.store, self.table)

    # --- local updates

    def update(self, entry: Entry, operations: Sequence[Operation], wall_ms: int) -> tuple[Event, Touched] | None:
        """Applies operations to an entry, and to its open snapshot, against which they are computed.

        Returns:
            The event and what it changed, or None when no operation had an effect.

        Raises:
            InvalidOperation: an operation does not fit; nothing was changed.
        """
        mutation = self.mutation
        mutation.wall_ms = wall_ms
        first = mutation.next
        snapshot = entry.open_snapshot
        seen = entry.store if snapshot is None else snapshot.store
        try:
            if len(operations) == 1:
                delta = entry.data_type.mutate(seen, operations[0], mutation)
            else:
                delta = self._mutate_all(entry.data_type, seen, operations)
        except Exception:
            # Nobody has seen these dots, so they are free again.
            mutation.next = first
            raise
        if delta is None:
            return None
        if snapshot is not None and snapshot.own_store is not None:
            snapshot.own_store, _ = entry.data_type.absorb(snapshot.own_store, self.known, delta)
        event = Event(first, mutation.next - 1, (KeyDelta(entry.name, entry.data_type, delta),))
        touched = self._absorb(entry, delta)
        self._count_applied(event)
        return event, touched

    def _mutate_all(self, data_type: AnyType, seen: Any, operations: Sequence[Operation]) -> AnyDelta | None:
        """The joined delta of several operations, each computed on what the ones before it left.

        They work on a copy, so that a refusal half way leaves nothing.
        """
        scratch = data_type.copy(seen)
        merged, context = data_type.bottom(), CausalContext(self.table)
        for operation in operations:
            delta = data_type.mutate(scratch, operation, self.mutation)
            if delta is None:
                continue
            # The dots are fresh, so C of before the update serves for all of them.
            scratch, _ = data_type.absorb(scratch, self.known, delta)
            merged, _ = data_type.absorb(merged, context, delta)
            context.update(delta.context)
        return Delta(merged, context) if context else None

    # --- applying; also what was loaded and received

    def has_applied(self, first: Dot, last: Dot) -> bool:
        """Whether E holds a whole run."""
        return covers(self.applied, first, last)

    def apply_event(self, event: Event) -> list[Change]:
        """Joins an event of another replica, or of the log. Complexity: O(event).

        Returns:
            The entries that became different.

        Raises:
            LimitExceeded: too many entries; nothing was changed.
        """
        entries = [self.entry(part.name, part.data_type) for part in event.parts]
        changes: list[Change] = []
        for entry, part in zip(entries, event.parts, strict=True):
            entry.detach()
            touched = self._absorb(entry, part.delta)
            if touched:
                changes.append((entry, touched))
        if len(event.parts) > 1:
            self.add_span(event.first, event.last)
        self._count_applied(event)
        return changes

    def apply_states(self, base: CausalContext, states: Sequence[EntryState]) -> tuple[list[Change], bool]:
        """Joins entry states that were sent to a replica with at least `base` applied.

        The caller has checked that E holds `base`; so its dots may be part of every entry's context, and absorbing them
        into C claims nothing new (rules B and C).

        Returns:
            The entries that became different, and whether E grew.

        Raises:
            LimitExceeded: too many entries; nothing was changed.
        """
        entries = [self.entry(state.name, state.data_type) for state in states]
        changes: list[Change] = []
        # One context for all: a dot of another entry is never live in this one, so it speaks for nothing here.
        scoped = base.copy()
        for state in states:
            scoped.update(state.context)
        events = CausalContext(self.table)
        for entry, state in zip(entries, states, strict=True):
            entry.detach()
            entry.store, touched = entry.data_type.absorb(entry.store, self.known, Delta(state.store, scoped))
            self._learn(entry, state.context)
            self._mark(entry)
            events.update(state.context.difference(state.unapplied) if state.unapplied else state.context)
            if touched:
                entry.version += 1
                changes.append((entry, touched))
        if events.issubset(self.applied):
            return changes, False
        self.applied.update(events)
        self.revision += 1
        return changes, True

    def add_span(self, first: Dot, last: Dot) -> None:
        """Remembers that these dots are one event of several keys."""
        self.spans.add(first >> DOT_BITS, first & N_MAX, last & N_MAX, len(self._span_runs))
        self._span_runs.append((first, last))

    @property
    def span_count(self) -> int:
        """Number of events of several keys."""
        return len(self._span_runs)

    def span_runs(self, start: int, stop: int) -> list[tuple[Dot, Dot]]:
        """Events of several keys, by the order in which they came."""
        return self._span_runs[start:stop]

    def spans_within(self, first: Dot, last: Dot) -> list[tuple[Dot, Dot]]:
        """The events of several keys that have a dot in `first..last`, each as its whole run."""
        return [
            self._span_runs[number] for _, _, number in self.spans.runs(first >> DOT_BITS, first & N_MAX, last & N_MAX)
        ]

    def owners_within(self, first: Dot, last: Dot) -> Iterator[tuple[Dot, Dot, int]]:
        """The runs of dots in `first..last`, each with the number of the entry that it belongs to."""
        base = first >> DOT_BITS << DOT_BITS
        for low, high, number in self.index.runs(first >> DOT_BITS, first & N_MAX, last & N_MAX):
            yield base | low, base | high, number

    def is_above(self, context: CausalContext) -> bool:
        """Whether a context claims dots of our own replica id that were never issued."""
        return context.greatest(self.mutation.replica) >= self.mutation.next & N_MAX

    def _absorb(self, entry: Entry, delta: AnyDelta) -> Touched:
        entry.store, touched = entry.data_type.absorb(entry.store, self.known, delta)
        if touched:
            entry.version += 1
        self._learn(entry, delta.context)
        self._mark(entry)
        return touched

    def _learn(self, entry: Entry, context: CausalContext) -> None:
        """C gets the dots of an entry, and the index what was new among them."""
        known = self.known.bounds
        bounds = context.bounds
        for at in range(0, len(bounds), 2):
            first, stop = bounds[at], bounds[at + 1]
            inside = bisect_right(known, first)
            if not inside & 1 or known[inside] < stop:
                self.index.add(first >> DOT_BITS, first & N_MAX, (stop - 1) & N_MAX, entry.number)
        self.known.update(context)

    def _count_applied(self, event: Event) -> None:
        if event.first == event.last:
            self.applied.add(event.first)
        else:
            self.applied.add_run(event.first, event.last)
        self.revision += 1

    def _mark(self, entry: Entry) -> None:
        if not entry.is_dirty:
            entry.is_dirty = True
            self.dirty.append(entry)

    # --- what others ask

    def measure(self, entry: Entry) -> int:
        """The encoded size of an entry, exactly. Complexity: O(entry)."""
        entry.size_bytes = len(deltas.encode_store(entry.data_type, entry.store, self.table))
        return entry.size_bytes

    def require_room(self, entry: Entry, size_bytes: int) -> bool:
        """Counts an update of roughly this size; an entry is measured when the sum of such estimates passes a limit.

        Returns:
            Whether the entry is above the soft limit.

        Raises:
            LimitExceeded: the update would push the entry above the hard limit; nothing was changed.
        """
        estimate = entry.size_bytes + size_bytes
        if estimate <= ENTRY_BYTES_SOFT:
            entry.size_bytes = estimate
            return False
        if not entry.is_large or estimate > ENTRY_BYTES_MAX:
            estimate = self.measure(entry) + size_bytes
        if estimate > ENTRY_BYTES_MAX:
            raise LimitExceeded(
                f"entry {entry.key.key!r:.64} of {entry.size_bytes} bytes would exceed {ENTRY_BYTES_MAX} bytes with "
                f"{size_bytes} more; split it over several keys"
            )
        entry.size_bytes = estimate
        return estimate > ENTRY_BYTES_SOFT
