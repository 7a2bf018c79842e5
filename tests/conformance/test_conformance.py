"""Each case of the suite, on one node and across three."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from tests.conformance.cases import CASES
from tests.conformance.suite import Case, Mesh

CASE_TIMEOUT_S = 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_node_does_what_the_protocol_says(mesh: Mesh, case: Case) -> None:
    async with asyncio.timeout(CASE_TIMEOUT_S):
        await mesh.run(case)


async def test_the_suite_runs_by_itself_and_counts(mesh: Mesh) -> None:
    await mesh.function.stop()
    addresses = [argument for address in mesh.addresses for argument in ("--address", address)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.conformance", "--json", "--only", "crdt "),
        *(*addresses, "--callback", f"127.0.0.1:{mesh.function.port}"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    await mesh.function.start()

    figures = json.loads(out)
    assert 0 == process.returncode
    assert figures["cases"] == figures["passed"] == sum("crdt " in case.name for case in CASES) > 5
