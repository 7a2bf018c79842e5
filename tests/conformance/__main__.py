"""`python -m tests.conformance --address HOST:PORT [--address ...] [--json]`: tries a node against Spawn's protocol.

The suite is the user function too: the node must call it where `--callback` says, by Spawn's setting
`USER_FUNCTION_PORT`. With several addresses, actors are registered with the first node and called through the others.
Exit status 0 if all cases passed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from tests.conformance.cases import CASES
from tests.conformance.suite import Case, Mesh


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "--address", action="append", required=True, metavar="HOST:PORT", help="a node; may be repeated"
    )
    parser.add_argument("--callback", default="127.0.0.1:8090", metavar="HOST:PORT", help="where the node calls back")
    parser.add_argument("--only", default="", metavar="TEXT", help="run only cases with this text in their name")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON")
    given = parser.parse_args(arguments)
    chosen = [case for case in CASES if given.only in case.name]
    passed = asyncio.run(run(chosen, given.address, given.callback))
    figures = {"cases": len(chosen), "passed": passed}
    print(json.dumps(figures) if given.json else f"{passed} of {len(chosen)} cases passed")
    return 0 if passed == len(chosen) else 1


async def run(cases: Sequence[Case], addresses: list[str], callback: str) -> int:
    """How many of these cases pass."""
    host, _, port = callback.rpartition(":")
    mesh = Mesh(addresses)
    await mesh.start(host=host, port=int(port))
    passed = 0
    for case in cases:
        try:
            async with asyncio.timeout(60):
                await mesh.run(case)
            passed += 1
        except Exception as error:  # whatever it was, the case did not pass
            print(f"FAILED {case.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    await mesh.function.stop()
    return passed


if __name__ == "__main__":
    sys.exit(main())
