"""`python -m tests.mutations crdts [--json] [--only TEXT]`: plants faults one at a time and counts those caught.

Exit status 0 if all were caught. A fault that no longer fits the code, or whose tests don't end in time, counts as not
caught.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.mutations.faults import CRDTS, Fault
from tests.mutations.plant import CAUGHT

RUNS_AT_ONCE = 2
TIMEOUT_S = 150
"""The tests of all types without a fault take about a minute of one core."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("what", choices=["crdts"])
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    parser.add_argument("--only", default="", help="plant only faults with this text in their name")
    given = parser.parse_args(arguments)
    faults = [fault for fault in CRDTS if given.only in fault.name]
    with ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        verdicts = list(pool.map(verdict, faults))
    caught = verdicts.count("caught")
    if given.json:
        print(json.dumps({"planted": len(faults), "caught": caught}))
    else:
        print(f"{caught} of {len(faults)} planted faults were caught")
    return 0 if caught == len(faults) else 1


def verdict(fault: Fault) -> str:
    """What the tests say of a fault: caught, missed, misfit or timeout."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.mutations.plant", fault.name],
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return _told(fault, "timeout")
    return _told(fault, {0: "missed", CAUGHT: "caught"}.get(done.returncode, "misfit"))


def _told(fault: Fault, found: str) -> str:
    print(f"{found:12} {fault.module}: {fault.name}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
