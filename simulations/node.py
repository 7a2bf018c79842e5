"""One run of a node: the production cores, wired as the production node wires them.

Between start and crash a `SimulatedNode` does what `crdtmesh.node`, its engine and the gossip agent do: membership
decides about links, links tell replication who is there, the disk answers, calls wait for commits. Inputs of
replication wake one turn, which flushes all that came in meanwhile as one group, as the engine does once per loop turn.
"""

import random
from functools import partial
from typing import Final, Protocol

from crdtmesh.mesh_tag import TAG, MeshTag, cluster_hash, decode
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import Alarm, CommitFailed, Committed, IdentityNeeded, ReadOnly, Rejected, SendTo
from crdtmesh.replication.replica import Replica
from gossip.config import SwimConfig
from gossip.identity import Endpoint
from gossip.outputs import CloseStream, MemberEvent, OpenStream, Outgoing, SendDatagram, SendStream, StreamId
from gossip.serf import encode_tags
from gossip.swim import Swim
from simulations.calls import CallServer
from simulations.history import Call
from simulations.links import LinkFabric
from simulations.network import Network
from simulations.plan import WorkloadPlan
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Action, Scheduler
from simulations.storage import SimulatedDisk, SimulatedStore
from simulations.streams import StreamFabric
from simulations.trace import Trace
from simulations.workload import Done

CLUSTER: Final = "simulated"
LINK_PORT: Final = 7947
GRPC_PORT: Final = 9980

# How long a loop turn of a busy process takes: what comes in meanwhile shares a group.
TURN_NS_MAX: Final = MILLISECOND_NS
DISCOVERY_NS: Final = 10 * SECOND_NS


class World(Protocol):
    """What the nodes of one run share."""

    scheduler: Scheduler
    network: Network
    links: LinkFabric
    streams: StreamFabric
    trace: Trace
    swim_config: SwimConfig
    replication_options: ReplicationOptions
    workload: WorkloadPlan

    def endpoint_of(self, name: str) -> Endpoint:
        """Where a node's gossip port is."""
        ...

    def name_at(self, endpoint: Endpoint) -> str | None:
        """Which node has its gossip port there."""
        ...

    def wall_ms(self, name: str) -> int:
        """A node's wall clock."""
        ...

    def candidates(self, name: str) -> list[str]:
        """Names of the nodes that discovery finds now, seen from a node."""
        ...

    def wrote(self, name: str) -> None:
        """A node handed a group to its disk."""
        ...

    def disk_failed(self, name: str) -> None:
        """A node is read-only and has to be restarted."""
        ...

    def reported(self, name: str, kind: str, detail: str) -> None:
        """A core reports something that an operator should see."""
        ...


