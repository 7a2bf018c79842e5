"""Is the net fine enough? Every planted bug is caught within a bounded number of seeds."""

import pytest

from simulations.mutations import SEEDS_MAX, catch, run_focused
from simulations.patching import Patch
from simulations.planted import FOCUSES, PLANTED, Focus, Planted, forget_to_log_what_may_wait, many_brief


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.plant.__name__)
def test_planted_bug_is_caught(planted: Planted) -> None:
    count, failure = catch(planted)
    assert count is not None, f"not caught within {SEEDS_MAX} seeds"
    print(f"{planted.plant.__name__}: caught after {count} seeds by {failure}")


def test_only_the_loss_rule_sees_that_what_may_wait_was_never_written() -> None:
    # All nodes lose the same, so bytes, values and what each event means agree everywhere.
    patch = Patch()
    forget_to_log_what_may_wait(patch)
    try:
        failures = run_focused(1, many_brief).failures
    finally:
        patch.undo()
    assert {"no_lost_update"} == {failure.partition(":")[0] for failure in failures}


@pytest.mark.parametrize("focus", FOCUSES, ids=lambda focus: focus.__name__)
def test_focused_plan_keeps_its_promises_without_the_bug(focus: Focus) -> None:
    for seed in (1, 2, 3):
        assert [] == run_focused(seed, focus).failures
