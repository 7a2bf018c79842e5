"""`python -m tests.attacks [--json]`: tries each attack of the table and says which are defended.

Exit status 0 if every test of every row passes. `--markdown` writes the table as docs/attacks.md has it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.attacks.table import ROWS, Row

ROOT = Path(__file__).parents[2]


class Verdicts:
    """Collects how each test ended, by its name without parameters."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Pytest calls this for each phase of each test."""
        name = report.nodeid.partition("[")[0]
        if report.failed or report.skipped:
            self.failed.add(name)
        elif report.when == "call":
            self.passed.add(name)

    def shows(self, row: Row) -> bool:
        """Whether all tests of a row ran and passed."""
        return set(row.tests) <= self.passed - self.failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    parser.add_argument("--markdown", action="store_true", help="print the table, and run nothing")
    given = parser.parse_args(arguments)
    if given.markdown:
        print(markdown(), end="")
        return 0
    verdicts = Verdicts()
    tests = sorted({test for row in ROWS for test in row.tests})
    quiet = ["-q", "--no-header", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    pytest.main([*quiet, *(["--capture=fd", "-qq"] if given.json else []), *tests], plugins=[verdicts])
    shown = [row for row in ROWS if verdicts.shows(row)]
    result = {
        "rows": len(ROWS),
        "defended": sum(not row.limit for row in shown),
        "documented_limits": [{"attack": row.attack, "limit": row.limit} for row in shown if row.limit],
        "failed": [row.attack for row in ROWS if row not in shown],
        "tests": len(tests),
    }
    if given.json:
        print(json.dumps(result))
    else:
        for row in ROWS:
            print(f"{'limit   ' if row.limit else 'defended' if row in shown else 'FAILED  '}  {row.attack}")
        limits = sum(bool(row.limit) for row in shown)
        print(f"{len(shown) - limits} of {len(ROWS)} defended, {limits} documented limits")
    return 0 if len(shown) == len(ROWS) else 1


def markdown() -> str:
    """The table as docs/attacks.md has it."""
    lines = [
        "# Attacks, guards and tests",
        "",
        "Written by `python -m tests.attacks --markdown`; `python -m tests.attacks --json` runs the tests of all rows.",
        "",
        "| attack | guard | what stays possible | tests |",
        "|---|---|---|---|",
    ]
    for row in ROWS:
        tests = ", ".join(f"[`{name}`](../{path})" for path, _, name in (test.partition("::") for test in row.tests))
        lines.append(f"| {row.attack} | {row.guard} | {row.limit or 'nothing known'} | {tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
