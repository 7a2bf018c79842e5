"""The command line: `python -m simulations run --seeds 1:200 --json`; other commands are about membership alone.

Seeds are independent, so they are spread over processes and the result does not depend on how many there are. Exit
codes: 0 all promises kept, 1 some broken or (with `--require-all`) something not met, 2 wrong usage, 130 interrupted.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from simulations.membership.commands import COMMANDS
from simulations.mutations import BUGS, TRIES, as_dict, try_all
from simulations.pace import pace_command
from simulations.ranges import RangeOptions, Runner, run_range
from simulations.record import record_command
from simulations.results import ResultFile, origin
from simulations.run import RunOptions, RunResult, plan_of, simulate
from simulations.seedrange import SeedRange
from simulations.show import show
from simulations.workers import Orders, cores, run_seeds

EXIT_FAILURES: Final = 1
EXIT_INTERRUPTED: Final = 130
DEFAULT_TRACES: Final = Path("simulation-traces")

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_REQUIRE_HELP: Final = "Fail, too, if no seed reached some marker, or met some kind of fault."
_REPEAT_HELP: Final = "Seeds that this divides are run again in another process; 0 for none."


@click.group()
def main() -> None:
    """A whole mesh in virtual time, with faults."""


@main.command()
@click.option("--seeds", type=SeedRange(), default="1:200", show_default=True, help="Seeds, both ends included.")
@click.option("--seconds", type=float, default=RunOptions().seconds, show_default=True, help="Faulty phase, virtual.")
@click.option("--nodes", type=int, default=None, help="Size of the mesh; drawn from the seed by default.")
@click.option("--actors", is_flag=True, help="With actors that have one activation, and calls for later.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; one for each core by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--until-failure", is_flag=True, help="Begin no more seeds once one has failed.")
@click.option("--budget", type=click.FloatRange(min=0), default=None, help="Begin no more after so many real seconds.")
@click.option("--resume", type=_FILE, default=None, help="Keep results in this file, and go on from what it holds.")
@click.option("--repeat-every", type=click.IntRange(min=0), default=10, show_default=True, help=_REPEAT_HELP)
@click.option("--traces", type=_FOLDER, default=DEFAULT_TRACES, show_default=True, help="Where failing seeds go.")
@click.option("--require-all", is_flag=True, help=_REQUIRE_HELP)
@click.option("--save-traces", is_flag=True, help="Write the traces of all seeds, not only of those that fail.")
@click.option("--trace", is_flag=True, help="Print the parameters and everything that happens; one process.")
def run(  # noqa: PLR0913 - one parameter for each option of the command
    *,
    seeds: range,
    seconds: float,
    nodes: int | None,
    actors: bool,
    jobs: int | None,
    as_json: bool,
    until_failure: bool,
    budget: float | None,
    resume: Path | None,
    repeat_every: int,
    traces: Path,
    require_all: bool,
    save_traces: bool,
    trace: bool,
) -> None:
    """Runs seeds and checks what was promised."""
    orders = Orders(repeat_every=repeat_every, traces=traces, all_traces=save_traces)
    how = RangeOptions(jobs=jobs or cores(), orders=orders, until_failure=until_failure, budget_s=budget)
    try:
        options = RunOptions(seconds=seconds, nodes=nodes, actors=actors)
        kept = ResultFile(resume, origin(options)) if resume is not None else None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    runner = _traced(options, to_stderr=as_json) if trace else _spread(options, how)
    report, is_interrupted = run_range(seeds, options, how, runner=runner, kept=kept)
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_text())
    if is_interrupted:
        sys.exit(EXIT_INTERRUPTED)
    if require_all and report.is_tame:
        missing = ", ".join([*report.never_reached, *report.never_happened])
        click.echo(f"no seed reached or met: {missing}; make a drawn fault or workload stronger, or run more", err=True)
    if report.failed or (require_all and report.is_tame):
        sys.exit(EXIT_FAILURES)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--tries", type=click.IntRange(min=1), default=TRIES, show_default=True, help="Ranges of seeds for each.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; one for each core by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mutations(names: tuple[str, ...], tries: int, jobs: int | None, *, as_json: bool) -> None:
    """Plants bugs, and counts the seeds until each is caught."""
    unknown = sorted(set(names) - {planted.plant.__name__ for planted in BUGS})
    if unknown:
        raise click.UsageError(f"no planted bug {unknown[0]!r:.64}")
    catches = []
    for each in try_all(names, tries=tries, jobs=jobs or cores()):
        catches.append(each)
        seeds = ", ".join("missed" if count is None else str(count) for count in each.seeds)
        click.echo(f"{each.name}: {seeds} seeds; {each.failure[:160]}", err=as_json)
    summary = as_dict(catches)
    click.echo(json.dumps(summary) if as_json else f"{summary['caught']} of {summary['planted']} caught")
    if summary["missed"]:
        sys.exit(EXIT_FAILURES)


for command in (*COMMANDS, pace_command, record_command, show):
    main.add_command(command)


# --- inside


def _spread(options: RunOptions, how: RangeOptions) -> Runner:
    return lambda seeds, may_begin: run_seeds(seeds, options, jobs=how.jobs, orders=how.orders, may_begin=may_begin)


def _traced(options: RunOptions, *, to_stderr: bool) -> Runner:
    def runs(seeds: Iterable[int], may_begin: Callable[[], bool]) -> Iterator[RunResult]:
        for seed in seeds:
            if not may_begin():
                return
            click.echo(plan_of(seed, options).describe(), err=to_stderr)
            yield simulate(seed, options, observer=lambda note: click.echo(note.as_line(), err=to_stderr))

    return runs


if __name__ == "__main__":
    main()
