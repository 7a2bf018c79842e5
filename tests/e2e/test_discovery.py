"""Nodes that find each other by mDNS on loopback, and leave another cluster alone."""

import asyncio
from pathlib import Path

from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes, hosted, linked
from tests.e2e.watch import member_states, status


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


async def test_two_nodes_of_one_name_are_both_told(nodes: Nodes, tmp_path: Path) -> None:
    first = await nodes.start("same")
    (tmp_path / "other").mkdir()
    arguments = ("--join", first.gossip, "--discovery", "static")
    second = LocalNode("same", tmp_path / "other", cluster=nodes.cluster, arguments=arguments)
    nodes.started.append(second)
    await second.start()

    async def told() -> bool:
        return all([any("--name" in warning for warning in (await status(node)).warnings) for node in (first, second)])

    assert await eventually(told)
    assert {"same": "alive"} == await member_states(first)
    await asyncio.sleep(1.0)
    assert 2 > first.log_path.read_text().count("member.name_conflict")


async def test_nodes_find_each_other_over_ipv6(nodes: Nodes) -> None:
    first = await nodes.start("a", "--bind", "::1", actors=True)
    second = await nodes.start("b", "--bind", "::1", join=first)

    assert await eventually(lambda: linked([first, second]))
    assert await eventually(lambda: hosted([first]))
    async with Client(second.grpc) as client:
        assert "x" == await client.invoke("test", "echo", "echo", "x")
