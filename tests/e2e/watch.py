"""What nodes say of themselves, asked by the client."""

from __future__ import annotations

import json
from pathlib import Path

from crdtmesh.local_node import LocalNode
from crdtmesh.remembered import FILE_NAME
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.cluster import NodeStatus


async def status(node: LocalNode, *, digests: bool = False) -> NodeStatus:
    """The node's status."""
    async with Client(node.grpc, timeout=5.0) as client:
        return await client.status(digests=digests)


async def member_states(node: LocalNode) -> dict[str, str]:
    """Name to state, as one node sees the members."""
    async with Client(node.grpc, timeout=5.0) as client:
        return {member.name: member.state for member in await client.members()}


async def start_ids(node: LocalNode) -> dict[str, str]:
    """Name to start id, as one node sees the members."""
    async with Client(node.grpc, timeout=5.0) as client:
        return {member.name: member.start_id for member in await client.members()}


async def value(node: LocalNode, key: str) -> object:
    """What an entry of the system `test` reads as on a node; None when it has none."""
    async with Client(node.grpc, timeout=5.0) as client:
        entry = await client.state.get("test", key)
        return None if entry is None else entry.value


async def digests(nodes: list[LocalNode]) -> set[str]:
    """The digests of the system `test`; one when all nodes hold equal bytes."""
    found = set()
    for node in nodes:
        systems = {item.system: item.digest for item in (await status(node, digests=True)).systems}
        found.add(systems.get("test", "no such system"))
    return found


def peers_file(node: LocalNode) -> Path:
    """Where a node keeps the addresses of its peers over restarts."""
    return node.folder / node.name / FILE_NAME


async def remembers(node: LocalNode, count: int) -> bool:
    """Whether the node would find so many peers again."""
    file = peers_file(node)
    return file.exists() and len(json.loads(file.read_text())["peers"]) == count