class SimulatedNode:
    """One run of one node, from its start to its crash.

    Attributes:
        name: the node's name; the next run has it too.
        start_id: of this run.
        replica: the replication core.
        swim: the membership core.
    """

    def __init__(self, name: str, *, world: World, disk: SimulatedDisk, rng: random.Random) -> None:
        self.name = name
        self.start_id = rng.randbytes(16)
        self._world = world
        self._scheduler = world.scheduler
        self._rng = rng
        self._is_gone = False
        self._frozen: list[Action] | None = None
        self._peers: dict[str, bytes] = {}
        self._turn_is_due = False
        self._wake_ns: int | None = None
        self._store = SimulatedStore(node=name, cluster=CLUSTER, completion=self._stored, disk=disk)
        meta = self._store.open()
        self.replica = Replica(
            world.replication_options,
            node=name,
            replica_id=self._new_replica_id(is_fresh=meta.is_fresh),
            rng=random.Random(rng.getrandbits(64)),
            now_ns=self._scheduler.now_ns,
            wall_ms=world.wall_ms(name),
        )
        self.replica.load(self._store.load())
        self.calls = CallServer(
            self.replica,
            scheduler=self._scheduler,
            rng=rng,
            plan=world.workload,
            trace=world.trace,
            node=name,
            wall_ms=partial(world.wall_ms, name),
            resume=self._input,
        )
        tag = MeshTag(cluster=cluster_hash(CLUSTER), start_id=self.start_id, link_port=LINK_PORT, grpc_port=GRPC_PORT)
        self.swim = Swim(
            world.swim_config,
            name=name,
            endpoint=world.endpoint_of(name),
            meta=encode_tags({TAG: tag.encode()}),
            rng=random.Random(rng.getrandbits(64)),
            now_ns=self._scheduler.now_ns,
        )

    def _new_replica_id(self, *, is_fresh: bool) -> bytes:
        """A new one at every start, with old data (`is_fresh` is false) as without."""
        del is_fresh
        return self._rng.randbytes(16)

    # --- life

    def start(self) -> None:
        """Takes part."""
        world = self._world
        world.network.attach(self.name, self._datagram)
        world.links.attach(self)
        world.streams.attach(self)
        self._discover()
        self._input(self._nothing)

    def crash(self) -> None:
        """Ends without a word."""
        self._is_gone = True
        self._frozen = None
        world = self._world
        world.network.attach(self.name, None)
        world.links.detach(self)
        world.streams.detach(self)
        self._store.crash()
        self.calls.lost()

    @property
    def is_paused(self) -> bool:
        """Whether it does nothing at the moment."""
        return self._frozen is not None

    def pause(self, duration_ns: int) -> None:
        """Does nothing for a while; inputs wait, or are lost where the kernel would lose them."""
        assert self._frozen is None
        self._frozen = []
        self._scheduler.after(duration_ns, self._thaw)

    def _thaw(self) -> None:
        waiting, self._frozen = self._frozen, None
        if not self._is_gone:
            for action in waiting or ():
                action()
            self._gossip(self._nothing)
            self._input(self._nothing)

    # --- inputs of membership

    def _datagram(self, data: bytes, source: str) -> None:
        endpoint = self._world.endpoint_of(source)
        self._gossip(lambda: self.swim.receive(data, endpoint, now_ns=self._scheduler.now_ns))

    def stream_accept(self, source: str) -> StreamId | None:
        """Takes a connection to the gossip port."""
        if self._frozen is not None:
            return None
        return self.swim.accept_stream(self._world.endpoint_of(source), now_ns=self._scheduler.now_ns)

    def stream_data(self, stream: StreamId, data: bytes) -> None:
        """Takes bytes of a gossip stream."""
        self._gossip(lambda: self.swim.receive_stream(stream, data, now_ns=self._scheduler.now_ns))

    def stream_closed(self, stream: StreamId, error: str | None) -> None:
        """A gossip stream has ended."""
        self._gossip(lambda: self.swim.close_stream(stream, error=error, now_ns=self._scheduler.now_ns))

    def _discover(self) -> None:
        """Joins whom discovery finds and membership does not have; again and again, as mDNS does."""
        if self._is_gone:
            return
        if self._frozen is None:
            self._gossip(self._join_candidates)
        self._scheduler.after(self._rng.randint(DISCOVERY_NS // 2, DISCOVERY_NS), self._discover)

    def _join_candidates(self) -> None:
        present = {member.name for member in self.swim.members() if member.is_present}
        strangers = [name for name in self._world.candidates(self.name) if name not in present]
        endpoints = [self._world.endpoint_of(name) for name in strangers]
        self.swim.join(endpoints, now_ns=self._scheduler.now_ns)

    def _gossip(self, action: Action) -> None:
        """Runs an input of the membership core and carries out what it answers."""
        if self._frozen is not None:
            self._frozen.append(partial(self._gossip, action))
            return
        if self._is_gone:
            return
        action()
        swim = self.swim
        swim.tick(now_ns=self._scheduler.now_ns)
        for output in swim.take_outgoing():
            self._carry_out(output)
        changes = [self._member_event(event) for event in swim.take_events()]
        if any(changes):
            self._set_peers()
        self._arm()

    def _carry_out(self, output: Outgoing) -> None:
        world = self._world
        if isinstance(output, SendDatagram):
            destination = world.name_at(output.destination)
            if destination is not None:
                world.network.send_datagram(self.name, destination, output.data)
        elif isinstance(output, OpenStream):
            destination = world.name_at(output.destination)
            if destination is not None:
                world.streams.open(self, output.stream, destination, output.data)
        elif isinstance(output, SendStream):
            world.streams.send(self, output.stream, output.data)
        else:
            assert isinstance(output, CloseStream)
            world.streams.close(self, output.stream)

    def _member_event(self, event: object) -> bool:
        """Notes an event; whether it is one of a member."""
        if isinstance(event, MemberEvent):
            self._world.trace.note(f"member.{event.change}", self.name, event.member.name, event.member.incarnation)
            self._world.reported(self.name, f"member.{event.change}", event.member.name)
            return True
        return False

    def _set_peers(self) -> None:
        """Links follow membership: one to each present node of this mesh, at the start that it announces."""
        peers: dict[str, bytes] = {}
        for member in self.swim.members():
            tag = decode(member.tags.get(TAG, ""))
            if member.is_present and member.name != self.name and tag is not None:
                peers[member.name] = tag.start_id
        before, self._peers = self._peers, peers
        for name in sorted(before):
            if peers.get(name) != before[name]:
                self._world.links.close(self, name)
        for name in sorted(peers):
            self._world.links.dial(self, name)

    # --- inputs of replication

    def submit(self, call: Call, done: Done) -> None:
        """Takes a client's call."""
        self.calls.submit(call, done)

    def knows_start(self, peer: str, start_id: bytes) -> bool:
        """Whether membership names the peer, and, unless `start_id` is empty, this start of it."""
        known = self._peers.get(peer)
        return known is not None and start_id in (b"", known)

    def link_up(self, peer: str) -> None:
        """A link is up."""
        self._world.trace.note("link_up", self.name, peer)
        self._input(lambda: self.replica.peer_up(peer, now_ns=self._scheduler.now_ns))

    def link_down(self, peer: str) -> None:
        """A link is gone."""
        self._world.trace.note("link_down", self.name, peer)
        self._input(lambda: self.replica.peer_down(peer, now_ns=self._scheduler.now_ns))

    def link_payload(self, payload: bytes, peer: str) -> None:
        """A payload came over a link."""
        self._world.trace.note("payload", peer, self.name, payload)
        self._input(partial(self._receive, payload, peer))

    def _receive(self, payload: bytes, peer: str) -> None:
        now_ns = self._scheduler.now_ns
        self.replica.receive(payload, peer, now_ns=now_ns, wall_ms=self._world.wall_ms(self.name))

    def _stored(self, seq: int, error: str | None) -> None:
        self._world.trace.note("stored", self.name, seq, error or "")
        if error is None:
            self._input(lambda: self.replica.persisted(seq, now_ns=self._scheduler.now_ns))
        else:
            self._input(lambda: self.replica.persist_failed(seq, error))

    def _input(self, action: Action) -> None:
        """Runs an input of the replication core; a turn follows soon."""
        if self._frozen is not None:
            self._frozen.append(partial(self._input, action))
            return
        if self._is_gone:
            return
        action()
        if not self._turn_is_due:
            self._turn_is_due = True
            self._scheduler.after(self._rng.randint(0, TURN_NS_MAX), self._turn)

    def _turn(self) -> None:
        if self._frozen is not None:
            self._frozen.append(self._turn)
            return
        self._turn_is_due = False
        if self._is_gone:
            return
        replica = self.replica
        replica.tick(now_ns=self._scheduler.now_ns)
        for output in replica.take_outgoing():
            if isinstance(output, SendTo):
                if not self._world.links.send(self, output.peer, output.payload):
                    replica.refused(output.peer, now_ns=self._scheduler.now_ns)
            else:
                self._world.trace.note("persist", self.name, output.seq, repr(output.records))
                self._store.write(output.seq, output.records)
                self._world.wrote(self.name)
        for event in replica.take_events():
            self._replica_event(event)
        self._arm()

    def _replica_event(self, event: object) -> None:
        match event:
            case Committed(ticket):
                self.calls.committed(ticket)
            case CommitFailed(ticket, _):
                self.calls.commit_failed(ticket)
            case ReadOnly():
                self._world.disk_failed(self.name)
            case IdentityNeeded():
                self._world.reported(self.name, "identity_needed", "")
                self.replica.renew_identity(self._rng.randbytes(16))
            case Alarm(kind, detail):
                self._world.reported(self.name, f"alarm.{kind}", detail)
            case Rejected(_, reason, detail):
                self._world.reported(self.name, f"rejected.{reason}", detail)

    # --- timers

    def _arm(self) -> None:
        """Asks to be woken at the earlier deadline of the two cores."""
        # A turn that is due ticks the replica anyway; waiting for its deadline as well would wake in vain for ever.
        replica_ns = None if self._turn_is_due else self.replica.next_deadline_ns()
        deadlines = [due_ns for due_ns in (self.swim.next_deadline_ns(), replica_ns) if due_ns is not None]
        if not deadlines:
            return
        deadline_ns = max(min(deadlines), self._scheduler.now_ns)
        if self._wake_ns is None or deadline_ns < self._wake_ns:
            self._wake_ns = deadline_ns
            self._scheduler.at(deadline_ns, partial(self._woken, deadline_ns))

    def _woken(self, deadline_ns: int) -> None:
        if self._wake_ns != deadline_ns or self._is_gone:
            return  # an earlier wake came between
        self._wake_ns = None
        if self._frozen is not None:
            return  # the thaw looks at both cores
        now_ns = self._scheduler.now_ns
        due_ns = self.replica.next_deadline_ns()
        if due_ns is not None and due_ns <= now_ns:
            self._input(self._nothing)
        self._gossip(self._nothing)

    def _nothing(self) -> None:
        """The input that only lets time pass."""
