"""The laws of every registered data type, over reachable states, those with gaps in their contexts included."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.base import WHOLE, Delta
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import InvalidOperation, ReplicaTableMismatch
from crdtmesh.crdts.mutation import LocalMutation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.set_aw import OR_SET
from crdtmesh.crdts.values import encode
from tests.property.strategies import OPERATIONS, REPLICA_IDS, World, states_of, worlds

EACH_TYPE = pytest.mark.parametrize("name", registry.names())
EXAMPLES = settings.get_profile(settings.get_current_profile_name()).max_examples
laws = settings(max_examples=EXAMPLES if EXAMPLES > 1_000 else 40)


def _bytes(world: World, state: Delta[Any]) -> bytes:
    return deltas.encode_delta(world.data_type, state)


def _is_below(world: World, a: Delta[Any], b: Delta[Any]) -> bool:
    return deltas.join(world.data_type, a, b) == b


def _mutate(world: World, state: Delta[Any], operation: Operation) -> tuple[Delta[Any] | None, LocalMutation]:
    """What the first replica would make of an operation on a state that holds all of its own dots."""
    replica = world.table.intern(REPLICA_IDS[0])
    last_n = world.everything().context.greatest(replica)
    clock = HybridClock(REPLICA_IDS[0])
    mutation = LocalMutation(world.table, replica, last_n=last_n, clock=clock, now_ms=1)
    try:
        return world.data_type.mutate(state.store, operation, mutation), mutation
    except InvalidOperation:
        return None, mutation  # the state does not allow it; that no dot was taken is what callers look at


@EACH_TYPE
@laws
@given(data=st.data())
def test_join_is_idempotent_commutative_associative_and_has_bottom(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    a, b, c = (data.draw(states_of(world)) for _ in range(3))

    def join(x: Delta[Any], y: Delta[Any]) -> Delta[Any]:
        return deltas.join(world.data_type, x, y)

    assert a == join(a, a)
    assert join(a, b) == join(b, a)
    assert join(a, join(b, c)) == join(join(a, b), c)
    assert a == join(a, world.bottom()) == join(world.bottom(), a)
    assert set(world.data_type.dots(join(a, b).store)) <= set(join(a, b).context)


@EACH_TYPE
@laws
@given(data=st.data())
def test_absorb_equals_join_and_names_exactly_what_became_different(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    a, b = data.draw(states_of(world)), data.draw(states_of(world))
    expected = deltas.join(world.data_type, a, b)
    store, touched = world.data_type.absorb(world.data_type.copy(a.store), a.context, b)
    assert expected.store == store
    if touched is WHOLE or not touched:
        assert bool(touched) == (a.store != store)
    else:
        before, after = a.store.keys, store.keys
        assert {key for key in {*before, *after} if before.get(key) != after.get(key)} == set(touched)
        assert len(set(touched)) == len(touched)


@EACH_TYPE
@laws
@given(data=st.data())
def test_mutation_inflates_by_a_minimal_delta_of_fresh_successive_dots(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    state = world.replicas[0].delta()
    before = _bytes(world, state)
    delta, mutation = _mutate(world, state, data.draw(OPERATIONS[name]))
    first_n = world.everything().context.greatest(mutation.replica) + 1
    assert before == _bytes(world, state)
    if delta is None:
        assert first_n - 1 == mutation.last_n
        return
    after = deltas.join(world.data_type, state, delta)
    fresh = delta.context.difference(state.context)
    assert _is_below(world, state, after)
    assert list(fresh.intervals_of(mutation.replica)) == [(first_n, mutation.last_n)]
    assert mutation.last_n - first_n + 1 == len(fresh)
    assert set(world.data_type.dots(delta.store)) <= set(fresh)
    assert delta == deltas.difference(world.data_type, after, state)


@EACH_TYPE
@laws
@given(data=st.data())
def test_refused_operation_takes_no_dot(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    state = world.replicas[0].delta()
    before = _bytes(world, state)
    last_n = world.everything().context.greatest(world.table.intern(REPLICA_IDS[0]))
    for operation in (
        Operation("ad", (1,)),
        *(Operation(known, (1, 2, 3)) for known in world.data_type.operations),
        *(Operation(known, (float("nan"),)) for known in world.data_type.operations),
    ):
        taken = LocalMutation(world.table, 1, last_n=last_n, clock=HybridClock(REPLICA_IDS[0]), now_ms=1)
        with pytest.raises(InvalidOperation):
            world.data_type.mutate(state.store, operation, taken)
        assert last_n == taken.last_n
    assert before == _bytes(world, state)


@EACH_TYPE
@laws
@given(data=st.data())
def test_decomposition_joins_to_the_state_and_no_part_is_redundant(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    state = data.draw(states_of(world))
    parts = list(deltas.decompose(world.data_type, state))
    assert state == world.join(parts)
    for i in range(len(parts)):
        assert state != world.join(parts[:i] + parts[i + 1 :])
        assert len(parts[i].context) == 1


@EACH_TYPE
@laws
@given(data=st.data())
def test_difference_is_the_least_that_brings_b_up_to_a(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    a, b, other = (data.draw(states_of(world)) for _ in range(3))
    both = deltas.join(world.data_type, a, b)
    least = deltas.difference(world.data_type, a, b)
    assert both == deltas.join(world.data_type, least, b)
    assert (least == world.bottom()) == _is_below(world, a, b)
    enough = deltas.join(world.data_type, least, other)
    if deltas.join(world.data_type, enough, b) == both:
        assert _is_below(world, least, enough)
    parts = list(deltas.decompose(world.data_type, least))
    for i in range(len(parts)):
        assert both != world.join([b, *parts[:i], *parts[i + 1 :]])


@EACH_TYPE
@laws
@given(data=st.data())
def test_deltas_in_any_order_with_duplicates_equal_the_full_states(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    shuffled = data.draw(st.permutations(world.deltas + world.deltas[::2]))
    joined, absorbed = world.join(shuffled), world.bottom()
    for delta in shuffled:
        store, _ = world.data_type.absorb(absorbed.store, absorbed.context, delta)
        absorbed.context.update(delta.context)
        absorbed = Delta(store, absorbed.context)
    assert world.everything() == joined == absorbed
    assert _bytes(world, world.everything()) == _bytes(world, joined) == _bytes(world, absorbed)


@EACH_TYPE
@laws
@given(data=st.data(), order=st.permutations(REPLICA_IDS))
def test_bytes_are_canonical_whatever_the_replica_table(name: str, data: st.DataObject, order: list[bytes]) -> None:
    world = data.draw(worlds(name))
    state = data.draw(states_of(world))
    elsewhere = ReplicaTable()
    for replica_id in (bytes(16), *order):
        elsewhere.intern(replica_id)
    there = deltas.decode_delta(world.data_type, _bytes(world, state), elsewhere)
    assert _bytes(world, state) == deltas.encode_delta(world.data_type, there)
    assert world.data_type.value(state.store) == world.data_type.value(there.store)
    here = deltas.decode_delta(world.data_type, deltas.encode_delta(world.data_type, there), world.table)
    assert state == here
    alone = deltas.encode_store(world.data_type, state.store, world.table)
    assert alone == deltas.encode_store(world.data_type, there.store, elsewhere)


@EACH_TYPE
@laws
@given(data=st.data())
def test_joins_and_queries_leave_their_arguments_alone(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    a, b = data.draw(states_of(world)), data.draw(states_of(world))
    before = _bytes(world, a), _bytes(world, b)
    joined = deltas.join(world.data_type, a, b)
    copied = world.data_type.copy(a.store)
    held = Delta(world.data_type.absorb(copied, a.context, b)[0], joined.context)
    world.data_type.value(a.store)
    world.data_type.restrict(a.store, b.context.__contains__)
    for state in (joined, held):  # what was handed out may change without touching what it was made from
        for operation in data.draw(st.lists(OPERATIONS[name], max_size=3)):
            delta, _ = _mutate(world, state, operation)
            if delta is not None:
                world.data_type.absorb(state.store, state.context, delta)
                break
    assert before == (_bytes(world, a), _bytes(world, b))


@EACH_TYPE
@laws
@given(data=st.data())
def test_values_of_two_replica_tables_do_not_join(name: str, data: st.DataObject) -> None:
    world, other = data.draw(worlds(name)), data.draw(worlds(name))
    a, b = world.replicas[0].delta(), other.replicas[0].delta()
    before = _bytes(world, a)
    with pytest.raises(ReplicaTableMismatch):
        world.data_type.join(a.store, a.context, b.store, b.context)
    with pytest.raises(ReplicaTableMismatch):
        world.data_type.absorb(a.store, a.context, b)
    with pytest.raises(ReplicaTableMismatch):
        a.context.update(b.context)
    assert before == _bytes(world, a)


@laws
@given(data=st.data())
def test_large_set_absorbs_by_index_what_it_would_join(data: st.DataObject) -> None:
    """Sets beyond a few elements find removed dots by index; the worlds above are too small to get there."""
    world = World(registry.get("ORSet"))
    for filler in range(24):
        delta = world.replicas[filler % 3].apply(Operation("add", (f"filler {filler}",)))
        assert delta is not None
        world.deltas.append(delta)
    for step in data.draw(st.lists(st.tuples(st.integers(0, 2), OPERATIONS["ORSet"], st.integers(0, 30)), max_size=12)):
        at, operation, source = step
        if operation.name == "clear" and source % 4:
            operation = Operation("remove", (f"filler {source}",))
        delta = world.replicas[at].apply(operation)
        world.deltas += [] if delta is None else [delta]
        world.replicas[(at + 1) % 3].join(world.deltas[source % len(world.deltas)])
    held = world.join(world.deltas[:24])
    store = world.data_type.copy(held.store)
    context = held.context.copy()
    for delta in data.draw(st.permutations(world.deltas)):
        held = deltas.join(world.data_type, held, delta)
        store, _ = world.data_type.absorb(store, context, delta)
        context.update(delta.context)
        assert held.store == store
    assert sorted(store.keys) == [encode(element) for element in OR_SET.value(store)]


@given(data=st.data())
def test_one_dot_under_two_elements_still_converges(data: st.DataObject) -> None:
    """A replica id used twice can bring this about; whoever joins what, in whatever order, must end up equal."""
    world = World(registry.get("ORSet"))
    dot = world.replicas[0].apply(Operation("add", ("mine",)))
    assert dot is not None
    twin = World(registry.get("ORSet"), table=world.table).replicas[0].apply(Operation("add", ("theirs",)))
    assert twin is not None
    parts = [dot, twin, world.replicas[1].apply(Operation("add", ("other",))) or dot]
    ends = set()
    for _ in range(2):
        state = Delta(world.data_type.bottom(), CausalContext(world.table))
        for part in data.draw(st.permutations(parts + parts)):
            joined = deltas.join(world.data_type, state, part)
            store, _ = world.data_type.absorb(state.store, state.context, part)
            assert joined.store == store
            state = Delta(store, state.context.union(part.context))
        ends.add(_bytes(world, state))
    assert len(ends) == 1
