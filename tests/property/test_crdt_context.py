"""Causal contexts against plain sets of dots."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import N_MAX, ReplicaTable, n_of, pack_dot, replica_of
from tests.property.strategies import dots

TABLE = ReplicaTable()
some_dots = st.frozensets(st.one_of(dots, st.builds(pack_dot, st.integers(1, 3), st.integers(N_MAX - 3, N_MAX))))


def _context(dots: frozenset[int]) -> CausalContext:
    return CausalContext(TABLE, dots)


@given(some_dots)
def test_holds_exactly_the_dots_that_were_added(added: frozenset[int]) -> None:
    one_by_one = CausalContext(TABLE)
    for dot in added:
        one_by_one.add(dot)
    assert _context(added) == one_by_one
    assert sorted(added) == list(one_by_one)
    assert len(added) == len(one_by_one)
    assert bool(added) == bool(one_by_one)
    for dot in added:
        assert dot in one_by_one
        for neighbour in (dot - 1, dot + 1):
            assert (neighbour in added) == (neighbour in one_by_one)


@given(some_dots)
def test_intervals_are_maximal_and_stay_within_a_replica(added: frozenset[int]) -> None:
    context = _context(added)
    ends = list(context.intervals())
    for first, last in ends:
        assert replica_of(first) == replica_of(last)
        assert first - 1 not in added
        assert last + 1 not in added
    per_replica = [(pack_dot(r, a), pack_dot(r, b)) for r in context.replicas() for a, b in context.intervals_of(r)]
    assert ends == per_replica


@given(some_dots)
def test_contiguous_and_greatest_of_each_replica(added: frozenset[int]) -> None:
    context = _context(added)
    for replica in range(1, 5):
        numbers = {n_of(dot) for dot in added if replica_of(dot) == replica}
        prefix = 0
        while prefix + 1 in numbers:
            prefix += 1
        assert prefix == context.contiguous(replica)
        assert max(numbers, default=0) == context.greatest(replica)


@settings(max_examples=300)
@given(some_dots, some_dots)
def test_set_algebra(a: frozenset[int], b: frozenset[int]) -> None:
    left, right = _context(a), _context(b)
    assert _context(a | b) == left.union(right)
    assert _context(a & b) == left.intersection(right)
    assert _context(a - b) == left.difference(right)
    assert (a <= b) == left.issubset(right)
    assert a.isdisjoint(b) == left.isdisjoint(right)
    assert (_context(a), _context(b)) == (left, right)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(0, 6)), max_size=8), some_dots)
def test_runs_are_added_whole(runs: list[tuple[int, int, int]], before: frozenset[int]) -> None:
    context, expected = _context(before), set(before)
    for replica, n, length in runs:
        context.add_run(pack_dot(replica, n), pack_dot(replica, n + length))
        expected |= {pack_dot(replica, n + i) for i in range(length + 1)}
    assert _context(frozenset(expected)) == context


@given(some_dots)
def test_copy_is_independent(added: frozenset[int]) -> None:
    context = _context(added)
    copy = context.copy()
    copy.add(pack_dot(9, 9))
    assert sorted(added) == list(context)
    assert pack_dot(9, 9) in copy
