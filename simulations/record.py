"""`python -m simulations record`: runs a large range, and writes the page that the README quotes.

The range may be run in pieces, on one machine or on many: results are kept in a file (`results`), and the page is
written once all of them are there. It says of which commit it is true, so that code must be committed.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from simulations.ranges import RangeOptions, run_range
from simulations.report import Report
from simulations.results import ROOT, Origin, ResultFile, merge, origin
from simulations.run import RunOptions
from simulations.seedrange import SeedRange
from simulations.workers import Orders, cores, run_seeds

README_LINK: Final = "(docs/record.md)"
"""What the row of the README is known by."""
README_BEFORE: Final = "| The same seed gives the same simulated run |"
CONFIDENCE: Final = "95 %"
EXIT_INCOMPLETE: Final = 3

# So many seeds, spread over the range, are run a second time under another hash seed: more would say little more.
REPEATED: Final = 20


class Incomplete(ValueError):
    """Not all seeds of a range have been run."""


def record_of(seeds: Sequence[int], found: Origin, report: Report) -> dict[str, Any]:
    """What is kept as JSON.

    Args:
        seeds: the range.
        found: what the results are true of.
        report: on all of them.

    Raises:
        Incomplete: seeds are missing, or the code was not committed.
    """
    if report.seeds < len(seeds):
        raise Incomplete(f"{report.seeds} of {len(seeds)} seeds are done; the same command goes on from here")
    if not found.is_clean:
        raise Incomplete("the code of these runs is not what is committed; commit it and run them again")
    options = {"seconds": found.options.seconds, "nodes": found.options.nodes}
    head = {"commit": found.commit, "sources": found.sources, "first_seed": seeds[0], "last_seed": seeds[-1]}
    return head | {"options": options} | report.as_dict()


def bound(record: Mapping[str, Any]) -> str:
    """What a number of runs says about the next one."""
    seeds, failures = record["seeds"], record["failures"]
    if failures:
        return f"{failures} of {seeds:,} runs failed: {_percent(failures / seeds)} of the runs that were drawn."
    return (
        f"{seeds:,} independent runs without a failure bound the rate of failing runs of this fault mix by "
        f"3/{seeds:,}, that is {_percent(3 / seeds)}, with {CONFIDENCE} confidence. That is said of runs drawn like "
        "these, judged by these checkers. It is no statement about faults that are not drawn, nor about how often data "
        "is lost in production."
    )


def as_markdown(record: Mapping[str, Any]) -> str:
    """The page."""
    seconds = record["convergence_s"]
    rows = [
        ("seeds", f"{record['first_seed']} to {record['last_seed']}: {record['seeds']:,}"),
        ("runs that broke a promise", f"{record['failures']:,}"),
        ("virtual time", f"{record['virtual_hours']:,.1f} hours"),
        ("calls acknowledged", f"{record['acknowledged']:,}"),
        ("of these, lost although their disks survived", f"{record['lost']:,}"),
        ("calls refused, nothing applied", f"{record['refused']:,}"),
        ("calls with unknown outcome", f"{record['unknown']:,}"),
        ("convergence after the heal, p50", f"{seconds['p50']} s"),
        ("convergence after the heal, p99", f"{seconds['p99']} s"),
        ("convergence after the heal, longest", f"{seconds['max']} s"),
        ("seeds run again in a process with another hash seed", f"{record['repeated']:,}"),
        ("faults", f"{sum(record['faults'].values()):,}"),
        ("kinds of fault that never happened", ", ".join(record["faults_never"]) or "none"),
        ("markers that no seed reached", ", ".join(record["reached_never"]) or "none"),
    ]
    again = f"python -m simulations record --seeds {record['first_seed']}:{record['last_seed']}"
    parts = [
        "# Record of the simulator\n",
        f"Written by `{again}`, true of commit `{record['commit']}`.",
        "How to read it, and what each fault is: [guide/simulator.md](guide/simulator.md).",
        "The same figures as JSON: [record.json](record.json).\n",
        "| | |\n|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        f"\n{bound(record)}\n",
        *(f"Failed: `{command}`\n" for command in record["replay"]),
        "## Faults that happened\n",
        "| fault | times |\n|---|---|",
        *(f"| `{kind}` | {count:,} |" for kind, count in record["faults"].items()),
    ]
    return "\n".join(parts) + "\n"


def readme_row(record: Mapping[str, Any]) -> str:
    """The row of the README's table of promises."""
    claim = (
        f"In {record['seeds']:,} simulated runs ({record['virtual_hours']:,.1f} virtual hours with faults of "
        f"{sum(count > 0 for count in record['faults'].values())} kinds) {record['acknowledged']:,} calls were "
        f"acknowledged and {record['lost']:,} of them lost; {record['failures']:,} runs broke a promise"
    )
    if not record["failures"]:
        share = _percent(3 / record["seeds"])
        claim += f", so at most {share} of the runs of this fault mix do ({CONFIDENCE} confidence)"
    return f"| {claim} | [record]{README_LINK} |"


