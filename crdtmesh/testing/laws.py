"""The laws of a data type, each as a function that asserts it of given states of a world.

Source: Almeida, Shoker, Baquero 2018; decomposition and difference: Enes et al., ICDE 2019.
"""

from __future__ import annotations

from typing import Any

from crdtmesh.crdts import deltas
from crdtmesh.crdts.base import WHOLE, Delta
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.mutation import LocalMutation
from crdtmesh.crdts.operations import Operation
from crdtmesh.testing.worlds import REPLICA_IDS, World

__all__ = [
    "absorb_is_join",
    "bytes_are_canonical",
    "decomposition_is_irredundant",
    "difference_is_least",
    "is_below",
    "join_is_least_upper_bound",
    "mutate",
    "mutation_inflates",
]


def is_below(world: World, a: Delta[Any], b: Delta[Any]) -> bool:
    """Whether b already holds all of a."""
    return deltas.join(world.data_type, a, b) == b


def mutate(world: World, state: Delta[Any], operation: Operation) -> tuple[Delta[Any] | None, LocalMutation]:
    """What the first replica would make of an operation on a state that holds all of its own dots.

    Returns:
        The delta, None where the operation has no effect or is refused; and what gave out the dots.
    """
    replica = world.table.intern(REPLICA_IDS[0])
    last_n = world.everything().context.greatest(replica)
    mutation = LocalMutation(world.table, replica, last_n=last_n, clock=HybridClock(REPLICA_IDS[0]), now_ms=1)
    try:
        return world.data_type.mutate(state.store, operation, mutation), mutation
    except InvalidOperation:
        return None, mutation


def join_is_least_upper_bound(world: World, a: Delta[Any], b: Delta[Any], c: Delta[Any]) -> None:
    """Join is idempotent, commutative and associative, has bottom, and holds no live dot outside its context."""

    def join(x: Delta[Any], y: Delta[Any]) -> Delta[Any]:
        return deltas.join(world.data_type, x, y)

    assert a == join(a, a)
    assert join(a, b) == join(b, a)
    assert join(a, join(b, c)) == join(join(a, b), c)
    assert a == join(a, world.bottom()) == join(world.bottom(), a)
    assert set(world.data_type.dots(join(a, b).store)) <= set(join(a, b).context)


def absorb_is_join(world: World, a: Delta[Any], b: Delta[Any]) -> None:
    """Absorbing b in place gives what join gives, and names exactly what became different."""
    expected = deltas.join(world.data_type, a, b)
    store, touched = world.data_type.absorb(world.data_type.copy(a.store), a.context, b)
    assert expected.store == store
    if touched is WHOLE or not touched:
        assert bool(touched) == (a.store != store)
    else:
        before, after = a.store.keys, store.keys
        assert {key for key in {*before, *after} if before.get(key) != after.get(key)} == set(touched)
        assert len(set(touched)) == len(touched)


def mutation_inflates(world: World, operation: Operation) -> None:
    """An operation makes the least delta, of fresh successive dots, and takes no dot when it has no effect."""
    state = world.replicas[0].delta()
    before = world.encode(state)
    delta, mutation = mutate(world, state, operation)
    first_n = world.everything().context.greatest(mutation.replica) + 1
    assert before == world.encode(state)
    if delta is None:
        assert first_n - 1 == mutation.last_n
        return
    after = deltas.join(world.data_type, state, delta)
    fresh = delta.context.difference(state.context)
    assert is_below(world, state, after)
    assert list(fresh.intervals_of(mutation.replica)) == [(first_n, mutation.last_n)]
    assert mutation.last_n - first_n + 1 == len(fresh)
    assert set(world.data_type.dots(delta.store)) <= set(fresh)
    assert delta == deltas.difference(world.data_type, after, state)


def decomposition_is_irredundant(world: World, state: Delta[Any]) -> None:
    """The parts of a state join to it, and none can be left out."""
    parts = list(deltas.decompose(world.data_type, state))
    assert state == world.join(parts)
    for i in range(len(parts)):
        assert state != world.join(parts[:i] + parts[i + 1 :])
        assert len(parts[i].context) == 1


def difference_is_least(world: World, a: Delta[Any], b: Delta[Any], other: Delta[Any]) -> None:
    """The difference brings b up to a, and is below everything that does."""
    both = deltas.join(world.data_type, a, b)
    least = deltas.difference(world.data_type, a, b)
    assert both == deltas.join(world.data_type, least, b)
    assert (least == world.bottom()) == is_below(world, a, b)
    enough = deltas.join(world.data_type, least, other)
    if deltas.join(world.data_type, enough, b) == both:
        assert is_below(world, least, enough)


def bytes_are_canonical(world: World, state: Delta[Any], order: list[bytes]) -> None:
    """A state has the same bytes in a process that learnt the replicas in another order, and comes back from them."""
    elsewhere = ReplicaTable()
    for replica_id in (bytes(16), *order):
        elsewhere.intern(replica_id)
    there = deltas.decode_delta(world.data_type, world.encode(state), elsewhere)
    assert world.encode(state) == deltas.encode_delta(world.data_type, there)
    assert world.data_type.value(state.store) == world.data_type.value(there.store)
    assert state == deltas.decode_delta(world.data_type, deltas.encode_delta(world.data_type, there), world.table)
    alone = deltas.encode_store(world.data_type, state.store, world.table)
    assert alone == deltas.encode_store(world.data_type, there.store, elsewhere)
