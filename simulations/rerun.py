"""Running a seed a second time: for its trace, and in a process with another hash seed to see that it is the same run.

The order of a set of strings differs between processes. Code that lets it reach an output passes any number of repeats
within one process, and none here.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from simulations.plan import RunPlan
from simulations.run import RunOptions, RunResult, execute, simulate
from simulations.tracefile import FAILURES_MAX, Header, TraceRecorder, write

TRACES_MAX: Final = 20
"""Traces in one folder; the command in the report writes any other."""


def replay_command(seed: int, options: RunOptions) -> str:
    """The command that runs one seed again and shows what happens."""
    default = RunOptions()
    extra = f" --seconds {options.seconds:g}" if options.seconds != default.seconds else ""
    extra += f" --nodes {options.nodes}" if options.nodes is not None else ""
    extra += " --actors" if options.actors else ""
    return f"python -m simulations run --seeds {seed}:{seed}{extra} --trace"


def trace_path(folder: Path, seed: int) -> Path:
    """Where the trace of a seed goes."""
    return folder / f"seed-{seed}.jsonl"


def write_trace(folder: Path, plan: RunPlan, result: RunResult, *, replay: str) -> Path | None:
    """Runs a plan again and writes what happens; None if the folder is full.

    Observing a run does not change it, so nothing has to be kept while the outcome is not known.
    """
    if len(list(folder.glob("seed-*.jsonl"))) >= TRACES_MAX:
        return None
    recorder = TraceRecorder(result.failures)
    try:
        execute(plan, observer=recorder)
    except Exception as error:
        # What the first run died of; its trace ends there.
        if not result.failures:
            raise AssertionError(f"seed {plan.seed} raised only when observed") from error
    header = Header(
        seed=plan.seed,
        replay=replay,
        plan=plan.describe(),
        failures=tuple(result.failures[:FAILURES_MAX]),
        calls=recorder.calls,
        trace_hash=result.trace_hash,
        left_out=recorder.left_out(),
    )
    path = trace_path(folder, plan.seed)
    write(path, header, recorder.lines())
    return path


def hash_elsewhere(seed: int, options: RunOptions) -> str:
    """The trace hash of a seed in a new process, whose strings hash differently."""
    extra = ["actors"] * options.actors
    return elsewhere("simulations.rerun", str(seed), repr(options.seconds), str(options.nodes or 0), *extra)


def elsewhere(module: str, *arguments: str) -> str:
    """What a module prints, which is a trace hash, in a new process whose strings hash differently."""
    here = os.environ.get("PYTHONHASHSEED", "")
    there = str(int(here) % 1000 + 1) if here.isdigit() else "1"
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(  # noqa: S603 - modules of this package
        command, env={**os.environ, "PYTHONHASHSEED": there}, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or f"no hash: {done.stderr[-200:]!r}"


if __name__ == "__main__":
    chosen = RunOptions(seconds=float(sys.argv[2]), nodes=int(sys.argv[3]) or None, actors="actors" in sys.argv)
    sys.stdout.write(simulate(int(sys.argv[1]), chosen).trace_hash)
