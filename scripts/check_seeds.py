"""Fails when simulated seeds failed that are not on the list of open failures, or when none ran."""

import json
import sys
from pathlib import Path


def main(report: str, known: str) -> int:
    """Compares a report of `python -m simulations run --json` with the list; 1 for anything unexpected."""
    result = json.loads(Path(report).read_text().splitlines()[-1])
    lines = (line.partition("#")[0].strip() for line in Path(known).read_text().splitlines())
    open_failures = {int(line) for line in lines if line}
    unexpected = sorted(set(result["failed_seeds"]) - open_failures)
    print(f"{result['seeds']} seeds; open failures among them: {sorted(open_failures & set(result['failed_seeds']))}")
    if unexpected:
        print(f"unexpected failures: {unexpected}")
    return 1 if unexpected or not result["seeds"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
