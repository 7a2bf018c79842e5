"""THE machine of one shard: its entries, what it has applied (E), what it knows (C), and which entry has which dots.

The rules that it keeps, and what breaks without them (facts of the data types, section 8.4):

- **A.** E and C are different sets. A delta's context names dots that it supersedes; knowing such a dot is not having
  applied its event, with *its* removals. What to repair is decided on E.
- **B.** A context is absorbed only together with all that it speaks for: an entry's context holds dots of that entry,
  or dots that this shard has applied itself.
- **C.** The context of a repaired entry reaches below what both sides have applied (`base`), or an element that was
  superseded there would stay.
- **D.** A replica that lacks events which the index has forgotten gets all that differs, and takes over the sender's
  contexts only when it has all of it (`take_over`).
- An event is applied all or nothing.

Always: the dots of entries are in C, E is part of C, L is part of E, and each dot of C above L is in the index. Every
change comes through `update`, `apply_event`, `apply_states` or `take_over`, also that of the log at a start.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from crdtmesh.crdts.base import Delta, Touched
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, ReplicaTable
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.carrying import canonical
from crdtmesh.replication.entries import EntryTable
from crdtmesh.replication.entry import Entry, Snapshot
from crdtmesh.replication.events import AnyDelta, AnyType, EntryName, EntryState, Event, KeyDelta, covers
from crdtmesh.replication.fingerprints import Fingerprints
from crdtmesh.replication.index import DotIndex
from crdtmesh.replication.invariants import check
from crdtmesh.replication.own_dots import OwnDots
from crdtmesh.replication.rows import canonical_in

Change = tuple[Entry, Touched]

NO_ROWS: Final[Mapping[EntryName, bytes]] = MappingProxyType({})


class StaleOffer(Exception):
    """A replica offers its shard on the ground of what this one no longer is; `args[0]` says how that shows."""


class Offered(NamedTuple):
    """The contexts of a replica that hands over its shard.

    Attributes:
        known: its C.
        applied: its E.
        low: its L.
        late: of its C, what became known here after entries were compared.
    """

    known: CausalContext
    applied: CausalContext
    low: CausalContext
    late: CausalContext


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
        low: L, for each replica id a prefix of E below which the index is trimmed.
        index: which entry each dot of C above L belongs to.
        entries: all that are or were in it.
        spans: which event of several keys each dot of such events belongs to, numbered as they came.
        mutation: the own replica id, and its next dot.
        revision: grows when E grows.
        dirty: numbers of entries changed since the last checkpoint took them.
        trims: grows when the index is trimmed.
    """

    __slots__ = (
        "_fingerprints",
        "_span_runs",
        "applied",
        "dirty",
        "entries",
        "index",
        "known",
        "low",
        "mutation",
        "number",
        "revision",
        "spans",
        "system",
        "table",
        "trims",
    )

    def __init__(self, system: str, clock: HybridClock, *, number: int = 0, table: ReplicaTable | None = None) -> None:
        self.system: Final = system
        self.number: Final = number
        self.table: Final = ReplicaTable() if table is None else table
        self.applied = CausalContext(self.table)
        self.known = CausalContext(self.table)
        self.entries = EntryTable(system, self.table)
        self.index = DotIndex()
        self.spans = DotIndex()
        self._span_runs: list[tuple[Dot, Dot]] = []
        self.mutation = OwnDots(self.table, clock)
        self.revision = 0
        self.dirty: list[int] = []
        self.low = CausalContext(self.table)
        self.trims = 0
        self._fingerprints: Fingerprints | None = None

    def canonical_fields(self) -> Iterator[bytes]:
        """Key, type and live store of each entry that is not bottom: equal for equal states, on every node."""
        for name, number in self.entries.sorted_names():
            row = self.entries.packed(number)
            content = None if row is None else canonical_in(row)[1]
            if content is None:
                entry = self.entries.peek(number)
                if entry is None or entry.is_bottom:
                    continue
                content = canonical(entry.data_type, entry.store, self.table)
            yield name[0].encode()
            yield name[1].encode()
            yield content

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
        entry.store, touched = entry.data_type.absorb(entry.store, self.known, delta)
        if touched:
            entry.version += 1
        # What the event supersedes was seen in this entry, so C and the index have it; its own run is news to both.
        self.index.add(first >> DOT_BITS, first & N_MAX, event.last & N_MAX, entry.number)
        if event.last == first:
            self.known.add(first)
            self.applied.add(first)
        else:
            self.known.add_run(first, event.last)
            self.applied.add_run(first, event.last)
        self.revision += 1
        self._mark(entry)
        return event, touched

    def update_all(
        self, parts: Sequence[tuple[Entry, Sequence[Operation]]], wall_ms: int, *, view: Snapshot | None = None
    ) -> tuple[Event, list[Change]] | None:
        """Applies operations to several entries as one event.

        Args:
            parts: each entry once; its operations are computed on what the ones before left.
            wall_ms: wall clock.
            view: an open snapshot of one of the entries, against which its operations are computed; those of the others
                get a store of their own.

        Returns:
            The event and the entries that it changed, or None when no operation had an effect.

        Raises:
            InvalidOperation: an operation does not fit; nothing was changed.
        """
        mutation = self.mutation
        mutation.wall_ms = wall_ms
        first = mutation.next
        try:
            seen = [entry.store if view is None or entry is not view.entry else view.store for entry, _ in parts]
            deltas = [
                self._mutate_all(entry.data_type, store, operations)
                for (entry, operations), store in zip(parts, seen, strict=True)
            ]
        except Exception:
            # Nobody has seen these dots, so they are free again.
            mutation.next = first
            raise
        found = [
            KeyDelta(entry.name, entry.data_type, delta)
            for (entry, _), delta in zip(parts, deltas, strict=True)
            if delta is not None
        ]
        if not found:
            return None
        event = Event(first, mutation.next - 1, tuple(found))
        if view is not None and view.own_store is not None:
            for part in found:
                if part.name == view.entry.name:
                    view.own_store, _ = part.data_type.absorb(view.own_store, self.known, part.delta)
        return event, self.apply_event(event, view=view)

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

    def has_applied(self, event: Event) -> bool:
        """Whether E holds all dots of an event. Complexity: O(log intervals) for a run without gaps."""
        first, last, parts = event
        if covers(self.applied, first, last):
            return True
        return not covers(parts[0].delta.context, first, last) and event.dots.issubset(self.applied)

    def apply_event(self, event: Event, *, view: Snapshot | None = None) -> list[Change]:
        """Joins an event of another replica, or of the log. Complexity: O(event).

        Args:
            event: what to join.
            view: the open snapshot through which it was made, which goes on to show its entry.

        Returns:
            The entries that became different.

        Raises:
            LimitExceeded: too many entries; nothing was changed.
        """
        entries = [self.entries.make(part.name, part.data_type) for part in event.parts]
        changes: list[Change] = []
        for entry, part in zip(entries, event.parts, strict=True):
            if view is None or entry is not view.entry:
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
        entries = [self.entries.make(state.name, state.data_type) for state in states]
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

    def adopt(self, other: Entry, context: CausalContext, applied: CausalContext) -> None:
        """Takes over the state of an entry of a shard with the same replica ids, one that is given up.

        Args:
            other: the entry; this shard has none of its name.
            context: its dots above L.
            applied: those of them whose events were applied there.
        """
        entry = self.entries.make(other.name, other.data_type)
        entry.store, entry.size_bytes, entry.version = other.store, other.size_bytes, 1
        self._learn(entry, context)
        self.applied.update(applied)
        self._mark(entry)

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
        first, last, parts = event
        if first == last:
            self.applied.add(first)
        elif len(parts) > 1 or covers(parts[0].delta.context, first, last):
            self.applied.add_run(first, last)
        else:
            self.applied.update(event.dots)
        self.revision += 1

    def _mark(self, entry: Entry) -> None:
        if not entry.is_dirty:
            entry.is_dirty = True
            self.dirty.append(entry.number)
        if self._fingerprints is not None and not entry.is_unsummed:
            self._fingerprints.changed(entry)

    # --- the whole shard at once

    def take_over(
        self,
        offered: Offered,
        states: Sequence[EntryState],
        *,
        is_sent: Callable[[tuple[str, str]], bool],
        rows: Mapping[EntryName, bytes] = NO_ROWS,
    ) -> list[Change]:
        """Joins what another replica has of this shard, all of it in one step (rule D).

        Args:
            offered: contexts of the other replica, as they were before the first of the states was read.
            states: of all its entries that may differ from ours, and of all that own a dot which is new to us.
            is_sent: whether an entry would be among the states if it was not bottom there; it is equal otherwise.
            rows: further entries, of which nothing was here; all their events lie below L of the other replica.

        Returns:
            The entries that became different, without those of the rows.

        Raises:
            StaleOffer: dots would be known whose entry is not; nothing was changed.
            LimitExceeded: too many entries; nothing was changed.
        """
        owned = CausalContext(self.table)
        for state in states:
            owned.update(state.context)
        unowned = offered.known.difference(offered.low).difference(self.known).difference(owned)
        if unowned:
            raise StaleOffer(f"{len(unowned)} dots come without their entries")
        self.entries.require_room(len(states) + len(rows))
        entries = [self.entries.make(state.name, state.data_type) for state in states]
        # One context for all: a dot of another entry is never live in this one, so it speaks for nothing here.
        scoped = offered.known.union(owned)
        stores = [state.store for state in states]
        present = set(entries)
        for name, number in list(self.entries.names()):
            if self.entries.is_bottom(number) or not is_sent(name):
                continue
            entry = self.entries.numbered(number)
            if entry is not None and entry not in present:
                entries.append(entry)
                stores.append(entry.data_type.bottom())
        changes: list[Change] = []
        for entry, store in zip(entries, stores, strict=True):
            self._join(entry, Delta(store, scoped), changes)
        changes += self._remove_late(offered.late, present)
        for entry, state in zip(entries, states, strict=False):
            self._learn(entry, state.context)
        self._put_in(rows)
        self.known.update(offered.known)
        self.applied.update(offered.applied)
        self.revision += 1
        self.trim(offered.low)
        return changes

    def _put_in(self, rows: Mapping[EntryName, bytes]) -> None:
        numbers = [self.entries.add_row(name, data) for name, data in rows.items()]
        self.dirty += numbers
        if self._fingerprints is not None:
            self._fingerprints.added(numbers)

    def _remove_late(self, late: CausalContext, present: set[Entry]) -> list[Change]:
        """Removes what came between the comparison of an entry with the other replica's and now, and was removed there.

        Such a dot is known to the other replica, whose entry is the same as ours was without it.
        """
        owners = {number for first, last in late.intervals() for _, _, number in self.owners_within(first, last)}
        changes: list[Change] = []
        for number in sorted(owners):
            entry = self.entries.numbered(number)
            if entry is not None and entry not in present:
                self._join(entry, Delta(entry.data_type.bottom(), late), changes)
        return changes

    def _join(self, entry: Entry, delta: AnyDelta, changes: list[Change]) -> None:
        entry.detach()
        entry.store, touched = entry.data_type.absorb(entry.store, self.known, delta)
        self._mark(entry)
        if touched:
            entry.version += 1
            changes.append((entry, touched))

    def trim(self, low: CausalContext) -> None:
        """Forgets to which entries events belong, and the entries of which nothing else is left.

        Args:
            low: for each replica id a prefix; E holds it. A peer that lacks one of these events needs `take_over`.

        Complexity: O(index).
        """
        check(low.issubset(self.applied), "the index is trimmed only where all was applied")
        if low.issubset(self.low):
            return
        bare: set[int] = set()
        for first, last in low.intervals():
            bare.update(self.index.trim(first >> DOT_BITS, last & N_MAX))
        self.low.update(low)
        self.trims += 1
        spans, self.spans, self._span_runs = self._span_runs, DotIndex(), []
        for first, last in spans:
            if last not in self.low:
                self.add_span(first, last)
        self._drop_deleted(bare)

    def _drop_deleted(self, numbers: set[int]) -> None:
        candidates = [
            entry
            for number in numbers
            if self.entries.is_bottom(number)
            and (entry := self.entries.numbered(number)) is not None
            and entry.open_snapshot is None
        ]
        indexed = self.index.numbers() if candidates else set()
        for entry in candidates:
            if entry.number not in indexed:
                if self._fingerprints is not None:
                    self._fingerprints.forget(entry)
                self.entries.drop(entry)

    # --- what others ask

    def reaches(self, theirs: CausalContext) -> bool:
        """Whether the index has all events that a replica lacks which has applied `theirs`."""
        return self.low.issubset(theirs)

    @property
    def fingerprints(self) -> Fingerprints:
        """The sums of the entries; the first call, O(entries), has them kept up from then on."""
        if self._fingerprints is None:
            self._fingerprints = Fingerprints(self.table, self.entries)
        return self._fingerprints
