"""The commands of membership alone: `swim`, `lifeguard`, `fuzz` and `flood` of `python -m simulations`.

Each prints one line of JSON with `--json` and a few lines for a reader without; progress goes to standard error.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from simulations.membership import fuzz as fuzzing
from simulations.membership import lifeguard as anomalies
from simulations.membership import plots, scale

T = TypeVar("T")

_FOLDER = click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Write JSON and a PNG here.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@click.option("--members", type=int, multiple=True, help="Size; may be repeated.  [default: 8, 16, ... 512, 1000]")
@click.option("--periods", type=int, default=scale.ScaleOptions().periods, show_default=True, help="Traffic counted.")
@click.option("--trials", type=int, default=scale.ScaleOptions().trials, show_default=True, help="Crashes per size.")
@click.option("--seed", type=int, default=1, show_default=True)
@_FOLDER
@_JSON
def swim(members: tuple[int, ...], periods: int, trials: int, seed: int, folder: Path | None, *, as_json: bool) -> None:
    """Messages per member and period, and times to detect a failure, by size."""
    sizes = members or scale.SIZES
    options = _checked(lambda: scale.ScaleOptions(sizes=sizes, periods=periods, trials=trials, seed=seed))
    report = scale.report(options, progress=_progress)
    lines = [
        f"{size['members']:5} members: {size['messages_per_member_period']} messages per member and period; after a "
        f"crash, mean s: first probe {size['times_s']['first_probe']['mean']}, first suspicion "
        f"{size['times_s']['first_suspicion']['mean']}, known to all {size['times_s']['all_suspect']['mean']}"
        for size in report["sizes"]
    ]
    _finish("swim", report, lines, as_json=as_json, folder=folder, plot=plots.plot_swim)


@click.command()
@click.option("--members", type=int, default=anomalies.MEMBERS, show_default=True, help="Size of the cluster.")
@click.option("--concurrent", type=int, multiple=True, help="C: members that stop at once; may be repeated.")
@click.option("--duration", type=float, multiple=True, help="D: seconds they stop; may be repeated.")
@click.option("--interval", type=float, multiple=True, help="I: seconds they run in between; may be repeated.")
@click.option("--seconds", type=float, default=120.0, show_default=True, help="Virtual, with anomalies.")
@click.option("--seeds", type=int, default=1, show_default=True, help="Repetitions with other members.")
@click.option(
    "--stop", type=click.Choice(["messages", "process"]), default="messages", show_default=True, help="What stops."
)
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; one for each core by default.")
@_FOLDER
@_JSON
def lifeguard(  # noqa: PLR0913 - one parameter for each option of the command
    *,
    members: int,
    concurrent: tuple[int, ...],
    duration: tuple[float, ...],
    interval: tuple[float, ...],
    seconds: float,
    seeds: int,
    stop: str,
    jobs: int | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """False positives with members that stop: SWIM, each part of Lifeguard, all."""
    default = anomalies.LifeguardOptions()
    options = _checked(
        lambda: anomalies.LifeguardOptions(
            members=members,
            concurrent=concurrent or default.concurrent,
            durations_s=duration or default.durations_s,
            intervals_s=interval or default.intervals_s,
            seconds=seconds,
            seeds=tuple(range(1, seeds + 1)),
            blocks_at_send=stop == "messages",
        )
    )
    points = list(options.points())
    results = []
    for result in anomalies.run_points(points, jobs=min(jobs or os.cpu_count() or 1, len(points))):
        results.append(result)
        _progress(f"{len(results)}/{len(points)} {result[0].variant}: {result[1].false_positives} false positives")
    report = anomalies.summary(options, results)
    lines = [
        f"{name:18} {counts['fp']:7} false positives, {counts['fp_healthy']:7} at healthy members"
        for name, counts in report["variants"].items()
    ]
    lines.append(f"lifeguard / swim: {report['ratio']}, at healthy members {report['fp_healthy_ratio']}")
    _finish("lifeguard", report, lines, as_json=as_json, folder=folder, plot=plots.plot_lifeguard)


@click.command()
@click.option("--packets", type=click.IntRange(min=1), default=fuzzing.BLOCK_PACKETS, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--first-block", type=click.IntRange(min=0), default=0, help="Go on where an earlier run ended.")
@_JSON
def fuzz(packets: int, seed: int, first_block: int, *, as_json: bool) -> None:
    """Random and mutated packets: no exception, memory flat, bounded tables."""
    done: list[fuzzing.BlockResult] = []
    failure: str | None = None
    try:
        for result in fuzzing.run_blocks(packets=packets, seed=seed, first_block=first_block):
            done.append(result)
            _progress(f"block {result.block}: {result.packets} packets, {result.rss_bytes >> 20} MiB")
    except fuzzing.FuzzFailure as error:
        failure = str(error)
    except KeyboardInterrupt:
        failure = "interrupted"
    report = {
        "packets": sum(result.packets for result in done),
        "rejected": sum(result.rejected for result in done),
        "rss_bytes_first": done[0].rss_bytes if done else None,
        "rss_bytes_last": done[-1].rss_bytes if done else None,
        "next_block": done[-1].block + 1 if done else first_block,
        "failure": failure,
    }
    _finish("fuzz", report, [f"{name}: {value}" for name, value in report.items()], as_json=as_json)
    if failure:
        sys.exit(1)


@click.command()
@click.option("--members", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="Announced.")
@click.option("--cap", type=click.IntRange(min=17), default=10_000, show_default=True, help="members_max.")
@_JSON
def flood(members: int, cap: int, *, as_json: bool) -> None:
    """Synthetic members against the cap of the table."""
    try:
        report = fuzzing.flood(members=members, members_max=cap)
    except fuzzing.FuzzFailure as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    _finish("flood", report, [f"{name}: {value}" for name, value in report.items()], as_json=as_json)


COMMANDS = (swim, lifeguard, fuzz, flood)


def _checked(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _finish(
    name: str,
    report: Mapping[str, Any],
    lines: list[str],
    *,
    as_json: bool,
    folder: Path | None = None,
    plot: Callable[[Mapping[str, Any], Path], None] | None = None,
) -> None:
    if folder is not None and plot is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
        try:
            plot(report, folder / f"{name}.png")
        except plots.PlotsUnavailable as error:
            _progress(str(error))
    click.echo(json.dumps(report) if as_json else "\n".join(lines))


def _progress(text: str) -> None:
    click.echo(text, err=True)
