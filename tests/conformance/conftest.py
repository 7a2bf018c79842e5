"""Nodes for the suite: one, and three that registrations and calls are spread over."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdtmesh.local_node import LocalNode
from tests.conformance.suite import Mesh, eventually
from tests.conformance.wire import get, send


@pytest.fixture(scope="module", params=[1, 3], ids=["one node", "three nodes"])
async def mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """As many nodes as the parameter says, and the user function that the first of them calls."""
    folder = tmp_path_factory.mktemp("conformance")
    print(f"logs in {folder}")
    made = Mesh([])
    await made.start()
    nodes: list[LocalNode] = []
    cluster = f"conformance-{secrets.token_hex(4)}"
    try:
        for name in ("a", "b", "c")[: request.param]:
            nodes.append(await _start(name, folder, cluster, made.function.port, join=nodes[:1]))
        made.addresses = [node.http for node in nodes]
        await _linked(nodes)
        yield made
    finally:
        await asyncio.gather(*(node.kill() for node in nodes))
        await made.function.stop()


async def _start(name: str, folder: Path, cluster: str, port: int, *, join: list[LocalNode]) -> LocalNode:
    found = ("--join", join[0].gossip, "--discovery", "static") if join else ("--discovery", "none")
    node = LocalNode(
        name, folder, cluster=cluster, arguments=(*found, "--user-function-port", str(port), "--log-level", "warning")
    )
    await node.start()
    return node


async def _linked(nodes: list[LocalNode]) -> None:
    """Waits until each node has a link to all others."""
    expected = f"crdtmesh_link_peers {len(nodes) - 1}"
    for node in nodes:

        async def is_linked(node: LocalNode = node) -> bool:
            return expected in (await send(node.http, get("/metrics"))).body.decode()

        assert await eventually(is_linked)
