"""Real nodes on loopback for end-to-end tests."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdtmesh.local_node import LocalNode

ACTORS = "tests.e2e.actors:system"


class Nodes:
    """Starts nodes of one cluster; ends them all afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = f"test-{secrets.token_hex(4)}"
        self.started: list[LocalNode] = []

    async def start(self, name: str, *arguments: str, join: LocalNode | None = None, actors: bool = False) -> LocalNode:
        """One node; static discovery unless the arguments say otherwise."""
        found = ("--join", join.gossip, "--discovery", "static") if join else ("--discovery", "none")
        if "--discovery" in arguments:
            found = ()
        hosted = ("--actors", ACTORS) if actors else ()
        node = LocalNode(name, self.folder, cluster=self.cluster, arguments=(*found, *hosted, *arguments))
        self.started.append(node)
        await node.start()
        return node


@pytest.fixture
async def nodes(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Nodes]:
    made = Nodes(tmp_path)
    print(f"logs in {tmp_path}")
    try:
        yield made
    finally:
        for node in made.started:
            await node.kill()


@pytest.fixture(autouse=True)
def _is_e2e(request: pytest.FixtureRequest) -> None:
    request.node.add_marker(pytest.mark.e2e)
