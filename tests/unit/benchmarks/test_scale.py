"""The benchmark of many keys, with few."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load import Job
from benchmarks.scale import CASES, NODES, Spread, client, fill

KEYS = 1_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scale") / "data"
    fill(folder, KEYS)
    return folder


@pytest.mark.parametrize("case", CASES[:3])
async def test_what_was_written_is_loaded_and_used_by_both_sides(filled: Path, case: str) -> None:
    for side in (case, f"base {case}"):
        assert (await client(Job(address=str(filled), case=side))).rate > 0


def test_every_update_reaches_every_node_once() -> None:
    spread = Spread(200)
    spread.run()
    assert 200 == len(spread.latencies_ms)
    assert NODES == len({replica.digest("shop") for replica in spread._replicas.values()}) * NODES
