"""`python -m tests.hosts`: real nodes on many hosts of one machine, with faults of networks, processes and disks.

One line for each cell of the matrix on standard error, and with `--json` one line of JSON for the whole on standard
output. Exit status 0 if every cell kept every promise; with `--planted`, if some cell did not.
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.hosts.enclosure import enclose, survey
from tests.hosts.matrix import Cell, brief, whole
from tests.hosts.planted import BUGS
from tests.hosts.results import Results, commit
from tests.hosts.runner import Runner
from tests.hosts.table import table, times, totals


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = _parser().parse_args(words)
    cells = [cell for cell in (brief() if given.brief else whole()) if fnmatch.fnmatch(cell.name, given.only)]
    if given.list:
        print("\n".join(cell.name for cell in cells))
        return 0
    if not cells:
        print(f"no cell is called {given.only}; --list shows all", file=sys.stderr)
        return 2
    if given.planted and given.results:
        print("--planted: results of broken nodes are not kept; leave out --results", file=sys.stderr)
        return 2
    if given.table:
        found = Results(given.table).read()
        print(totals(found), times(found), table(found), sep="\n\n")
        return 0
    enclose(words)
    return asyncio.run(_run(given, cells))


async def _run(given: argparse.Namespace, cells: list[Cell]) -> int:
    # Process 1 of a process table ends by no signal that it does not handle.
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    grounds = survey(given.means)
    for note in grounds.notes:
        print(f"stepped down: {note}", file=sys.stderr)
    results = Results(given.results)
    folder = Path(given.keep or tempfile.mkdtemp(prefix="hosts-"))
    runner = Runner(
        grounds, folder, seed=given.seed, results=results, budget_s=given.budget, says=_say, bug=given.planted
    )
    try:
        await runner.run(cells)
    except asyncio.CancelledError:
        _say("interrupted")
        runner.is_cut = True
    finally:
        await runner.close()
    summary = runner.summary()
    if given.json:
        print(json.dumps(summary))
    else:
        shown = {
            key: value for key, value in summary.items() if key not in {"cells", "commit"} and value not in ("", [])
        }
        print(f"{commit()}: {', '.join(f'{key} {value}' for key, value in shown.items())}")
    if given.planted:
        return 0 if summary["ok"] < summary["ran"] else 1
    return 0 if summary["ok"] == summary["ran"] and not runner.is_cut else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hosts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--brief", action="store_true", help="a few cells with short faults, about a minute and a half")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cells of these names, such as '3-split-*'")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    parser.add_argument("--seed", type=int, default=1, help="of victims, cuts, calls and what happens to frames")
    parser.add_argument(
        "--means", choices=["namespaces", "proxies"], help="how hosts are kept apart; found out if not said"
    )
    parser.add_argument(
        "--results", type=Path, help="lines of JSON; cells that passed there at this commit are not run again"
    )
    parser.add_argument(
        "--budget", type=float, default=0, metavar="SECONDS", help="begin no cell after so many seconds"
    )
    parser.add_argument("--keep", help="a folder for logs and captures; they stay for cells that fail")
    parser.add_argument(
        "--planted", choices=sorted(BUGS), default="", help="plant a bug of the simulator's in all nodes"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output")
    parser.add_argument(
        "--table", type=Path, metavar="RESULTS", help="print results as tables in Markdown, run nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
