"""`python -m tests.fuzz [--seconds N] [--target NAME] [--seed N] [--json] [--keep]`: fuzzes every parser.

`--keep` adds what reached new lines to the corpus. Exit status 1 if something was found; then each find is printed with
the input, which belongs into the corpus together with its fix.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from tests.fuzz.engine import fuzz, write_corpus
from tests.fuzz.targets import TARGETS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--target", choices=[target.name for target in TARGETS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each target")
    parser.add_argument("--keep", action="store_true", help="write the corpus")
    given = parser.parse_args(arguments)
    found = 0
    for target in TARGETS:
        if given.target not in (None, target.name):
            continue
        report, kept = fuzz(target, seconds=given.seconds, seed=given.seed)
        found += len(report.finds)
        figures = {"target": report.target, "inputs": report.inputs, "lines": report.lines, "corpus": report.kept}
        if given.json:
            print(json.dumps({**figures, "finds": list(report.finds)}), flush=True)
        else:
            print(", ".join(f"{name} {value}" for name, value in figures.items()), flush=True)
        for data, text in report.finds.items():
            print(f"{report.target}: {data}\n{text}", file=sys.stderr)
        if given.keep:
            write_corpus(target.name, kept)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
