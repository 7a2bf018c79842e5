"""Fixed seeds: every promise is kept, and a seed means the same run in every process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from simulations.plan import RunPlan
from simulations.run import RunOptions, execute, plan_of, simulate
from simulations.trace import Note

SECONDS = 25.0


@pytest.mark.parametrize("seed", range(1, 13))
def test_promises_are_kept(seed: int) -> None:
    result = simulate(seed, RunOptions(seconds=SECONDS))
    assert [] == result.failures
    assert result.converged_ns is not None
    assert result.outcomes["ok"] > 0


@pytest.mark.parametrize("seed", range(1, 5))
def test_run_without_any_fault_has_nothing_to_report(seed: int) -> None:
    drawn = plan_of(seed, RunOptions(seconds=SECONDS))
    plan = RunPlan(seed=seed, nodes=4, faulty_ns=drawn.faulty_ns, workload=replace(drawn.workload, overload_clients=0))
    assert plan.is_peaceful
    assert [] == execute(plan).failures


def test_large_mesh_keeps_its_promises() -> None:
    assert [] == simulate(1, RunOptions(seconds=10, nodes=12)).failures


def run_command(arguments: Sequence[str], *, hash_seed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulations", "run", *arguments],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_same_seeds_are_the_same_runs_under_other_hash_seeds_and_process_counts() -> None:
    arguments = ["--seeds", "5:8", "--seconds", "10", "--json"]
    one = run_command([*arguments, "--jobs", "1"], hash_seed="1")
    two = run_command([*arguments, "--jobs", "2"], hash_seed="2")
    assert (0, 0) == (one.returncode, two.returncode), one.stderr + two.stderr
    assert json.loads(one.stdout) == json.loads(two.stdout)


def test_other_seeds_are_other_runs() -> None:
    options = RunOptions(seconds=5)
    assert simulate(1, options).trace_hash != simulate(2, options).trace_hash


def test_observer_sees_what_happens_and_changes_nothing() -> None:
    notes: list[Note] = []
    result = simulate(5, RunOptions(seconds=10), observer=notes.append)
    assert {"call", "reply", "datagram", "payload", "persist", "stored", "start"} <= {note.kind for note in notes}
    assert [note.time_ns for note in notes] == sorted(note.time_ns for note in notes)
    assert simulate(5, RunOptions(seconds=10)).trace_hash == result.trace_hash


def test_plan_shows_the_drawn_parameters() -> None:
    text = plan_of(5).describe()
    assert text.startswith("seed 5: ")
    assert "workload: clients=" in text
