"""`python -m benchmarks NAME [--json]`: runs one benchmark, or `all`; `list` names them.

Results go to standard output, one line for every comparison; progress goes to standard error.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, Protocol, cast

from benchmarks.harness import PAIRS_MIN, Options, progress
from benchmarks.measures import Line
from benchmarks.processes import ChildFailed, Children, filesystem_of
from crdtmesh.config import nearest

BENCHMARKS: Final = (
    "local_call",
    "remote_call",
    "many_actors",
    "spawn_http",
    "node_cores",
    "convergence",
    "durable_writes",
    "links",
    "peer_link",
    "repair",
    "scale",
    "mesh_bytes",
    "crdt_apply",
    "crdt_core",
    "crdt_documents",
    "gossip_receive",
    "idle_cluster",
    "floors",
)
"""In the order in which `all` runs them; each is the module `benchmarks.NAME`."""


class Benchmark(Protocol):
    """What a module of a benchmark offers."""

    CASES: tuple[str, ...]

    def run(self, children: Children, options: Options) -> Iterator[Line]:
        """Runs the cases that `options` wants, and yields their lines as they come."""
        ...


def load(name: str) -> Benchmark:
    """The benchmark of that name."""
    return cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.name == "list":
        for name in BENCHMARKS:
            print(f"{name:15} {(load(name).__doc__ or '').splitlines()[0]}")
            print(f"{'':15} cases: {', '.join(load(name).CASES)}")
        return 0
    if given.name != "all" and given.name not in BENCHMARKS:
        parser.error(f"no benchmark {given.name!r:.64}; {nearest(given.name, [*BENCHMARKS, 'all', 'list'])}")
    names = BENCHMARKS if given.name == "all" else (given.name,)
    known = [case for name in names for case in load(name).CASES]
    for case in given.case:
        if case not in known:
            parser.error(f"no case {case!r:.64} in {given.name}; {nearest(case, known)}")
    try:
        options = Options(
            pairs=given.pairs,
            seconds=given.seconds,
            cases=frozenset(given.case),
            keys=given.keys,
            scratch_parent=given.scratch,
        )
    except ValueError as error:
        parser.error(str(error))
    return _run(names, options, as_json=given.json)


def _run(names: Sequence[str], options: Options, *, as_json: bool) -> int:
    if options.pairs < PAIRS_MIN:
        progress(f"{options.pairs} pairs only show that it runs; take at least {PAIRS_MIN} for a result")
    if (kind := filesystem_of(options.scratch_parent)) in ("tmpfs", "ramfs"):
        progress(f"{options.scratch_parent} is {kind}, in memory: durable writes cost nothing there; use --scratch")
    signal.signal(signal.SIGTERM, _interrupt)
    status = 0
    for name in names:
        try:
            # Servers of one benchmark are gone before the next one starts.
            with Children(options.scratch_parent) as children:
                for line in load(name).run(children, options):
                    print(line.to_json() if as_json else line.to_text(), flush=True)
        except ChildFailed as error:
            progress(f"error: {name}: {error}")
            status = 1
        except KeyboardInterrupt:
            progress("interrupted")
            return 130
    return status


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", help=f"all, list, {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--case", action="append", default=[], help="only this case; may be repeated")
    parser.add_argument("--pairs", type=int, default=PAIRS_MIN, help="counted rounds after the warm-up (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one sample (default: 2)")
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys of `scale` (default: 1,000,000)")
    parser.add_argument(
        "--scratch", type=Path, default=Path("/var/tmp"), help="where data directories are made (default: /var/tmp)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
