"""What is drawn: operations, steps, worlds and their states. Only this module and `checks` load hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from crdtmesh.crdts.base import DataType, Delta
from crdtmesh.crdts.operations import Operation
from crdtmesh.testing.worlds import Step, World

__all__ = ["operation", "states_of", "steps", "worlds"]


def operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    """Operations of a name, with drawn arguments. Let arguments be few, so that concurrent operations meet."""
    return st.builds(Operation, st.just(name), st.tuples(*arguments))


def steps(operations: st.SearchStrategy[Operation]) -> st.SearchStrategy[Step]:
    """Operations and exchanges in equal parts; exchanges lose, repeat and reorder deltas at will."""
    return st.builds(
        Step,
        at=st.integers(0, 2),
        operation=st.one_of(operations, st.none()),
        source=st.integers(0, 11),
        now_ms=st.integers(0, 3),
    )


@st.composite
def worlds(
    draw: st.DrawFn,
    data_type: DataType[Any],
    operations: st.SearchStrategy[Operation],
    min_steps: int = 4,
    max_steps: int = 16,
) -> World:
    """A reachable world of a type."""
    world = World(data_type)
    for step in draw(st.lists(steps(operations), min_size=min_steps, max_size=max_steps)):
        world.take(step)
    return world


def states_of(world: World) -> st.SearchStrategy[Delta[Any]]:
    """A state of a world: of a replica now or earlier, or the join of some deltas, with whatever gaps that leaves."""
    known = [replica.delta() for replica in world.replicas] + world.snapshots + world.deltas
    join: Callable[[list[Delta[Any]]], Delta[Any]] = world.join
    if not world.deltas:
        return st.sampled_from(known)
    return st.one_of(st.sampled_from(known), st.lists(st.sampled_from(world.deltas), max_size=6).map(join))
