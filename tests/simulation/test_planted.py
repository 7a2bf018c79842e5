"""Is the net fine enough? Every planted bug is caught within a bounded number of seeds."""

import pytest

from simulations.plan import draw_plan
from simulations.run import RunResult, execute
from simulations.scheduler import SeedStreams
from tests.simulation.planted import FOCUSES, PLANTED, Focus, Planted

SEEDS_MAX = 30
SECONDS = 20.0
NODES = 4


def run(seed: int, focus: Focus) -> RunResult:
    plan = draw_plan(seed, SeedStreams(seed).stream("plan"), seconds=SECONDS, nodes=NODES)
    return execute(focus(plan))


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.plant.__name__)
def test_planted_bug_is_caught(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.plant(monkeypatch)
    for seed in range(1, SEEDS_MAX + 1):
        failures = run(seed, planted.focus).failures
        if failures:
            print(f"{planted.plant.__name__}: caught after {seed} seeds by {failures[0]}")
            return
    pytest.fail(f"{planted.plant.__name__} was not caught within {SEEDS_MAX} seeds")


@pytest.mark.parametrize("focus", FOCUSES, ids=lambda focus: focus.__name__)
def test_focused_plan_keeps_its_promises_without_the_bug(focus: Focus) -> None:
    for seed in (1, 2, 3):
        assert [] == run(seed, focus).failures
