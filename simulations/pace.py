"""`python -m simulations pace`: how fast virtual time passes, and what takes the time.

Five busy nodes: six clients that pause for a tenth of a second, levels, turns that wait, lossy wires, checkpoints and
trims as production has them, and no fault that would leave a node idle. Measured in processor time of this process,
since what else runs on a machine says nothing about the simulator.
"""

import cProfile
import gc
import json
import pstats
import statistics
import time
from collections import Counter
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Final

import click

from simulations.plan import PathShape, RunPlan, WorkloadPlan
from simulations.run import Run
from simulations.scheduler import MILLISECOND_NS

NODES: Final = 5
WARM_UP_S: Final = 5.0
AREAS: Final = ("crdtmesh", "gossip", "simulations")


def plan() -> RunPlan:
    """Five busy nodes."""
    workload = WorkloadPlan(clients=6, think_ns_mean=100 * MILLISECOND_NS, levels=0.3, turns=0.5, stickiness=0.5)
    wires = PathShape(delay_ns_min=5 * MILLISECOND_NS, delay_ns_max=20 * MILLISECOND_NS, loss=0.05, reordering=0.05)
    return RunPlan(seed=1, nodes=NODES, faulty_ns=0, workload=workload, datagrams=wires, segments=wires)


def measure(seed: int, seconds: float) -> tuple[float, int]:
    """Virtual seconds per second of processor time, and the calls that were made meanwhile."""
    run = _warmed_up(seed)
    calls = len(run.history.calls)
    gc.collect()
    before_s = time.process_time()
    run.advance(seconds)
    pace = seconds / (time.process_time() - before_s)
    made = len(run.history.calls) - calls
    run.close()
    return pace, made


def shares(seed: int, seconds: float) -> dict[str, float]:
    """What part of the time was spent in the code of each package itself, greatest first."""
    run = _warmed_up(seed)
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    run.advance(seconds)
    profile.disable()
    run.close()
    spent: Counter[str] = Counter()
    for (file, _, _), (_, _, own_s, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[_area(file)] += own_s
    whole = sum(spent.values())
    return {area: round(own_s / whole, 3) for area, own_s in spent.most_common()}


@click.command(name="pace")
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Virtual time of a run.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Runs; the median counts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pace_command(*, seconds: float, runs: int, as_json: bool) -> None:
    """Measures virtual seconds per second of one core with five busy nodes, and says what takes the time."""
    measured = [measure(seed, seconds) for seed in range(1, runs + 1)]
    result: dict[str, Any] = {
        "nodes": NODES,
        "virtual_seconds": seconds,
        "calls_per_virtual_second": round(sum(calls for _, calls in measured) / (runs * seconds), 1),
        "virtual_seconds_per_core_second": round(statistics.median(pace for pace, _ in measured), 1),
        "paces": [round(pace, 1) for pace, _ in measured],
        "shares": shares(1, seconds),
    }
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(f"{result['virtual_seconds_per_core_second']} virtual seconds per second of a core, {NODES} busy nodes")
    for area, share in result["shares"].items():
        click.echo(f"  {share:6.1%}  {area}")


# --- inside


def _warmed_up(seed: int) -> Run:
    run = Run(replace(plan(), seed=seed))
    run.start()
    run.advance(WARM_UP_S)
    return run


def _area(file: str) -> str:
    """The package of a file: two levels of ours, the standard library and what is installed as one each."""
    if file.startswith(("~", "<")):
        return "built-in functions"
    parts = PurePath(file).parts
    for area in AREAS:
        if area in parts:
            below = parts[parts.index(area) + 1 :]
            return f"{area}.{below[0]}" if area == "crdtmesh" and len(below) > 1 else area
    return "installed packages" if "site-packages" in parts else "standard library"
