"""A range of seeds from its first to its last: what is skipped, when it stops, what is told meanwhile.

`run` and `record` share it. Nothing here knows how a seed is run (`workers`) or what a report says (`report`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import click

from simulations.progress import SeedProgress
from simulations.report import Report
from simulations.rerun import replay_command, trace_path
from simulations.results import ResultFile
from simulations.run import RunOptions, RunResult
from simulations.workers import Orders

FAILURES_SHOWN: Final = 5

Runner = Callable[[Iterable[int], Callable[[], bool]], Iterator[RunResult]]
"""Runs seeds, asking before each whether it may begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeOptions:
    """How a range is run.

    Attributes:
        jobs: how many processes.
        orders: what is done with each seed beside running it.
        until_failure: begin no more once a seed has failed.
        budget_s: begin no more after so many seconds of real time; None for no limit.
    """

    jobs: int
    orders: Orders = field(default_factory=Orders)
    until_failure: bool = False
    budget_s: float | None = None


def run_range(
    seeds: Sequence[int],
    options: RunOptions,
    how: RangeOptions,
    *,
    runner: Runner,
    kept: ResultFile | None = None,
    clock_s: Callable[[], float] = time.monotonic,
) -> tuple[Report, bool]:
    """Runs what is not done yet.

    Args:
        seeds: all of the range.
        options: of each run.
        how: of the range.
        runner: see `Runner`.
        kept: results of earlier, and where those of now are kept.
        clock_s: real time.

    Returns:
        The report on everything done, and whether it was interrupted.
    """
    report = Report(options)
    done = kept.done if kept is not None else {}
    for seed in seeds:
        if seed in done:
            report.add(done[seed])
    left = [seed for seed in seeds if seed not in done]
    if report.seeds:
        click.echo(f"{report.seeds} of {len(seeds)} seeds were done before", err=True)
    begun_s = clock_s()

    def may_begin() -> bool:
        is_late = how.budget_s is not None and clock_s() - begun_s >= how.budget_s
        return not is_late and not (how.until_failure and report.failed)

    is_interrupted = False
    with SeedProgress(len(left), clock_s=clock_s) as progress:
        try:
            for result in runner(left, may_begin):
                report.add(result)
                if kept is not None:
                    kept.add(result)
                _tell_failure(result, options, how.orders)
                progress.update(report)
        except KeyboardInterrupt:
            is_interrupted = True
    click.echo(progress.summary(how.jobs), err=True)
    if report.seeds < len(seeds):
        why = "interrupted" if is_interrupted else "stopped"
        again = ", the same command goes on from here" if kept is not None else ""
        click.echo(f"{why} after {report.seeds} of {len(seeds)} seeds{again}", err=True)
    return report, is_interrupted


def _tell_failure(result: RunResult, options: RunOptions, orders: Orders) -> None:
    """Prints a failure at once, with the one command that shows it again."""
    if not result.failures:
        return
    click.echo(f"seed {result.seed} failed; replay: {replay_command(result.seed, options)}", err=True)
    for failure in result.failures[:FAILURES_SHOWN]:
        click.echo(f"  {failure}", err=True)
    if len(result.failures) > FAILURES_SHOWN:
        click.echo(f"  and {len(result.failures) - FAILURES_SHOWN} more", err=True)
    if orders.traces is not None and (path := trace_path(orders.traces, result.seed)).exists():
        click.echo(f"  trace: {path}; draw it: python -m simulations show {path}", err=True)
