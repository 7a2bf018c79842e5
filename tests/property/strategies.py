"""What the property tests draw: plain values, operations of every data type, and worlds of the test kit by type name.

A new data type is added to `OPERATIONS`; `test_crdt_registry.py` fails until it is.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from crdtmesh.crdts import registry
from crdtmesh.crdts.dots import Dot, pack_dot
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import INTEGER_MAX, INTEGER_MIN, PlainValue
from crdtmesh.testing import strategies as kit
from crdtmesh.testing.strategies import operation, states_of
from crdtmesh.testing.worlds import REPLICA_IDS, Step, World
from tests.property import specifications_dots, specifications_json, specifications_maps, specifications_text

__all__ = [
    "OPERATIONS",
    "REPLICA_IDS",
    "Step",
    "World",
    "dots",
    "few_values",
    "plain_values",
    "scalars",
    "states_of",
    "steps",
    "worlds",
]

# --- plain values

scalars: st.SearchStrategy[PlainValue] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INTEGER_MIN, INTEGER_MAX),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.binary(max_size=8),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3))


plain_values: st.SearchStrategy[PlainValue] = st.recursive(scalars, _containers, max_leaves=6)

few_values: st.SearchStrategy[PlainValue] = st.sampled_from([True, 1, 1.0, "1", None, b"1", (1,), {"a": 1}])
"""Few, so that concurrent operations meet; and such that Python's equality confuses some."""

# --- operations


_amounts = st.integers(0, 5)

_increment, _decrement = operation("increment", _amounts), operation("decrement", _amounts)
_add, _remove = operation("add", few_values), operation("remove", few_values)
_set = operation("set", few_values)

_numbers = st.sampled_from([-1, 0, 0.5, 1, 1.0, 2, float("inf")])
_receivers = st.sampled_from([replica_id.hex() for replica_id in REPLICA_IDS])
_set_number = operation("set", _numbers)
_transfer = operation("transfer", _receivers, _amounts)
_vote = operation("vote", st.booleans())

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    **specifications_dots.OPERATIONS,
    **specifications_maps.OPERATIONS,
    **specifications_json.OPERATIONS,
    **specifications_text.OPERATIONS,
    "PNCounter": st.one_of(_increment, _increment, _decrement, operation("reset")),
    "ORSet": st.one_of(_add, _add, _add, _remove, _remove, operation("clear")),
    "LWWRegister": st.one_of(_set, _set, operation("clear")),
    "FWWRegister": st.one_of(_set, _set, operation("clear")),
    "MaxRegister": st.one_of(_set_number, _set_number, _set_number, operation("clear")),
    "MinRegister": st.one_of(_set_number, _set_number, _set_number, operation("clear")),
    "TwoPhaseSet": st.one_of(_add, _add, _add, _remove, _remove, operation("reset")),
    "Vote": st.one_of(_vote, _vote, _vote, operation("withdraw"), operation("reset")),
    "BoundedCounter": st.one_of(_increment, _increment, _decrement, _transfer, _transfer),
}
"""What adds content comes more often than what removes it, or most worlds would be empty."""

# --- contexts

dots: st.SearchStrategy[Dot] = st.builds(pack_dot, st.integers(1, 3), st.integers(1, 12))

# --- worlds


def steps(type_name: str) -> st.SearchStrategy[Step]:
    """Steps of a world of a type."""
    return kit.steps(OPERATIONS[type_name])


def worlds(type_name: str, min_steps: int = 4, max_steps: int = 16) -> st.SearchStrategy[World]:
    """A reachable world of a type."""
    return kit.worlds(registry.get(type_name), OPERATIONS[type_name], min_steps, max_steps)
