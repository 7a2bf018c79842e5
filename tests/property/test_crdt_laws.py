"""The laws of every registered data type, over reachable states, those with gaps in their contexts included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.errors import InvalidOperation, ReplicaTableMismatch
from crdtmesh.crdts.mutation import LocalMutation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.set_aw import OR_SET
from crdtmesh.crdts.values import encode
from crdtmesh.testing import laws as law
from tests.property.strategies import OPERATIONS, REPLICA_IDS, World, states_of, steps, worlds

State: TypeAlias = Delta[Any]
Law: TypeAlias = Callable[[World, State, State, State, st.DataObject], None]
"""What asserts something of three states of a world, and draws what else it needs."""

EACH_TYPE = pytest.mark.parametrize("name", registry.names())
EXAMPLES = settings.get_profile(settings.get_current_profile_name()).max_examples
laws = settings(max_examples=EXAMPLES if EXAMPLES > 1_000 else 60)


def _bytes(world: World, state: Delta[Any]) -> bytes:
    return deltas.encode_delta(world.data_type, state)


def join_is_least_upper_bound(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """Join is idempotent, commutative and associative, and has bottom."""
    law.join_is_least_upper_bound(world, a, b, c)


def absorb_is_join(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """Absorb equals join, and names exactly what became different."""
    law.absorb_is_join(world, a, b)


def mutation_inflates(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """A mutation inflates by a minimal delta of fresh successive dots."""
    law.mutation_inflates(world, data.draw(OPERATIONS[world.data_type.name]))


def refused_operation_takes_no_dot(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """Refused operations take no dot and change nothing."""
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


def decomposition_is_irredundant(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """A decomposition joins to the state, and no part is redundant."""
    law.decomposition_is_irredundant(world, a)


def difference_is_least(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """The difference of a and b is the least that brings b up to a."""
    law.difference_is_least(world, a, b, c)


def deltas_shuffle(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """Deltas in any order, with duplicates, equal the full states."""
    shuffled = data.draw(st.permutations(world.deltas + world.deltas[::2]))
    joined, absorbed = world.join(shuffled), world.bottom()
    for delta in shuffled:
        store, _ = world.data_type.absorb(absorbed.store, absorbed.context, delta)
        absorbed.context.update(delta.context)
        absorbed = Delta(store, absorbed.context)
    assert world.everything() == joined == absorbed
    assert _bytes(world, world.everything()) == _bytes(world, joined) == _bytes(world, absorbed)


def bytes_are_canonical(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """Bytes are canonical whatever the replica table."""
    law.bytes_are_canonical(world, a, data.draw(st.permutations(REPLICA_IDS)))


def arguments_are_left_alone(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """Joins and queries leave their arguments alone."""
    before = _bytes(world, a), _bytes(world, b)
    joined = deltas.join(world.data_type, a, b)
    copied = world.data_type.copy(a.store)
    held = Delta(world.data_type.absorb(copied, a.context, b)[0], joined.context)
    world.data_type.value(a.store)
    world.data_type.restrict(a.store, b.context.__contains__)
    for state in (joined, held):  # what was handed out may change without touching what it was made from
        for operation in data.draw(st.lists(OPERATIONS[world.data_type.name], max_size=3)):
            delta, _ = law.mutate(world, state, operation)
            if delta is not None:
                world.data_type.absorb(state.store, state.context, delta)
                break
    assert before == (_bytes(world, a), _bytes(world, b))


def tables_do_not_mix(world: World, a: State, b: State, c: State, data: st.DataObject) -> None:
    """Values of two replica tables do not join."""
    other = World(world.data_type)
    for step in data.draw(st.lists(steps(world.data_type.name), max_size=3)):
        other.take(step)
    theirs = other.everything()
    before = _bytes(world, a)
    with pytest.raises(ReplicaTableMismatch):
        world.data_type.join(a.store, a.context, theirs.store, theirs.context)
    with pytest.raises(ReplicaTableMismatch):
        world.data_type.absorb(a.store, a.context, theirs)
    with pytest.raises(ReplicaTableMismatch):
        a.context.update(theirs.context)
    assert before == _bytes(world, a)


LAWS: Sequence[Law] = (
    join_is_least_upper_bound,
    absorb_is_join,
    mutation_inflates,
    refused_operation_takes_no_dot,
    decomposition_is_irredundant,
    difference_is_least,
    deltas_shuffle,
    bytes_are_canonical,
    arguments_are_left_alone,
    tables_do_not_mix,
)


@EACH_TYPE
@laws
@given(data=st.data())
def test_every_law_holds_in_every_world(name: str, data: st.DataObject) -> None:
    """One world and three states of it for all laws: drawing them takes several times as long as the laws do."""
    world = data.draw(worlds(name))
    a, b, c = (data.draw(states_of(world)) for _ in range(3))
    for each in LAWS:
        each(world, a, b, c, data)


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
