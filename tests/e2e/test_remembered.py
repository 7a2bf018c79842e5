"""A node whose join list is dead finds its peers again, since it remembers them."""

from __future__ import annotations

import asyncio
import time

from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked, start_trio
from tests.e2e.watch import peers_file, remembers


async def test_node_is_back_before_its_peers_look_for_it_though_its_join_list_is_dead(nodes: Nodes) -> None:
    trio = await start_trio(nodes)
    assert await eventually(lambda: remembers(trio.c, 2))
    await asyncio.gather(trio.a.kill(), trio.c.kill())
    await trio.c.start()
    began_s = time.monotonic()
    assert await eventually(lambda: linked([trio.b, trio.c]), timeout_s=40)
    # About one second on a quiet machine; its peers look for members that failed every 30 s.
    assert time.monotonic() - began_s < 15


async def test_who_leaves_forgets_its_peers(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    file = peers_file(b)
    assert await eventually(lambda: remembers(b, 1))
    await crdtmesh("leave", endpoint=b.grpc)

    async def gone() -> bool:
        return not file.exists()

    assert await eventually(gone)
