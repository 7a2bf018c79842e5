"""The command line: `python -m simulations run --seeds 1:200 --json`; other commands are about membership alone.

Seeds are independent, so they are spread over processes and the result does not depend on how many there are. Exit
codes: 0 all promises kept, 1 some broken, 2 wrong usage, 130 interrupted.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Final

import click

from simulations.membership.commands import COMMANDS
from simulations.mutations import TRIES, as_dict, try_all
from simulations.planted import PLANTED
from simulations.report import Report
from simulations.run import RunOptions, RunResult, plan_of, simulate
from simulations.workers import run_seeds

EXIT_FAILURES: Final = 1
EXIT_INTERRUPTED: Final = 130


class SeedRange(click.ParamType[range]):
    """`A:B`, both included, or one seed."""

    name = "A:B"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """Reads a range."""
        first, colon, last = str(value).partition(":")
        try:
            seeds = range(int(first), int(last if colon else first) + 1)
        except ValueError:
            self.fail(f"expected A:B, such as 1:200, got {str(value)[:64]!r}", param, ctx)
        if not seeds or seeds[0] < 0:
            self.fail(f"expected A:B with 0 <= A <= B, got {str(value)[:64]!r}", param, ctx)
        return seeds


@click.group()
def main() -> None:
    """A whole mesh in virtual time, with faults."""


@main.command()
@click.option("--seeds", type=SeedRange(), default="1:200", show_default=True, help="Seeds, both ends included.")
@click.option("--seconds", type=float, default=RunOptions().seconds, show_default=True, help="Faulty phase, virtual.")
@click.option("--nodes", type=int, default=None, help="Size of the mesh; drawn from the seed by default.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; one for each core by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--trace", is_flag=True, help="Print the parameters and everything that happens; one process.")
def run(seeds: range, seconds: float, nodes: int | None, jobs: int | None, *, as_json: bool, trace: bool) -> None:
    """Runs seeds and checks what was promised."""
    try:
        options = RunOptions(seconds=seconds, nodes=nodes)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    report = Report(options)
    is_interrupted = False
    runs = _traced(seeds, options, to_stderr=as_json) if trace else run_seeds(seeds, options, jobs=jobs or _cores())
    try:
        for result in runs:
            report.add(result)
            _tell(report, result, len(seeds))
    except KeyboardInterrupt:
        is_interrupted = True
    _progress("")
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_text())
    if is_interrupted:
        click.echo(f"interrupted after {report.seeds} of {len(seeds)} seeds", err=True)
        sys.exit(EXIT_INTERRUPTED)
    if report.failed:
        sys.exit(EXIT_FAILURES)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--tries", type=click.IntRange(min=1), default=TRIES, show_default=True, help="Ranges of seeds for each.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; one for each core by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mutations(names: tuple[str, ...], tries: int, jobs: int | None, *, as_json: bool) -> None:
    """Plants bugs, and counts the seeds until each is caught."""
    unknown = sorted(set(names) - {planted.plant.__name__ for planted in PLANTED})
    if unknown:
        raise click.UsageError(f"no planted bug {unknown[0]!r:.64}")
    catches = []
    for each in try_all(names, tries=tries, jobs=jobs or _cores()):
        catches.append(each)
        seeds = ", ".join("missed" if count is None else str(count) for count in each.seeds)
        click.echo(f"{each.name}: {seeds} seeds; {each.failure[:160]}", err=as_json)
    summary = as_dict(catches)
    click.echo(json.dumps(summary) if as_json else f"{summary['caught']} of {summary['planted']} caught")
    if summary["missed"]:
        sys.exit(EXIT_FAILURES)


for command in COMMANDS:
    main.add_command(command)


# --- inside


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _traced(seeds: Iterable[int], options: RunOptions, *, to_stderr: bool) -> Iterator[RunResult]:
    for seed in seeds:
        click.echo(plan_of(seed, options).describe(), err=to_stderr)
        yield simulate(seed, options, observer=lambda note: click.echo(note.as_line(), err=to_stderr))


def _tell(report: Report, result: RunResult, total: int) -> None:
    """Prints a failure at once, and the progress on a terminal."""
    if result.failures:
        _progress("")
        click.echo(f"seed {result.seed} failed; replay: {report.replay_command(result.seed)}", err=True)
        for failure in result.failures[:5]:
            click.echo(f"  {failure}", err=True)
        if len(result.failures) > 5:
            click.echo(f"  and {len(result.failures) - 5} more", err=True)
    _progress(f"{report.seeds}/{total} seeds, {len(report.failed)} failed, {report.virtual_hours:.2f} virtual hours")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
