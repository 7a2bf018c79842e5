"""Causal contexts: sets of dots as closed intervals, with every gap kept.

Compressing a context to the greatest n of each replica would claim mutations that were never seen, and the next join
would take their elements for removed. So this set never holds a dot that was not added.

The representation is one sorted list, `[first, last + 1, first, last + 1, ...]`, of packed dots over all replicas.
Dots of one replica are consecutive integers, and n = 0 is no dot, so intervals of two replicas never touch.
Membership is then one C-level bisection and the parity of its answer, and the context of a one-dot delta is a list of
two integers: 136 bytes, where a dict from replica to interval list takes 344.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Final

from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, ReplicaTable
from crdtmesh.crdts.errors import ReplicaTableMismatch

_INSERTED_ONE_BY_ONE: Final = 8
"""Up to this many intervals are inserted by bisection; more are merged in one sweep over both lists."""


class CausalContext:
    """A set of dots of one replica table, as closed intervals per replica.

    Attributes:
        table: the table that gives the dots their meaning.
        bounds: the intervals, half open, flat and sorted. For the hot paths of this package, which only read it.
    """

    __slots__ = ("bounds", "table")
    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __init__(self, table: ReplicaTable, dots: Iterable[Dot] = ()) -> None:
        self.table = table
        self.bounds: list[int] = _bounds_of(sorted(set(dots)))

    @classmethod
    def of_one(cls, table: ReplicaTable, dot: Dot) -> "CausalContext":
        """The context of a single dot, which most deltas have."""
        context = cls.__new__(cls)
        context.table = table
        context.bounds = [dot, dot + 1]
        return context

    @classmethod
    def of_write(cls, table: ReplicaTable, dot: Dot, superseded: Collection[Dot]) -> "CausalContext":
        """The context of one mutation and the dots that it supersedes, of which there is mostly one or none."""
        if len(superseded) > 1:
            return cls(table, (dot, *superseded))
        context = cls.__new__(cls)
        context.table = table
        for other in superseded:
            first, last = (other, dot) if other < dot else (dot, other)
            context.bounds = [first, first + 1, last, last + 1] if last - first > 1 else [first, last + 1]
            return context
        context.bounds = [dot, dot + 1]
        return context

    @classmethod
    def of_bounds(cls, table: ReplicaTable, bounds: list[int]) -> "CausalContext":
        """A context that takes over a flat list of half-open intervals; the caller answers for its order."""
        context = cls.__new__(cls)
        context.table = table
        context.bounds = bounds
        return context

    def __contains__(self, dot: Dot) -> bool:
        return bisect_right(self.bounds, dot) & 1 == 1

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def __len__(self) -> int:
        """Number of dots, in time linear in the number of intervals."""
        bounds = self.bounds
        if len(bounds) == 2:
            return bounds[1] - bounds[0]
        count = 0
        for i in range(0, len(bounds), 2):
            count += bounds[i + 1] - bounds[i]
        return count

    def __iter__(self) -> Iterator[Dot]:
        """All dots. An interval may hold 2**44 of them: check `len` first when a peer sent it."""
        bounds = self.bounds
        return chain.from_iterable(map(range, bounds[::2], bounds[1::2]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CausalContext):
            return NotImplemented
        return self.table is other.table and self.bounds == other.bounds

    def __repr__(self) -> str:
        runs = ", ".join(f"{a >> DOT_BITS}:{a & N_MAX}-{b & N_MAX}" for a, b in self.intervals())
        return f"CausalContext({runs})"

    def intervals(self) -> Iterator[tuple[Dot, Dot]]:
        """Closed intervals (first, last), sorted; each lies within one replica."""
        bounds = self.bounds
        for i in range(0, len(bounds), 2):
            yield bounds[i], bounds[i + 1] - 1

    def intervals_of(self, replica: int) -> Iterator[tuple[int, int]]:
        """Closed intervals (first n, last n) of one replica, sorted."""
        bounds = self.bounds
        base = replica << DOT_BITS
        for i in range(bisect_left(bounds, base + 1), bisect_left(bounds, base + N_MAX + 1), 2):
            yield bounds[i] - base, bounds[i + 1] - 1 - base

    def bounds_of(self, replica: int) -> list[int]:
        """The intervals of one replica, half open, flat and sorted."""
        bounds = self.bounds
        base = replica << DOT_BITS
        return bounds[bisect_left(bounds, base + 1) : bisect_left(bounds, base + N_MAX + 2)]

    def replicas(self) -> list[int]:
        """The interned replicas that own at least one dot of this context, sorted."""
        return list(dict.fromkeys(first >> DOT_BITS for first in self.bounds[::2]))

    def contiguous(self, replica: int) -> int:
        """The greatest n such that this context holds 1 .. n of a replica; 0 if it lacks the first."""
        bounds = self.bounds
        first = (replica << DOT_BITS) + 1
        i = bisect_left(bounds, first)
        return bounds[i + 1] - first if i < len(bounds) and bounds[i] == first else 0

    def greatest(self, replica: int) -> int:
        """The greatest n of a replica in this context; 0 if there is none."""
        bounds = self.bounds
        base = replica << DOT_BITS
        i = bisect_right(bounds, base + N_MAX)
        if i & 1:  # the interval reaches N_MAX
            return N_MAX
        return bounds[i - 1] - 1 - base if i and bounds[i - 2] > base else 0

    def add(self, dot: Dot) -> None:
        """Add one dot. Constant time when it follows the greatest of its replica, up to the bisection."""
        bounds = self.bounds
        i = bisect_left(bounds, dot)
        if i & 1 and bounds[i] == dot and (i + 1 == len(bounds) or bounds[i + 1] > dot + 1):
            bounds[i] = dot + 1
        else:
            _insert(bounds, dot, dot + 1)

    def add_run(self, first: Dot, last: Dot) -> None:
        """Add the dots first .. last of one replica.

        Raises:
            ValueError: the run is empty, or of two replicas.
        """
        if first > last or first >> DOT_BITS != last >> DOT_BITS or not first & N_MAX:
            raise ValueError(f"not a run of dots of one replica: {first} .. {last}")
        _insert(self.bounds, first, last + 1)

    def update(self, other: "CausalContext") -> None:
        """Add all dots of another context.

        Complexity: O(log n) for the dot that follows the greatest of its replica; O(k log n) and the shifting of a
            flat list for k <= 8 intervals; O(n + k) beyond.

        Raises:
            ReplicaTableMismatch: the other context belongs to another table; nothing was added.
        """
        if self.table is not other.table:
            raise _mismatch()
        bounds, theirs = self.bounds, other.bounds
        count = len(theirs)
        if count == 2 or count == 4:  # noqa: PLR1714 - the loop below, unrolled for what nearly every delta brings
            start, stop = theirs[-2], theirs[-1]
            at = bisect_left(bounds, start)
            if at & 1 and bounds[at] == start and (at + 1 == len(bounds) or bounds[at + 1] > stop):
                bounds[at] = stop  # a fresh dot
                if count == 2:
                    return
                at = bisect_right(bounds, theirs[0])
                if at & 1 and bounds[at] >= theirs[1]:
                    return  # and what it supersedes
        if len(theirs) > 2 * _INSERTED_ONE_BY_ONE:
            self.bounds = _sweep(bounds, theirs, union=True)
            return
        for i in range(0, len(theirs), 2):
            start, stop = theirs[i], theirs[i + 1]
            at = bisect_right(bounds, start)
            if at & 1:
                if bounds[at] >= stop:  # superseded dots are known already
                    continue
            elif at and bounds[at - 1] == start and (at == len(bounds) or bounds[at] > stop):
                bounds[at - 1] = stop  # fresh dots follow the greatest of their replica
                continue
            _insert(bounds, start, stop)

    def copy(self) -> "CausalContext":
        """An independent context of the same dots."""
        return CausalContext.of_bounds(self.table, self.bounds.copy())

    def union(self, other: "CausalContext") -> "CausalContext":
        """The dots of either context, as a new one."""
        result = self.copy()
        result.update(other)
        return result

    def intersection(self, other: "CausalContext") -> "CausalContext":
        """The dots of both contexts, as a new one. Linear in the number of intervals."""
        require_same_table(self, other)
        return CausalContext.of_bounds(self.table, _sweep(self.bounds, other.bounds, union=False))

    def difference(self, other: "CausalContext") -> "CausalContext":
        """The dots of this context that the other lacks, as a new one. Linear in the number of intervals."""
        require_same_table(self, other)
        if not other.bounds:
            return self.copy()
        # Complementing is shifting the parity of the flat list: one bound below all dots, one above.
        complement = [-1, *other.bounds, 1 << 62]
        return CausalContext.of_bounds(self.table, _sweep(self.bounds, complement, union=False))

    def issubset(self, other: "CausalContext") -> bool:
        """Whether every dot of this context is in the other. O(k log n) for k own intervals."""
        require_same_table(self, other)
        theirs = other.bounds
        mine = self.bounds
        for i in range(0, len(mine), 2):
            at = bisect_right(theirs, mine[i])
            if not at & 1 or theirs[at] < mine[i + 1]:
                return False
        return True

    def isdisjoint(self, other: "CausalContext") -> bool:
        """Whether no dot is in both contexts."""
        return not self.intersection(other)


def require_same_table(a: CausalContext, b: CausalContext) -> None:
    """Refuse to compare dots of two tables.

    Raises:
        ReplicaTableMismatch: the contexts belong to two tables.
    """
    if a.table is not b.table:
        raise _mismatch()


def _mismatch() -> ReplicaTableMismatch:
    return ReplicaTableMismatch(
        "both sides of a join must use one replica table; encode one side and decode it with the other's table"
    )


def _bounds_of(dots: list[Dot]) -> list[int]:
    """Flat intervals of sorted, distinct dots."""
    bounds: list[int] = []
    end = -1
    for dot in dots:
        if dot == end:
            bounds[-1] = end = dot + 1
        else:
            end = dot + 1
            bounds += (dot, end)
    return bounds


def _insert(bounds: list[int], start: int, stop: int) -> None:
    """Unite flat intervals with start .. stop - 1.

    Every bound within [start, stop] disappears into the new interval; an odd position says that the edge lies in, or
    touches, an interval that is already there.
    """
    low = bisect_left(bounds, start)
    high = bisect_right(bounds, stop)
    edges = []
    if not low & 1:
        edges.append(start)
    if not high & 1:
        edges.append(stop)
    bounds[low:high] = edges


def _sweep(a: list[int], b: list[int], *, union: bool) -> list[int]:
    """Union or intersection of two flat interval lists, in one pass over both."""
    wanted = 1 if union else 2
    result: list[int] = []
    depth = 0
    i = j = 0
    while i < len(a) or j < len(b):
        at = min(a[i] if i < len(a) else b[j], b[j] if j < len(b) else a[i])
        before = depth
        if i < len(a) and a[i] == at:
            depth += -1 if i & 1 else 1
            i += 1
        if j < len(b) and b[j] == at:
            depth += -1 if j & 1 else 1
            j += 1
        if (before >= wanted) != (depth >= wanted):
            result.append(at)
    return result
