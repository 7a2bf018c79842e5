"""The meaning of every type two maps deep: what replicas read of it, with keys removed at both levels.

What is drawn are all operations of the type, under few keys of a map in a map of any kind, removals of a key of either
map, and what forgets all of either; deltas arrive with gaps, as in `crdtmesh.testing.histories`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import registry
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State
from crdtmesh.testing.checks import converge
from tests.property import specifications_maps as maps
from tests.property.strategies import OPERATIONS, REPLICA_IDS
from tests.property.test_crdt_specifications import FIRST_OPERATIONS, MIXED_MAPS

MAPS = {"ORMap": MIXED_MAPS.or_map, "RWMap": MIXED_MAPS.rw_map, "UWMap": MIXED_MAPS.uw_map}
NOT_IN_UW = {*maps.SUMS, "Text"}
NESTED = tuple(name for name in registry.names() if name in maps.RESETS)
NOT_NESTED = tuple(name for name in registry.names() if name not in maps.RESETS)
EACH_NESTED = pytest.mark.parametrize("name", NESTED)
EXAMPLES = settings.get_profile(settings.get_current_profile_name()).max_examples
histories = settings(max_examples=EXAMPLES if EXAMPLES > 1_000 else 50)

_keys = st.sampled_from(["k", "k", "l"])


def maps_that_hold(name: str) -> Sequence[tuple[str, str]]:
    """The pairs of maps, outer and inner, that may hold a type."""
    return [(a, b) for a in MAPS for b in MAPS if name not in NOT_IN_UW or "UWMap" not in {a, b}]


def operations_of(outer: str, inner: str, name: str) -> st.SearchStrategy[Operation]:
    """Operations of the outer map: most of them of the type, two maps deep."""
    leaf = st.builds(lambda key, of: ("update", key, name, of.name, *of.arguments), _keys, OPERATIONS[name])
    of_inner = st.one_of(
        leaf, leaf, leaf, leaf, st.builds(lambda key: ("remove", key), _keys), st.just((maps.RESETS[inner],))
    )
    update = st.builds(lambda key, of: Operation("update", (key, inner, *of)), _keys, of_inner)
    remove = st.builds(lambda key: Operation("remove", (key,)), _keys)
    return st.one_of(update, update, update, update, update, remove, st.just(Operation(maps.RESETS[outer])))


@EACH_NESTED
@histories
@given(data=st.data())
def test_replicas_read_what_the_history_says_two_maps_deep(name: str, data: st.DataObject) -> None:
    outer, inner = data.draw(st.sampled_from(maps_that_hold(name)))
    converge(data, registry.get(outer), operations_of(outer, inner, name), MAPS[outer])


@pytest.mark.parametrize("name", NOT_NESTED)
@pytest.mark.parametrize("outer", MAPS)
def test_type_that_no_removal_may_reset_is_refused_by_every_map(name: str, outer: str) -> None:
    state = State(registry.get(outer), ReplicaTable(), replica_id=REPLICA_IDS[0])
    operation, argument = FIRST_OPERATIONS[name]
    with pytest.raises(InvalidOperation, match="keep it as a state of its own"):
        state.apply(Operation("update", ("k", name, operation, argument)))
    with pytest.raises(InvalidOperation, match="keep it as a state of its own"):
        state.apply(Operation("update", ("k", "ORMap", "update", "l", name, operation, argument)))
    assert {} == state.value
