"""A node whose join list is dead finds its peers again, since it remembers them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from crdtmesh.local_node import LocalNode
from crdtmesh.remembered import FILE_NAME
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked, start_trio


async def test_node_is_back_within_three_seconds_though_its_join_list_is_dead(nodes: Nodes) -> None:
    trio = await start_trio(nodes)
    file = _file(trio.c)
    assert await eventually(lambda: _holds(file, 2))
    await asyncio.gather(trio.a.kill(), trio.c.kill())
    await trio.c.start()
    began_s = time.monotonic()
    assert await eventually(lambda: linked([trio.b, trio.c]), timeout_s=20)
    assert time.monotonic() - began_s < 3


async def test_who_leaves_forgets_its_peers(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    file = _file(b)
    assert await eventually(lambda: _holds(file, 1))
    await crdtmesh("leave", endpoint=b.grpc)

    async def gone() -> bool:
        return not file.exists()

    assert await eventually(gone)


def _file(node: LocalNode) -> Path:
    return node.folder / node.name / FILE_NAME


async def _holds(file: Path, count: int) -> bool:
    return file.exists() and len(json.loads(file.read_text())["peers"]) == count
