"""Running a seed a second time."""

from pathlib import Path

import pytest

from simulations import rerun, workers
from simulations.plan import RunPlan
from simulations.rerun import replay_command, trace_path, write_trace
from simulations.run import RunOptions, RunResult, execute
from simulations.scheduler import SECOND_NS
from simulations.tracefile import read
from simulations.workers import Orders, attempt

PLAN = RunPlan(seed=4, nodes=2, faulty_ns=SECOND_NS)


def test_replay_command_names_what_differs_from_the_default() -> None:
    assert "python -m simulations run --seeds 9:9 --trace" == replay_command(9, RunOptions())
    command = "python -m simulations run --seeds 9:9 --seconds 5 --nodes 4 --trace"
    assert command == replay_command(9, RunOptions(seconds=5, nodes=4))


def test_trace_holds_what_happened_and_that_nobody_was_disturbed(tmp_path: Path) -> None:
    result = execute(PLAN)
    path = write_trace(tmp_path, PLAN, result, replay="replay it")
    assert path == trace_path(tmp_path, 4)
    header, lines = read(path)
    assert (4, "replay it", result.trace_hash) == (header.seed, header.replay, header.trace_hash)
    kinds = {line["kind"] for line in lines}
    assert {"call", "reply", "applied", "datagram", "datagram_sent", "payload", "payload_sent", "start"} <= kinds
    assert execute(PLAN).trace_hash == result.trace_hash


def test_folder_of_traces_is_bounded(tmp_path: Path) -> None:
    for seed in range(100, 100 + rerun.TRACES_MAX):
        trace_path(tmp_path, seed).touch()
    assert None is write_trace(tmp_path, PLAN, RunResult(seed=4), replay="")


def test_run_that_raises_leaves_its_trace_up_to_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(plan: RunPlan, *, observer: object) -> RunResult:
        raise ZeroDivisionError

    monkeypatch.setattr(rerun, "execute", broken)
    failed = RunResult(seed=4, failures=["raised ZeroDivisionError"])
    path = write_trace(tmp_path, PLAN, failed, replay="")
    assert path is not None
    assert [] == read(path)[1]
    with pytest.raises(AssertionError, match="only when observed"):
        write_trace(tmp_path, PLAN, RunResult(seed=4), replay="")


def test_hash_is_the_same_in_a_process_whose_strings_hash_differently() -> None:
    result = attempt(20, RunOptions(seconds=0.5, nodes=2), Orders(repeat_every=10))
    assert result.is_repeated
    assert [] == [text for text in result.failures if text.startswith("reproducible")]


def test_seed_that_is_another_run_elsewhere_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "simulate", lambda seed, options: RunResult(seed=seed, trace_hash="here"))
    monkeypatch.setattr(workers, "hash_elsewhere", lambda seed, options: "there")
    assert [] == attempt(19, RunOptions(), Orders(repeat_every=10)).failures
    failures = attempt(20, RunOptions(), Orders(repeat_every=10)).failures
    assert ["reproducible: hash here here, there in another process"] == failures
