"""A range of seeds: what is skipped, when it stops, what is told."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from simulations.ranges import RangeOptions, run_range
from simulations.report import Report
from simulations.results import Origin, ResultFile
from simulations.run import RunOptions, RunResult
from simulations.workers import Orders

OPTIONS = RunOptions()


class Hand:
    """A clock that stands still until it is moved, and a runner of seeds that take a second each."""

    def __init__(self, *failing: int) -> None:
        self.now_s = 0.0
        self.ran: list[int] = []
        self._failing = failing

    def runner(self, seeds: Iterable[int], may_begin: Callable[[], bool]) -> Iterator[RunResult]:
        for seed in seeds:
            if not may_begin():
                return
            self.now_s += 1
            self.ran.append(seed)
            yield RunResult(seed=seed, failures=["convergence: no"] if seed in self._failing else [])

    def run(
        self, how: RangeOptions, kept: ResultFile | None = None, seeds: range = range(1, 10)
    ) -> tuple[Report, bool]:
        return run_range(seeds, OPTIONS, how, runner=self.runner, kept=kept, clock_s=lambda: self.now_s)


def test_whole_range_is_run() -> None:
    hand = Hand()
    report, is_interrupted = hand.run(RangeOptions(jobs=1))
    assert (9, False, list(range(1, 10))) == (report.seeds, is_interrupted, hand.ran)


def test_no_seed_begins_after_a_failure_if_so_asked() -> None:
    hand = Hand(3)
    report, _ = hand.run(RangeOptions(jobs=1, until_failure=True))
    assert ([1, 2, 3], [3]) == (hand.ran, report.failed)


def test_no_seed_begins_when_the_budget_is_spent(capsys: pytest.CaptureFixture[str]) -> None:
    hand = Hand()
    hand.run(RangeOptions(jobs=1, budget_s=4))
    assert [1, 2, 3, 4] == hand.ran
    assert "stopped after 4 of 9 seeds" in capsys.readouterr().err


def test_range_in_pieces_gives_the_report_of_the_whole(tmp_path: Path) -> None:
    origin = Origin(commit="", sources="5", is_clean=True, options=OPTIONS)
    hand, path = Hand(2), tmp_path / "results.jsonl"
    hand.run(RangeOptions(jobs=1, budget_s=4), ResultFile(path, origin))
    hand.run(RangeOptions(jobs=1), ResultFile(path, origin), range(1, 8))
    report, _ = hand.run(RangeOptions(jobs=1), ResultFile(path, origin))
    whole, _ = Hand(2).run(RangeOptions(jobs=1))
    assert list(range(1, 10)) == hand.ran
    assert whole.as_dict() == report.as_dict()


def test_pace_is_told_for_planning(capsys: pytest.CaptureFixture[str]) -> None:
    Hand().run(RangeOptions(jobs=2))
    assert "9 seeds in 9 s with 2 processes: 60.0 seeds per minute" in capsys.readouterr().err


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    Hand().run(RangeOptions(jobs=1), seeds=range(1, 91))
    lines = capsys.readouterr().err.splitlines()
    expected = "30/90 seeds, 0 failed, 0.00 virtual hours, 60.0 seeds per minute, 1 min left"
    assert [expected, expected.replace("30/", "60/", 1).replace("1 min", "0 min")] == lines[:-1]


def test_failure_names_its_trace_when_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "seed-3.jsonl").touch()
    Hand(3, 4).run(RangeOptions(jobs=1, orders=Orders(traces=tmp_path)))
    err = capsys.readouterr().err
    assert f"python -m simulations show {tmp_path / 'seed-3.jsonl'}" in err
    assert "seed-4.jsonl" not in err
    assert 2 == err.count("replay: python -m simulations run --seeds ")
