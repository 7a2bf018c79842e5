"""What the property tests draw: plain values, operations of every data type, and worlds of three replicas.

A new data type is added to `OPERATIONS`; `test_crdt_registry.py` fails until it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot, ReplicaTable, pack_dot
from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.registry import AnyType
from crdtmesh.crdts.state import State
from crdtmesh.crdts.values import INTEGER_MAX, INTEGER_MIN, PlainValue

REPLICA_IDS = tuple(bytes([byte]) * 16 for byte in (7, 200, 42))
"""Not in order of interning: whoever orders by the interned integer instead of these bytes is caught."""

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


def _operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.builds(Operation, st.just(name), st.tuples(*arguments))


_amounts = st.integers(0, 5)

_increment, _decrement = _operation("increment", _amounts), _operation("decrement", _amounts)
_add, _remove = _operation("add", few_values), _operation("remove", few_values)
_set = _operation("set", few_values)

_numbers = st.sampled_from([-1, 0, 0.5, 1, 1.0, 2, float("inf")])
_receivers = st.sampled_from([replica_id.hex() for replica_id in REPLICA_IDS])
_set_number = _operation("set", _numbers)
_transfer = _operation("transfer", _receivers, _amounts)
_vote = _operation("vote", st.booleans())

OPERATIONS: dict[str, st.SearchStrategy[Operation]] = {
    "PNCounter": st.one_of(_increment, _increment, _decrement, _operation("reset")),
    "ORSet": st.one_of(_add, _add, _add, _remove, _remove, _operation("clear")),
    "LWWRegister": st.one_of(_set, _set, _operation("clear")),
    "FWWRegister": st.one_of(_set, _set, _operation("clear")),
    "MaxRegister": st.one_of(_set_number, _set_number, _set_number, _operation("clear")),
    "MinRegister": st.one_of(_set_number, _set_number, _set_number, _operation("clear")),
    "TwoPhaseSet": st.one_of(_add, _add, _add, _remove, _remove, _operation("reset")),
    "Vote": st.one_of(_vote, _vote, _vote, _operation("withdraw"), _operation("reset")),
    "BoundedCounter": st.one_of(_increment, _increment, _decrement, _transfer, _transfer),
}
"""What adds content comes more often than what removes it, or most worlds would be empty."""

# --- contexts

dots: st.SearchStrategy[Dot] = st.builds(pack_dot, st.integers(1, 3), st.integers(1, 12))

# --- worlds


@dataclass(frozen=True)
class Step:
    """One step of a world: replica `at` carries out `operation`, or takes in what `source` names."""

    at: int
    operation: Operation | None
    source: int
    now_ms: int


@dataclass
class World:
    """Three replicas of one state after some steps, with every delta that was made on the way."""

    data_type: AnyType
    table: ReplicaTable = field(default_factory=ReplicaTable)
    replicas: list[State[Any]] = field(default_factory=list)
    deltas: list[Delta[Any]] = field(default_factory=list)
    snapshots: list[Delta[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replicas = [State(self.data_type, self.table, replica_id=each) for each in REPLICA_IDS]

    def take(self, step: Step) -> None:
        """Carry out a step; a source below the number of deltas is a delta, others are a replica's whole state."""
        replica = self.replicas[step.at]
        if step.operation is not None:
            delta = self.apply(step)
            if delta is not None:
                self.deltas.append(delta)
        elif step.source < 9 and self.deltas:
            replica.join(self.deltas[step.source % len(self.deltas)])
        else:
            replica.join(self.replicas[step.source % 3])
        if step.source % 4 == 0:
            self.snapshots.append(replica.delta())

    def apply(self, step: Step) -> Delta[Any] | None:
        """Carry out the operation of a step; None where it has no effect or is refused, as beyond one's rights."""
        assert step.operation is not None
        try:
            return self.replicas[step.at].apply(step.operation, now_ms=step.now_ms)
        except InvalidOperation:
            return None

    def bottom(self) -> Delta[Any]:
        """The least state."""
        return Delta(self.data_type.bottom(), CausalContext(self.table))

    def join(self, parts: Sequence[Delta[Any]]) -> Delta[Any]:
        """The join of many states, by the pure join."""
        joined = self.bottom()
        for part in parts:
            joined = deltas.join(self.data_type, joined, part)
        return joined

    def everything(self) -> Delta[Any]:
        """The join of all replicas."""
        return self.join([replica.delta() for replica in self.replicas])


def steps(type_name: str) -> st.SearchStrategy[Step]:
    """Operations and exchanges in equal parts; exchanges lose, repeat and reorder deltas at will."""
    return st.builds(
        Step,
        at=st.integers(0, 2),
        operation=st.one_of(OPERATIONS[type_name], st.none()),
        source=st.integers(0, 11),
        now_ms=st.integers(0, 3),
    )


@st.composite
def worlds(draw: st.DrawFn, type_name: str, min_steps: int = 4, max_steps: int = 16) -> World:
    """A reachable world of a type."""
    world = World(registry.get(type_name))
    for step in draw(st.lists(steps(type_name), min_size=min_steps, max_size=max_steps)):
        world.take(step)
    return world


def states_of(world: World) -> st.SearchStrategy[Delta[Any]]:
    """A state of a world: of a replica now or earlier, or the join of some deltas, with whatever gaps that leaves."""
    known = [replica.delta() for replica in world.replicas] + world.snapshots + world.deltas
    join: Callable[[list[Delta[Any]]], Delta[Any]] = world.join
    if not world.deltas:
        return st.sampled_from(known)
    return st.one_of(st.sampled_from(known), st.lists(st.sampled_from(world.deltas), max_size=6).map(join))
