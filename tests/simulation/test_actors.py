"""Actors with one activation: fixed seeds, and planted bugs of placement, hand-over and calls for later."""

import pytest

from simulations.actors.plan import with_actors
from simulations.actors.planted import PLANTED
from simulations.mutations import SEEDS_MAX, catch, run_focused
from simulations.plan import ActorPlan, RunPlan
from simulations.planted import Focus, Planted
from simulations.run import RunOptions, execute, simulate

SECONDS = 20.0
FOCUSES = {planted.focus.__name__: planted.focus for planted in PLANTED}


@pytest.mark.parametrize("seed", range(1, 9))
def test_promises_to_actors_are_kept(seed: int) -> None:
    result = simulate(seed, RunOptions(seconds=SECONDS, actors=True))
    assert [] == result.failures
    assert result.reports["actor.beats"] > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_without_any_fault_each_call_for_later_is_made_once(seed: int) -> None:
    plan = with_actors(RunPlan(seed=seed, nodes=4, faulty_ns=20_000_000_000), ActorPlan(later=0.5))
    assert plan.is_peaceful
    result = execute(plan)
    assert [] == result.failures
    assert 0 == result.reports["actor.made_twice"]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.plant.__name__)
def test_planted_bug_is_caught(planted: Planted) -> None:
    count, failure = catch(planted)
    assert count is not None, f"not caught within {SEEDS_MAX} seeds"
    print(f"{planted.plant.__name__}: caught after {count} seeds by {failure}")


@pytest.mark.parametrize("focus", FOCUSES.values(), ids=lambda focus: focus.__name__)
def test_focused_plan_keeps_its_promises_without_the_bug(focus: Focus) -> None:
    for seed in (1, 2, 3):
        assert [] == run_focused(seed, focus).failures
