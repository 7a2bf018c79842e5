"""The service `State`: planted bugs of levels, tokens, batches, operation ids, expiry, watches and trimmed history."""

import pytest

from simulations.mutations import SEEDS_MAX, catch, run_focused
from simulations.plan import RunPlan, StatePlan
from simulations.planted import Focus, Planted
from simulations.run import execute
from simulations.state_planted import PLANTED

FOCUSES = {planted.focus.__name__: planted.focus for planted in PLANTED}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_run_without_any_fault_has_nothing_to_report(seed: int) -> None:
    plan = RunPlan(seed=seed, nodes=4, faulty_ns=15_000_000_000, state=StatePlan(clients=3, away=0.1))
    assert plan.is_peaceful
    assert [] == execute(plan).failures


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.plant.__name__)
def test_planted_bug_is_caught(planted: Planted) -> None:
    count, failure = catch(planted)
    assert count is not None, f"not caught within {SEEDS_MAX} seeds"
    print(f"{planted.plant.__name__}: caught after {count} seeds by {failure}")


@pytest.mark.parametrize("focus", FOCUSES.values(), ids=lambda focus: focus.__name__)
def test_focused_plan_keeps_its_promises_without_the_bug(focus: Focus) -> None:
    for seed in (1, 2, 3):
        assert [] == run_focused(seed, focus).failures
