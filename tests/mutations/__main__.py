"""`python -m tests.mutations crdts [--json] [--only TEXT] [--jobs N] [--resume FILE]`: plants faults one at a time.

Counts those that the tests catch; exit status 0 if all were. A fault that no longer fits the code, or whose tests don't
end in time, counts as not caught. With `--resume` each verdict is kept, a line for each, and a run that was broken off
goes on where it stopped; those of other code or other tests are asked for anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutations.faults import CRDTS, Fault
from tests.mutations.plant import CAUGHT

JOBS = 2
TIMEOUT_S = 1_800
"""On the clock, for tests that wait for what never comes. Those that run in circles are ended by `plant.CPU_S`."""
SOURCES = ("crdtmesh/crdts", "crdtmesh/testing", "crdtmesh/text", "tests/property", "tests/unit/crdtmesh/crdts")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("what", choices=["crdts"])
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    parser.add_argument("--only", default="", help="plant only faults with this text in their name")
    parser.add_argument("--jobs", type=int, default=JOBS, help="how many at a time")
    parser.add_argument("--resume", type=Path, help="keep verdicts in this file, and go on from what it holds")
    given = parser.parse_args(arguments)
    faults = [fault for fault in CRDTS if given.only in fault.name]
    known = load(given.resume)

    def judged(fault: Fault) -> str:
        found = known.get(fault.name)
        if found is None:
            found = verdict(fault)
            if given.resume:
                with given.resume.open("a") as file:
                    file.write(json.dumps({"fault": fault.name, "verdict": found, "code": digest()}) + "\n")
        return found

    with ThreadPoolExecutor(given.jobs) as pool:
        verdicts = list(pool.map(judged, faults))
    caught = verdicts.count("caught")
    if given.json:
        print(json.dumps({"planted": len(faults), "caught": caught}))
    else:
        print(f"{caught} of {len(faults)} planted faults were caught")
    return 0 if caught == len(faults) else 1


def load(resume: Path | None) -> dict[str, str]:
    """The verdicts of earlier runs over the same code and tests."""
    if resume is None or not resume.exists():
        return {}
    lines = map(json.loads, resume.read_text().splitlines())
    return {line["fault"]: line["verdict"] for line in lines if line["code"] == digest()}


def digest() -> str:
    """What the data types, their tests and the faults are made of."""
    root = Path(__file__).parents[2]
    hashed = hashlib.blake2b(digest_size=8)
    for path in sorted(path for source in (*SOURCES, "tests/mutations") for path in (root / source).glob("*.py")):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


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
    ends = {0: "missed", CAUGHT: "caught", -signal.SIGXCPU: "timeout"}
    return _told(fault, ends.get(done.returncode, "misfit"))


def _told(fault: Fault, found: str) -> str:
    print(f"{found:12} {fault.module}: {fault.name}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
