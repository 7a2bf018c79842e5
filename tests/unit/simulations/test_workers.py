"""Many seeds over several processes."""

from collections.abc import Collection
from concurrent import futures
from typing import Any

import pytest

from simulations import workers
from simulations.run import RunOptions
from simulations.workers import run_seeds

SHORT = RunOptions(seconds=0.2, nodes=2)


def test_runs_under_way_at_an_interrupt_end_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(running: Collection[futures.Future[Any]], **_: Any) -> Any:
        assert 2 == len(running)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "wait", interrupted)
    runs = run_seeds(range(1, 100), SHORT, jobs=2)
    assert {1, 2} == {next(runs).seed, next(runs).seed}
    with pytest.raises(KeyboardInterrupt):
        next(runs)


def test_no_run_begins_after_a_no() -> None:
    answers = iter([True, True, False])
    runs = run_seeds(range(1, 100), SHORT, jobs=1, may_begin=lambda: next(answers))
    assert [1, 2] == [result.seed for result in runs]
