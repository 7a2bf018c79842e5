"""The service `Cluster`: the mesh as this node sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import abort
from crdtmesh.edge.server import Service
from crdtmesh.engine_ports import CommitLost
from crdtmesh.errors import MeshError
from crdtmesh.replication.explaining import Explanation, Intervals
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import cluster_pb2, cluster_pb2_grpc, state_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """One row of the membership table; see `cluster.proto`."""

    name: str
    state: str
    address: str
    incarnation: int
    tags: Mapping[str, str]
    linked: bool
    start_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """One peer link."""

    name: str
    linked: bool
    awaits_repair: bool
    queued_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    """One system's replicated state on this node."""

    system: str
    entries: int
    events: int
    voters: Sequence[str]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityView:
    """How this node's peers are kept apart from strangers; see `cluster.proto`."""

    links_encrypted: bool
    gossip_encrypted: bool
    certificate: str
    certificate_ends_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """This node's health; see `cluster.proto`."""

    name: str
    cluster: str
    version: str
    start_id: str
    uptime_s: float
    state: str
    hosts: int
    calls: int
    calls_failed: int
    security: SecurityView
    listeners: Sequence[str] = ()
    peers: Sequence[PeerView] = ()
    systems: Sequence[SystemView] = ()
    warnings: Sequence[str] = ()
    counters: Mapping[str, int] = field(default_factory=dict)


class MemberAlive(MeshError):
    """A member that is not gone can't be removed; nothing was changed."""


class TypeUnclear(MeshError):
    """A key without a type, under which there is no entry, or several."""


class PeerSilent(MeshError):
    """A peer that has no link to this node, or did not answer in time."""


class ClusterView(Protocol):
    """What the node tells of itself and of others."""

    @property
    def name(self) -> str:
        """Name of this node."""

    def members(self) -> Sequence[MemberView]:
        """The membership table, this node included."""

    def status(self, *, digests: bool) -> NodeStatus:
        """Health, peers and lags; digests cost O(entries)."""

    async def remove_member(self, name: str) -> Sequence[str]:
        """Takes a node that is gone off the voter lists; the systems of whose lists it was taken.

        Raises:
            MemberAlive: it is not gone.
            CommitLost: this node's disk failed.
        """

    async def explain(self, key: EntryKey, peer: str) -> tuple[Explanation, Explanation | None]:
        """What this node and, if one is named, a peer know of an entry; without a type, of the only one under the key.

        Raises:
            TypeUnclear: no type is named, and there is not one.
            PeerSilent: the peer has no link, or did not answer in time.
            CommitLost: this node's disk failed.
        """

    async def leave(self) -> None:
        """Announces the leave; the node stops afterwards."""


