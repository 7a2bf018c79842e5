"""Fixed seeds: every promise is kept, and a seed means the same run in every process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from simulations.run import RunOptions, simulate

SECONDS = 25.0


@pytest.mark.parametrize("seed", range(1, 13))
def test_promises_are_kept(seed: int) -> None:
    result = simulate(seed, RunOptions(seconds=SECONDS))
    assert [] == result.failures
    assert result.converged_ns is not None
    assert result.outcomes["ok"] > 0


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


def test_trace_shows_the_drawn_parameters_and_what_happened() -> None:
    lines: list[str] = []
    result = simulate(5, RunOptions(seconds=10), sink=lines.append)
    assert lines[0].startswith("seed 5: ")
    assert "workload: clients=" in lines[0]
    assert any(" datagram " in line for line in lines)
    assert any(" reply " in line for line in lines)
    # Showing a run does not change it.
    assert simulate(5, RunOptions(seconds=10)).trace_hash == result.trace_hash
