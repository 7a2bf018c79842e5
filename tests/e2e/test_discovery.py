"""Nodes that find each other by mDNS on loopback, and leave another cluster alone."""

import asyncio
from pathlib import Path

from crdtmesh.local_node import LocalNode
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes
from tests.e2e.watch import member_states


async def test_three_nodes_find_each_other_by_mdns_and_ignore_another_cluster(nodes: Nodes, tmp_path: Path) -> None:
    stranger = LocalNode("stranger", tmp_path, cluster=f"{nodes.cluster}-other", arguments=("--discovery", "mdns"))
    nodes.started.append(stranger)
    names = ("a", "b", "c")

    *found, _ = await asyncio.gather(*(nodes.start(name, "--discovery", "mdns") for name in names), stranger.start())
    own = [node for node in found if node is not None]

    async def met() -> bool:
        return all([await member_states(node) == dict.fromkeys(names, "alive") for node in own])

    assert await eventually(met)
    assert {"stranger": "alive"} == await member_states(stranger)
