"""The command line of the simulator."""

import json
from collections import Counter

import pytest
from click.testing import CliRunner

import simulations.__main__ as cli
from simulations.marks import MARKS
from simulations.plan import FAULT_KINDS
from simulations.report import Report
from simulations.run import RunOptions, RunResult
from simulations.workers import attempt


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, ["run", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_result_is_one_json_object_that_names_every_kind_of_fault() -> None:
    code, out, _ = invoke("--seeds", "2:2", "--seconds", "2", "--jobs", "1", "--json")
    report = json.loads(out)
    assert (0, 1, 0) == (code, report["seeds"], report["failures"])
    assert {"crash", "partition_one_way", "unsynced_lost"} <= set(report["faults"])
    assert 32 == len(report["trace_hash"])


@pytest.mark.parametrize("text", ["", "x", "3:1", "1:x", "-3:-1", "1:2:3"])
def test_range_that_is_none_is_refused_and_says_what_was_expected(text: str) -> None:
    code, _, err = invoke("--seeds", text)
    assert 2 == code
    assert "expected A:B" in err


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--nodes", "1"], ["--nodes", "65"]])
def test_option_out_of_range_is_refused(arguments: list[str]) -> None:
    code, _, err = invoke("--seeds", "1", *arguments)
    assert 2 == code
    assert "expected" in err


def test_broken_promise_ends_in_exit_1_and_the_command_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        cli,
        "run_seeds",
        lambda seeds, *_, **__: (
            [RunResult(seed=seed) for seed in seeds[:-1]] + [RunResult(seed=seeds[-1], failures=["convergence: no"])]
        ),
    )
    code, out, err = invoke("--seeds", "7:9", "--seconds", "5", "--json")
    assert (1, [9]) == (code, json.loads(out)["failed_seeds"])
    assert "python -m simulations run --seeds 9:9 --seconds 5 --trace" in err
    assert "convergence: no" in err


def test_marker_that_no_seed_reaches_fails_a_range_that_has_to_reach_all(monkeypatch: pytest.MonkeyPatch) -> None:
    reached, faults = Counter(dict.fromkeys(MARKS, 1)), Counter(dict.fromkeys(FAULT_KINDS, 1))
    results = [RunResult(seed=1, reached=reached, faults=faults)]
    monkeypatch.setattr(cli, "run_seeds", lambda *_, **__: results)
    assert 0 == invoke("--seeds", "1:1", "--require-all")[0]
    del reached["index trimmed"]
    code, _, err = invoke("--seeds", "1:1", "--require-all")
    assert 1 == code
    assert "no seed reached or met: index trimmed" in err
    assert 0 == invoke("--seeds", "1:1")[0]
    reached["index trimmed"] = 1
    del faults["crash_all"]
    assert 1 == invoke("--seeds", "1:1", "--require-all")[0]


def test_interrupt_reports_what_was_done_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    def results(seeds: range, *_: object, **__: object) -> object:
        yield RunResult(seed=seeds[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_seeds", results)
    code, out, err = invoke("--seeds", "1:9", "--json")
    assert (130, 1) == (code, json.loads(out)["seeds"])
    assert "interrupted after 1 of 9 seeds" in err


def test_core_that_raises_fails_its_seed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seed: int, options: RunOptions) -> RunResult:
        raise ZeroDivisionError(f"seed {seed}")

    monkeypatch.setattr("simulations.workers.simulate", broken)
    result = attempt(3, RunOptions())
    assert 3 == result.seed
    assert result.failures[0].startswith("raised ZeroDivisionError at ")


def test_report_does_not_depend_on_the_order_of_results() -> None:
    results = [RunResult(seed=seed, trace_hash=str(seed), virtual_ns=seed) for seed in (1, 2, 3)]
    forwards, backwards = Report(RunOptions()), Report(RunOptions())
    for result in results:
        forwards.add(result)
    for result in reversed(results):
        backwards.add(result)
    assert forwards.as_dict() == backwards.as_dict()
