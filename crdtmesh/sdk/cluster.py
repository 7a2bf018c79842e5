# ruff: noqa: ASYNC109 - a timeout here is the deadline that travels to the node, not only our patience
"""What a node says of the mesh and of itself, as plain dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crdtmesh.sdk.unary import Unary
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, cluster_pb2

__all__ = ["ActorInfo", "Member", "NodeStatus", "PeerStatus", "SystemStatus", "actors_of", "members_of", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorInfo:
    """An actor that some live node offers; `nodes` names those with a host for it."""

    system: str
    name: str
    state_type: str
    actions: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of the membership table.

    Attributes:
        name: of the node.
        state: "alive", "suspect", "dead" or "left".
        address: `HOST:PORT` of its gossip port.
        incarnation: raised by the member to refute a suspicion.
        tags: what it says of itself.
        is_linked: whether a peer link to it is up; true for the node that was asked.
        start_id: hex; fresh each time its process starts.
    """

    name: str
    state: str
    address: str
    incarnation: int
    tags: Mapping[str, str]
    is_linked: bool
    start_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """A node's view of one peer; `awaits_repair` when deltas to it were dropped and no repair has reached it since."""

    name: str
    is_linked: bool
    awaits_repair: bool
    queued_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """What a node holds of one system.

    Attributes:
        system: its name.
        entries: states in it.
        events: applied so far.
        digest: equal where the bytes are; empty unless asked for.
        voters: the nodes that count in majorities.
    """

    system: str
    entries: int
    events: int
    digest: str
    voters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node's own state.

    Attributes:
        name, cluster, version, start_id: who it is.
        uptime_s: since its start, in seconds.
        state: "ready", "draining" or "read_only" (the disk refused a write).
        listeners: its addresses.
        peers, systems: one entry for each.
        hosts: connected actor hosts.
        calls, calls_failed: since its start.
        warnings: what an operator should know.
        counters: by name.
    """

    name: str
    cluster: str
    version: str
    start_id: str
    uptime_s: float
    state: str
    listeners: tuple[str, ...]
    peers: tuple[PeerStatus, ...]
    systems: tuple[SystemStatus, ...]
    hosts: int
    calls: int
    calls_failed: int
    warnings: tuple[str, ...]
    counters: Mapping[str, int]


async def actors_of(unary: Unary, system: str, timeout: float | None) -> list[ActorInfo]:
    """Asks for the actors on offer."""
    response = await unary("Actors.List", actors_pb2.ListActorsRequest(system=system), timeout)
    return [
        ActorInfo(
            system=actor.id.system,
            name=actor.id.name,
            state_type=actor.state_type,
            actions=tuple(actor.actions),
            nodes=tuple(actor.nodes),
        )
        for actor in response.actors
    ]


async def members_of(unary: Unary, timeout: float | None) -> list[Member]:
    """Asks for the membership table."""
    response = await unary("Cluster.Members", cluster_pb2.MembersRequest(), timeout)
    return [
        Member(
            name=member.name,
            state=member.state,
            address=member.address,
            incarnation=member.incarnation,
            tags=dict(member.tags),
            is_linked=member.linked,
            start_id=member.start_id,
        )
        for member in response.members
    ]


async def status_of(unary: Unary, digests: bool, timeout: float | None) -> NodeStatus:
    """Asks for the node's own state."""
    response = await unary("Cluster.Status", cluster_pb2.StatusRequest(digests=digests), timeout)
    return NodeStatus(
        name=response.name,
        cluster=response.cluster,
        version=response.version,
        start_id=response.start_id,
        uptime_s=response.uptime_s,
        state=response.state,
        listeners=tuple(response.listeners),
        peers=tuple(
            PeerStatus(
                name=peer.name, is_linked=peer.linked, awaits_repair=peer.awaits_repair, queued_bytes=peer.queued_bytes
            )
            for peer in response.peers
        ),
        systems=tuple(
            SystemStatus(
                system=item.system,
                entries=item.entries,
                events=item.events,
                digest=item.digest,
                voters=tuple(item.voters),
            )
            for item in response.systems
        ),
        hosts=response.hosts,
        calls=response.calls,
        calls_failed=response.calls_failed,
        warnings=tuple(response.warnings),
        counters=dict(response.counters),
    )
