"""The service `State`: planted bugs of levels, tokens, batches, operation ids, expiry, watches and trimmed history."""

import pytest

from simulations.mutations import SEEDS_MAX, catch, run_focused
from simulations.planted import Focus, Planted
from simulations.state_planted import PLANTED

FOCUSES = {planted.focus.__name__: planted.focus for planted in PLANTED}


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.plant.__name__)
def test_planted_bug_is_caught(planted: Planted) -> None:
    count, failure = catch(planted)
    assert count is not None, f"not caught within {SEEDS_MAX} seeds"
    print(f"{planted.plant.__name__}: caught after {count} seeds by {failure}")


@pytest.mark.parametrize("focus", FOCUSES.values(), ids=lambda focus: focus.__name__)
def test_focused_plan_keeps_its_promises_without_the_bug(focus: Focus) -> None:
    for seed in (1, 2, 3):
        assert [] == run_focused(seed, focus).failures
