"""The two checks of the kit, to be called from a test function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import values
from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.testing import laws
from crdtmesh.testing.histories import History, Recorder
from crdtmesh.testing.strategies import states_of, steps, worlds
from crdtmesh.testing.worlds import REPLICA_IDS

__all__ = ["EXAMPLES", "check_convergence", "check_laws", "converge"]

EXAMPLES = 100
"""Default number of examples: about a second for a small type."""


def check_laws(
    data_type: DataType[Any],
    operations: st.SearchStrategy[Operation],
    *,
    examples: int = EXAMPLES,
    shrink: bool = True,
) -> None:
    """Assert every law of `crdtmesh.testing.laws` of reachable states, those with gaps in their contexts included.

    Args:
        data_type: the type.
        operations: what replicas do; see `operation`.
        examples: how many worlds to draw.
        shrink: whether to look for the least example of a failure, which takes longer than finding one.

    Raises:
        AssertionError: a law does not hold; hypothesis reports the least example that it found.
    """

    @_drawn(examples, shrink)
    @given(data=st.data(), order=st.permutations(REPLICA_IDS))
    def check(data: st.DataObject, order: list[bytes]) -> None:
        world = data.draw(worlds(data_type, operations))
        a, b, c = (data.draw(states_of(world)) for _ in range(3))
        laws.join_is_least_upper_bound(world, a, b, c)
        laws.absorb_is_join(world, a, b)
        laws.mutation_inflates(world, data.draw(operations))
        laws.decomposition_is_irredundant(world, a)
        laws.difference_is_least(world, a, b, c)
        laws.bytes_are_canonical(world, a, order)

    check()


def check_convergence(
    data_type: DataType[Any],
    operations: st.SearchStrategy[Operation],
    *,
    specification: Callable[[History], PlainValue] | None = None,
    examples: int = EXAMPLES,
    shrink: bool = True,
) -> None:
    """Assert that three replicas agree after random histories with partitions, duplicates and reordering.

    Args:
        data_type: the type.
        operations: what replicas do; see `operation`.
        specification: the value that a history should read as; replicas are then compared with it all along.
        examples: how many histories to draw.
        shrink: as for `check_laws`.

    Raises:
        AssertionError: the replicas disagree, or one reads something else than the history says.
    """

    @_drawn(examples, shrink)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        converge(data, data_type, operations, specification)

    check()


def converge(
    data: st.DataObject,
    data_type: DataType[Any],
    operations: st.SearchStrategy[Operation],
    specification: Callable[[History], PlainValue] | None,
) -> None:
    """One history of `check_convergence`, drawn from `data`."""
    recorder = Recorder(data_type)
    drawn = data.draw(st.lists(steps(operations), max_size=20))
    begin, end = sorted((data.draw(st.integers(0, 20)), data.draw(st.integers(0, 20))))
    isolated = data.draw(st.integers(0, 2))
    for number, step in enumerate(drawn):
        recorder.take(step, isolated=isolated if begin <= number < end else None)
        if specification is not None and recorder.is_closed(step.at):
            value = recorder.world.replicas[step.at].value
            assert _same(specification(frozenset(recorder.applied[step.at])), value)
    replicas = recorder.world.replicas
    for at in range(len(replicas)):
        arrivals = data.draw(st.permutations(range(len(recorder.events))))
        for index in (*arrivals, *arrivals[:3]):
            recorder.deliver(at, index)
    assert replicas[0] == replicas[1] == replicas[2]
    assert len({replica.encode() for replica in replicas}) == 1
    if specification is not None:
        expected = specification(frozenset(event for event, _ in recorder.events))
        assert all(_same(expected, replica.value) for replica in replicas)


def _same(a: PlainValue, b: PlainValue) -> bool:
    """Equal to the mesh, which tells `True`, `1` and `1.0` apart."""
    return values.encode(a) == values.encode(b)


def _drawn(examples: int, shrink: bool) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,  # the first one stays an AssertionError, not a group
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