class ClusterServicer(cluster_pb2_grpc.ClusterServicer):
    """Shows the mesh, and leaves it."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    async def Members(  # noqa: N802 - the name is the protocol's
        self, request: cluster_pb2.MembersRequest, context: Context
    ) -> cluster_pb2.MembersResponse:
        """The membership table."""
        return cluster_pb2.MembersResponse(
            members=[
                cluster_pb2.Member(
                    name=member.name,
                    state=member.state,
                    address=member.address,
                    incarnation=member.incarnation,
                    tags=member.tags,
                    linked=member.linked,
                    start_id=member.start_id,
                )
                for member in self._view.members()
            ]
        )

    async def Status(  # noqa: N802
        self, request: cluster_pb2.StatusRequest, context: Context
    ) -> cluster_pb2.StatusResponse:
        """This node's health."""
        status = self._view.status(digests=request.digests)
        return cluster_pb2.StatusResponse(
            name=status.name,
            cluster=status.cluster,
            version=status.version,
            start_id=status.start_id,
            uptime_s=status.uptime_s,
            state=status.state,
            listeners=status.listeners,
            hosts=status.hosts,
            calls=status.calls,
            calls_failed=status.calls_failed,
            warnings=status.warnings,
            counters=status.counters,
            security=cluster_pb2.SecurityStatus(
                links_encrypted=status.security.links_encrypted,
                gossip_encrypted=status.security.gossip_encrypted,
                certificate=status.security.certificate,
                certificate_ends_s=status.security.certificate_ends_s,
            ),
            peers=[
                cluster_pb2.PeerStatus(
                    name=peer.name, linked=peer.linked, awaits_repair=peer.awaits_repair, queued_bytes=peer.queued_bytes
                )
                for peer in status.peers
            ],
            systems=[
                cluster_pb2.SystemStatus(
                    system=system.system,
                    entries=system.entries,
                    events=system.events,
                    digest=system.digest,
                    voters=system.voters,
                )
                for system in status.systems
            ],
        )

    async def RemoveMember(  # noqa: N802
        self, request: cluster_pb2.RemoveMemberRequest, context: Context
    ) -> cluster_pb2.RemoveMemberResponse:
        """Takes a node that is gone off the voter lists."""
        try:
            return cluster_pb2.RemoveMemberResponse(systems=await self._view.remove_member(request.name))
        except MemberAlive as error:
            await abort(context, ErrorCode.INVALID_REQUEST, str(error))
        except CommitLost as error:
            await abort(context, ErrorCode.STORAGE_FAILED, str(error), Outcome.UNKNOWN)

    async def Explain(  # noqa: N802
        self, request: cluster_pb2.ExplainRequest, context: Context
    ) -> cluster_pb2.ExplainResponse:
        """What this node knows of one entry."""
        key = request.key
        try:
            found, theirs = await self._view.explain(EntryKey(key.system, key.key, key.type), request.peer)
        except TypeUnclear as error:
            await abort(context, ErrorCode.INVALID_REQUEST, str(error))
        except PeerSilent as error:
            await abort(context, ErrorCode.TIMEOUT, str(error))
        except CommitLost as error:
            await abort(context, ErrorCode.STORAGE_FAILED, str(error))
        names = {found.own_replica_id: self._view.name}
        if theirs is not None:
            names[theirs.own_replica_id] = request.peer
        response = _explanation_to_proto(found, self._view.name, names)
        if theirs is not None:
            response.peer.CopyFrom(_explanation_to_proto(theirs, request.peer, names))
        return response

    async def Leave(  # noqa: N802
        self, request: cluster_pb2.LeaveRequest, context: Context
    ) -> cluster_pb2.LeaveResponse:
        """Leaves the mesh; answers when that is announced."""
        await self._view.leave()
        return cluster_pb2.LeaveResponse()


def service(view: ClusterView) -> Service:
    """The service, for the server."""
    servicer = ClusterServicer(view)
    return Service(
        "crdtmesh.v1.Cluster", lambda server: cluster_pb2_grpc.add_ClusterServicer_to_server(servicer, server)
    )


def _explanation_to_proto(found: Explanation, node: str, names: Mapping[bytes, str]) -> cluster_pb2.ExplainResponse:
    key = found.key
    response = cluster_pb2.ExplainResponse(
        key=state_pb2.StateKey(system=key.system, key=key.key, type=key.type_name),
        shard=found.shard,
        found=found.found,
        version=found.version,
        size_bytes=found.size_bytes,
        fingerprint=found.fingerprint.hex(),
        node=node,
        writers=[
            cluster_pb2.EntryWriter(
                replica_id=writer.replica_id.hex(),
                node=names.get(writer.replica_id, ""),
                live=_intervals(writer.live),
                live_count=writer.live_count,
                last=writer.last,
                applied=_intervals(writer.applied),
                known=_intervals(writer.known),
                low=writer.low,
            )
            for writer in found.writers
        ],
    )
    if found.found and found.value is not None:
        response.value.CopyFrom(values.value_from_plain(key.type_name, found.value))
    return response


def _intervals(intervals: Intervals) -> list[cluster_pb2.DotInterval]:
    return [cluster_pb2.DotInterval(first=first, last=last) for first, last in intervals]
