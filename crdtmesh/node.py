"""A running node: the only place that wires cores, disk, links, membership and endpoint together.

Start: the data directory first (it refuses before anything is touched), then the state, the links, the endpoint, and
last membership, which makes the node known. Stop runs the other way: no new calls, those in flight end, the leave is
announced, then everything closes and the disk is synced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

import crdtmesh
from crdtmesh.config import NodeConfig, how_to_set
from crdtmesh.crdts import registry
from crdtmesh.directory_keeper import DirectoryKeeper
from crdtmesh.edge import actors, cluster, state
from crdtmesh.edge.callbacks import CallbackPolicy
from crdtmesh.edge.cluster import MemberAlive, MemberView, NodeStatus, PeerSilent, TypeUnclear
from crdtmesh.edge.http_hosts import HttpHosts
from crdtmesh.edge.http_registrations import Registrations
from crdtmesh.edge.http_server import HttpServer
from crdtmesh.edge.pending import PendingCalls
from crdtmesh.edge.server import GrpcServer
from crdtmesh.edge.spawn_api import SpawnApi
from crdtmesh.engine import Engine, wall_clock_ms
from crdtmesh.engine_ports import CommitLost
from crdtmesh.errors import StartError
from crdtmesh.host_process import HostProcess
from crdtmesh.links import Channel, CloseReason, Identity, LinkManager, LinkOptions
from crdtmesh.membership import Membership
from crdtmesh.mesh_tag import MeshTag, cluster_hash
from crdtmesh.networks import AllowedNetwork, joined
from crdtmesh.node_views import peer_views, system_views
from crdtmesh.observability import logs
from crdtmesh.observability.memory import MemoryWatch, default_bytes_max
from crdtmesh.observability.metrics import Counts, Gauges, Metrics
from crdtmesh.observability.stalls import StallWatch
from crdtmesh.persistence.sqlite import SqliteOptions, SqliteStore
from crdtmesh.replication.explaining import Explanation
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import MESH_SYSTEM
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.runtime import Runtime
from crdtmesh.security import NodeSecurity
from crdtmesh.voters import Voters
from crdtmesh.wire import values

EXPLAIN_TIMEOUT_NS: Final = 5_000_000_000
"""A peer that has a link answers within a round trip and a commit."""

_LOG: Final = logging.getLogger(__name__)


class Node:
    """One node of the mesh. Belongs to one event loop.

    Args:
        config: settings, checked.

    Attributes:
        start_id: 16 random bytes, fresh for each run.
        failure: why the node asked to be stopped, when that was not its operator's wish.
    """

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self.start_id = secrets.token_bytes(16)
        self.failure: str | None = None
        self._started_s = time.monotonic()
        self._warnings: list[str] = []
        self._is_read_only = False
        self._is_draining = False
        self._stop_requested = asyncio.Event()
        self._stalls = StallWatch()
        self._closing = contextlib.AsyncExitStack()

    # --- life

    async def start(self) -> None:
        """Starts everything; on failure closes what was opened.

        Raises:
            MeshError: a port is taken, the data directory is refused, or the address needs an identity.
        """
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise

    async def stopped(self) -> None:
        """Waits until something asks the node to stop."""
        await self._stop_requested.wait()

    def reload(self) -> None:
        """Reads certificates, keys, tokens and policies again."""
        self._security.reload()

    def request_stop(self) -> None:
        """Asks the owner of the node to call `stop`."""
        self._stop_requested.set()

    async def stop(self) -> None:
        """Drains, leaves and closes. Bounded by the drain timeout and a few seconds."""
        await self.drain()
        await self._closing.aclose()
        logs.event(_LOG, logging.INFO, "node.stopped", node=self.config.name)

    async def drain(self) -> None:
        """Refuses new calls and waits for those in flight, at most the drain timeout."""
        if self._is_draining:
            return
        self._is_draining = True
        await self._server.set_serving(serving=False)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._engine.drain(), self.config.drain_timeout_s)

    # --- addresses, for whoever started the node

    @property
    def gossip_address(self) -> str:
        """host:port of the gossip port."""
        return self._membership.address

    @property
    def link_address(self) -> str:
        """host:port of the peer links."""
        return joined(*self._link_endpoint)

    @property
    def grpc_address(self) -> str:
        """host:port of the gRPC endpoint."""
        return joined(self.config.api_address, self._server.port)

    @property
    def http_address(self) -> str:
        """host:port of the HTTP endpoint."""
        return joined(self.config.api_address, self._http.port)

    # --- HttpView

    @property
    def is_ready(self) -> bool:
        """Whether calls are welcome."""
        return not self._is_draining and not self._is_read_only

    @property
    def is_draining(self) -> bool:
        """Whether the node is shutting down."""
        return self._is_draining

    @property
    def metrics(self) -> Metrics:
        """What the node measures."""
        return self._metrics

    # --- ClusterView

    def members(self) -> Sequence[MemberView]:
        """The membership table, this node included."""
        linked = {link.peer for link in self._links.links()} | {self.config.name}
        return self._membership.members(linked)

    def status(self, *, digests: bool) -> NodeStatus:
        """Health, peers and lags."""
        engine = self._engine
        counters = engine.counters
        return NodeStatus(
            name=self.config.name,
            cluster=self.config.cluster,
            version=crdtmesh.__version__,
            start_id=self.start_id.hex(),
            uptime_s=time.monotonic() - self._started_s,
            security=self._security.view(),
            state="ready" if self.is_ready else "read_only" if self._is_read_only else "draining",
            hosts=engine.hosts,
            calls=counters.calls,
            calls_failed=sum(counters.failures.values()),
            listeners=[
                f"gossip {self.gossip_address}",
                *self._security.listeners,
                f"links {self.link_address}",
                f"grpc {self.grpc_address}",
                f"grpc unix:{self.config.socket_path}",
                f"http {self.http_address}",
                f"http unix:{self.config.http_socket_path}",
            ],
            peers=peer_views(self._engine.replica, self._links, self._membership),
            systems=system_views(self._engine.replica, digests=digests),
            warnings=[*self._warnings, *self._security.warnings(), *self._membership.warnings()],
            counters={**self._counters(), **self._engine.watches.sizes()},
        )

    async def remove_member(self, name: str) -> list[str]:
        """Takes a node that is gone off the voter lists; the systems of whose lists it was taken.

        Raises:
            MemberAlive: it may still write, so it has to leave by itself.
        """
        state = next((member.state for member in self._membership.members(()) if member.name == name), "")
        if name == self.config.name or state in ("alive", "suspect"):
            raise MemberAlive(f"{name!r:.64} is {state or 'this node'}: stop it first, or have it leave by itself")
        systems = self._voters.remove(name)
        await self._engine.committed()
        return systems

    @property
    def name(self) -> str:
        """Name of this node."""
        return self.config.name

    async def explain(self, key: EntryKey, peer: str) -> tuple[Explanation, Explanation | None]:
        """What this node and, if one is named, a peer know of an entry; without a type, of the only one under the key.

        Raises:
            TypeUnclear: no type is named, and there is not one.
            PeerSilent: the peer has no link, or did not answer in time.
            CommitLost: this node's disk failed.
        """
        replica, system = self._engine.replica, key.system or self.config.system
        types = [key.type_name] if key.type_name else list(registry.names())
        if not key.type_name:
            types = [name for name in types if replica.read(EntryKey(system, key.key, name)) is not None]
        if len(types) != 1:
            raise TypeUnclear(f"type is empty and {len(types)} types exist under this key; name one")
        named = EntryKey(system, key.key, types[0])
        explanation = replica.explain(named)
        await self._engine.committed()
        if not peer:
            return explanation, None
        theirs = await self._engine.explain_at(peer, named, timeout_ns=EXPLAIN_TIMEOUT_NS)
        if theirs is None:
            raise PeerSilent(f"{peer!r:.64} has no link to this node, or did not answer in time; see crdtmesh members")
        return explanation, theirs

    async def leave(self) -> None:
        """Announces the leave, then asks the owner to stop the node."""
        await self.drain()
        self._voters.leave()
        with contextlib.suppress(CommitLost):
            await self._engine.committed()
        await self._membership.leave()
        self.request_stop()

    # --- start, step by step

    async def _start(self) -> None:
        config = self.config
        self._security = NodeSecurity(config)
        self._stalls.start()
        self._closing.callback(self._stalls.stop)
        store = self._open_store()
        replica = Replica(
            ReplicationOptions(
                expected_nodes=config.expected_nodes,
                ttl_rules=config.ttl_rules,
                durability_rules=config.durability_rules,
            ),
            node=config.name,
            replica_id=secrets.token_bytes(16),
            rng=random.Random(secrets.randbits(64)),  # noqa: S311 - spreads load, hides nothing
            now_ns=time.monotonic_ns(),
            wall_ms=wall_clock_ms(),
        )
        replica.load(store.load())
        runtime = Runtime(
            RuntimeOptions(activations_max=config.activations_max, type_rules=config.type_rules),
            placement=Placement(config.name, self._security.placement_key),
            replica=replica,
            encode_state=lambda name, value: values.value_from_plain(name, value).SerializeToString(),
            now_ns=time.monotonic_ns(),
        )
        self._engine = Engine(replica, runtime, write=store.write, send=self._send)
        self._closing.callback(self._engine.close)
        self._closing.callback(self._engine.settle)
        self._memory = MemoryWatch((config.memory_mb_max << 20) or default_bytes_max(), self._engine.relieve)
        self._memory.start()
        self._closing.callback(self._memory.stop)
        self._directory = DirectoryKeeper(
            config.name, self.start_id, self._engine, wall_ms=wall_clock_ms, refused=self._not_announced
        )
        self._voters = Voters(
            config.name, replica, has_peers=lambda: bool(self._membership.peers()), wall_ms=wall_clock_ms
        )
        self._engine.hooks.changed = self._entry_changed
        self._engine.hooks.caught_up = self._voters.caught_up
        self._engine.hooks.reconciled = lambda: self._voters.caught_up(MESH_SYSTEM)
        self._engine.hooks.offers_changed = self._directory.announce
        self._engine.hooks.read_only = self._went_read_only
        self._engine.hooks.identity_needed = self._renew_identity
        self._engine.hooks.failed = self._engine_failed
        await self._start_links()
        await self._start_endpoint()
        await self._start_membership()
        self._closing.push_async_callback(self._security.aclose)
        await self._security.start(self.gossip_address, self._membership.has, trust_changed=self._relink)
        await self._start_http()
        if config.actors is not None:
            self._start_host_process(config.actors)
        self._engine.wake()
        logs.event(_LOG, logging.INFO, "node.ready", node=config.name, cluster=config.cluster)

    def _open_store(self) -> SqliteStore:
        loop = asyncio.get_running_loop()

        def completed(seq: int, error: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                loop.call_soon_threadsafe(self._engine.persisted, seq, error)

        options = SqliteOptions(directory=self.config.data_path, node=self.config.name, cluster=self.config.cluster)
        store = SqliteStore(options, completed)
        try:
            store.open()
        except OSError as error:
            raise StartError(
                f"data directory {self.config.data_path} can't be used: {error.strerror}; "
                f"set another by {how_to_set('data_dir')}"
            ) from None
        # In a thread: closing waits for the last commit, which reports back to this loop.
        self._closing.push_async_callback(asyncio.to_thread, store.close)
        return store

    async def _start_links(self) -> None:
        config = self.config
        self._links = LinkManager(
            LinkOptions(),
            Identity(cluster=config.cluster, node=config.name, start_id=self.start_id),
            rng=random.Random(secrets.randbits(64)),  # noqa: S311 - spreads load, hides nothing
            on_up=lambda peer, _: self._engine.peer_up(peer),
            on_down=self._link_down,
            on_message=self._engine.peer_message,
            security=self._security.links,
        )
        self._closing.push_async_callback(self._links.aclose)
        try:
            self._link_endpoint = await self._links.start(config.bind, config.link_port)
        except OSError as error:
            raise StartError(
                f"link port {config.link_port} on {config.bind} can't be had: {error.strerror}; "
                f"set another by {how_to_set('link_port')}"
            ) from None

    async def _start_endpoint(self) -> None:
        config = self.config
        self._pending = PendingCalls(self._engine)
        access, credentials = self._security.access, self._security.endpoints.grpc_credentials()
        directory = self._directory.directory
        self._server = GrpcServer(
            [
                *actors.services(self._engine, self._pending, directory, system=config.system, access=access),
                state.service(self._engine, self._pending, system=config.system),
                cluster.service(self),
            ],
            on_rejected=self._engine.client_rejected,
            access=access,
        )
        await self._server.start(
            host=config.api_address, port=config.grpc_port, socket_path=config.socket_path, credentials=credentials
        )
        self._closing.push_async_callback(self._server.stop, grace_s=1.0)

    async def _start_membership(self) -> None:
        self._membership = Membership(
            self.config,
            MeshTag(
                cluster=cluster_hash(self.config.cluster, self._security.secret),
                start_id=self.start_id,
                link_port=self._link_endpoint[1],
                grpc_port=self._server.port,
            ),
            self._security,
            on_change=self._members_changed,
        )
        self._closing.push_async_callback(self._membership.aclose)
        await self._membership.start()

    async def _start_http(self) -> None:
        config = self.config
        self._metrics = Metrics(
            node=config.name, version=crdtmesh.__version__, gauges=self._gauges, counts=self._counts
        )
        hosts = HttpHosts(
            self._engine,
            CallbackPolicy(map(AllowedNetwork.parse, config.callback_allow), self._own_ports),
            Registrations(config.data_path),
            host=config.user_function_host,
            port=config.user_function_port,
            on_callback=self._metrics.observe_callback,
        )
        self._closing.callback(hosts.close)
        access, context = self._security.access, self._security.endpoints.http_context
        api = SpawnApi(self._engine, self._pending, access)
        self._http = HttpServer(self, api, hosts, on_rejected=self._engine.client_rejected, access=access)
        await self._http.start(
            host=config.api_address, port=config.http_port, socket_path=config.http_socket_path, context=context
        )
        self._closing.push_async_callback(self._http.stop)
        await hosts.restore()

    def _start_host_process(self, system: str) -> None:
        config = self.config
        host = HostProcess(
            system,
            socket=config.socket_path,
            log_level=config.log_level,
            stop_timeout_s=config.drain_timeout_s,
            on_refused=self._host_refused,
        )
        host.start()
        self._closing.push_async_callback(host.stop)

    # --- what happens

    def _send(self, peer: str, channel: Channel, payload: bytes) -> bool:
        return self._links.send(peer, channel, payload)

    def _link_down(self, peer: str, reason: CloseReason) -> None:
        self._engine.peer_down(peer)

    def _members_changed(self) -> None:
        self._links.set_peers(self._membership.peers())
        self._directory.members_changed(self._membership.starts())

    def _relink(self) -> None:
        self._links.set_peers({})
        self._members_changed()

    def _entry_changed(self, key: EntryKey) -> None:
        self._voters.changed(key.system)
        self._directory.entry_changed(key)

    def _not_announced(self, reason: str) -> None:
        logs.event(_LOG, logging.ERROR, "directory.not_announced", reason=reason)

    def _went_read_only(self, reason: str) -> None:
        self._is_read_only = True
        self._warnings.append(f"the disk refused a write ({reason}); nothing is acknowledged until a restart")

    def _engine_failed(self) -> None:
        self.failure = (
            "the node met a fault of its own; its log has the details, its data directory is as of the last commit"
        )
        self.request_stop()

    def _host_refused(self) -> None:
        self.failure = f"--actors {self.config.actors}: the actors can't be hosted; the reason stands above"
        self.request_stop()

    def _renew_identity(self) -> None:
        self._warnings.append("another process used this node's replica id; a fresh one was taken")
        self._engine.replica.renew_identity(secrets.token_bytes(16))
        self._engine.wake()

    # --- views

    def _own_ports(self) -> frozenset[int]:
        gossip_port = int(self.gossip_address.rpartition(":")[2])
        return frozenset((gossip_port, self._link_endpoint[1], self._server.port, self._http.port))

    def _counters(self) -> dict[str, int]:
        """What happened since the start, under the names that status shows."""
        return {
            **self._engine.counters.named(),
            "loop.stalls": self._stalls.count,
            "loop.stall_worst_ms": round(self._stalls.worst_s * 1000),
            "actor.put_out_early": self._engine.runtime.put_out_early,
            "memory.short": self._memory.count,
            **{f"replication.{name}": count for name, count in self._engine.replica.counters().items()},
            **self._membership.counters(),
            **self._links.counters.named(),
            **self._security.counters(),
        }

    def _counts(self) -> Counts:
        counters = self._engine.counters
        return Counts(counters.calls - sum(counters.failures.values()), self._counters())

    def _gauges(self) -> Gauges:
        return Gauges(
            members=Counter(member.state for member in self.members()),
            links=len(self._links.links()),
            hosts=self._engine.hosts,
            actors=self._engine.runtime.active,
            entries=sum(shard.entries for shard in self._engine.replica.summary()),
            watches=self._engine.watches.readers,
            is_ready=self.is_ready,
            stall_worst_s=self._stalls.worst_s,
            certificate_ends_s=self._security.expires_s,
        )