def in_readme(text: str, record: Mapping[str, Any]) -> str:
    """The README with its row replaced, or put in."""
    row = readme_row(record)
    if README_LINK in text:
        pattern = rf"^\|.*{re.escape(README_LINK)}.*$"
        return re.sub(pattern, lambda _: row, text, count=1, flags=re.MULTILINE)
    before = re.search(rf"^{re.escape(README_BEFORE)}.*$", text, re.MULTILINE)
    if before is None:
        raise Incomplete(f"the README has no row that begins with {README_BEFORE!r} to put the record behind")
    return f"{text[: before.end()]}\n{row}{text[before.end() :]}"


def write_record(root: Path, record: Mapping[str, Any]) -> None:
    """Writes page, JSON and the README's row."""
    readme = root / "README.md"
    text = in_readme(readme.read_text(encoding="utf-8"), record)
    (root / "docs" / "record.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (root / "docs" / "record.md").write_text(as_markdown(record), encoding="utf-8")
    readme.write_text(text, encoding="utf-8")


_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command(name="record")
@click.option("--seeds", type=SeedRange(), default="1:2000", show_default=True, help="Seeds, both ends included.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; one for each core by default.")
@click.option("--state", type=_FILE, default="simulation-record.jsonl", show_default=True, help="Results so far.")
@click.option("--budget", type=click.FloatRange(min=0), default=None, help="Begin no more after so many real seconds.")
@click.option("--merge", "merged", type=_FILE, multiple=True, help="Run nothing; take these files of `run --resume`.")
@click.option("--traces", type=click.Path(file_okay=False, path_type=Path), default="simulation-traces", hidden=True)
def record_command(
    *, seeds: range, jobs: int | None, state: Path, budget: float | None, merged: tuple[Path, ...], traces: Path
) -> None:
    """Runs a large range, in pieces if need be, and writes docs/record.md, docs/record.json and the README's row.

    Exit codes: 0 written, no promise broken; 1 written, some broken; 2 wrong usage; 3 not written, seeds are missing.
    """
    try:
        found, report = _merged(seeds, merged) if merged else _run(seeds, state, jobs or cores(), budget, traces)
        record = record_of(seeds, found, report)
        write_record(ROOT, record)
    except Incomplete as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_INCOMPLETE)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"{bound(record)}\n{readme_row(record)}")
    if report.failed:
        sys.exit(1)


# --- inside


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %"


def _merged(seeds: Sequence[int], paths: Sequence[Path]) -> tuple[Origin, Report]:
    found, results = merge(paths)
    report = Report(found.options)
    for result in results:
        if result.seed in seeds:
            report.add(result)
    return found, report


def _run(seeds: Sequence[int], state: Path, jobs: int, budget_s: float | None, traces: Path) -> tuple[Origin, Report]:
    options = RunOptions()
    found = origin(options)
    if not found.is_clean:
        raise Incomplete("crdtmesh, gossip or simulations have changes that are not committed; a record names a commit")
    orders = Orders(repeat_every=max(1, len(seeds) // REPEATED), traces=traces)
    how = RangeOptions(jobs=jobs, orders=orders, budget_s=budget_s)
    kept = ResultFile(state, found)
    report, _ = run_range(
        seeds,
        options,
        how,
        runner=lambda left, may_begin: run_seeds(left, options, jobs=jobs, orders=how.orders, may_begin=may_begin),
        kept=kept,
    )
    return found, report
