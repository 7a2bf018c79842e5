# ruff: noqa: ASYNC109 - a timeout here is the deadline that travels to the node, not only our patience
"""What a node says of the mesh and of itself, as plain dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.unary import Unary
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, cluster_pb2, state_pb2

__all__ = [
    "ActorInfo",
    "EntryWriter",
    "Explanation",
    "Member",
    "NodeStatus",
    "PeerStatus",
    "SystemStatus",
    "actors_of",
    "explanation_of",
    "members_of",
    "status_of",
]


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
class SecurityStatus:
    """How a node's peers are kept apart from strangers.

    Attributes:
        are_links_encrypted: peer links run over TLS 1.3 with certificates on both sides.
        is_gossip_encrypted: gossip is sealed with the cluster's key.
        certificate: the name that its certificate proves; empty without one.
        certificate_ends_s: when that ends, in seconds since 1970; 0 without one.
    """

    are_links_encrypted: bool
    is_gossip_encrypted: bool
    certificate: str
    certificate_ends_s: int


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
        security: of its links and its gossip.
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
    security: SecurityStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWriter:
    """What a node knows of the dots of one replica id, which is one run of one node.

    Attributes:
        replica_id: hex.
        node: name of that node; empty unless known: only the one that was asked knows its own.
        live: numbers of its dots in the store part, as closed intervals; 100 at most, as in the others.
        live_count: how many there are.
        last: the last dot that is known to have touched the entry, removals included; 0 if none is.
        applied: of the shard: events that are applied (E).
        known: of the shard: dots that its entries speak for (C).
        low: of the shard: which entries were touched is forgotten up to here (L).
    """

    replica_id: str
    node: str
    live: tuple[tuple[int, int], ...]
    live_count: int
    last: int
    applied: tuple[tuple[int, int], ...]
    known: tuple[tuple[int, int], ...]
    low: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One entry, as a node has it.

    Attributes:
        system, key, type_name: which entry.
        shard: number of its shard.
        found: whether it has state.
        version: grows with every change in this run of the node; 0 if there never was such an entry.
        value: what it reads as.
        size_bytes: of the store part, canonically encoded.
        fingerprint: hex, of the same; equal on nodes that hold the same.
        writers: those that wrote the entry first.
        node: whose knowledge this is.
        peer: what the peer knows that was named; its value is left out when it is larger than 240 KiB.
    """

    system: str
    key: str
    type_name: str
    shard: int
    found: bool
    version: int
    value: PlainValue
    size_bytes: int
    fingerprint: str
    writers: tuple[EntryWriter, ...]
    node: str = ""
    peer: Explanation | None = None


async def explanation_of(unary: Unary, key: tuple[str, str, str], peer: str, timeout: float | None) -> Explanation:
    """Asks what the node, and a peer if one is named, know of an entry: system, key and type."""
    system, name, type_name = key
    request = cluster_pb2.ExplainRequest(key=state_pb2.StateKey(system=system, key=name, type=type_name), peer=peer)
    response = await unary("Cluster.Explain", request, timeout)
    found = _explanation(response)
    return dataclasses.replace(found, peer=_explanation(response.peer)) if response.HasField("peer") else found


def _explanation(response: cluster_pb2.ExplainResponse) -> Explanation:
    return Explanation(
        system=response.key.system,
        key=response.key.key,
        type_name=response.key.type,
        shard=response.shard,
        found=response.found,
        version=response.version,
        value=values.plain_from_value(response.value)[1] if response.HasField("value") else None,
        size_bytes=response.size_bytes,
        fingerprint=response.fingerprint,
        node=response.node,
        writers=tuple(
            EntryWriter(
                replica_id=writer.replica_id,
                node=writer.node,
                live=_intervals(writer.live),
                live_count=writer.live_count,
                last=writer.last,
                applied=_intervals(writer.applied),
                known=_intervals(writer.known),
                low=writer.low,
            )
            for writer in response.writers
        ),
    )


def _intervals(intervals: Iterable[cluster_pb2.DotInterval]) -> tuple[tuple[int, int], ...]:
    return tuple((interval.first, interval.last) for interval in intervals)


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
        security=SecurityStatus(
            are_links_encrypted=response.security.links_encrypted,
            is_gossip_encrypted=response.security.gossip_encrypted,
            certificate=response.security.certificate,
            certificate_ends_s=response.security.certificate_ends_s,
        ),
    )
