"""One run of a node: production engine, runtime, replica, links and membership core, wired as `crdtmesh.node` does.

Everything runs on the loop of the node's process. What is simulated lies below the loop and the stores: wires, disk,
clocks, entropy. Left out are the gRPC server, whose callers the `CallServer` stands for, and the gossip agent, for
which `gossiping` drives the core.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol

from crdtmesh.crdts.operations import Operation
from crdtmesh.directory_keeper import DirectoryKeeper
from crdtmesh.engine import Engine
from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import Channel
from crdtmesh.links.manager import LinkManager
from crdtmesh.links.options import Identity, LinkOptions, PeerAddress
from crdtmesh.mesh_tag import MeshTag, cluster_hash
from crdtmesh.persistence.base import Record
from crdtmesh.persistence.errors import StorageError
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.updating import UpdateResult
from crdtmesh.runtime.definition import MESH_SYSTEM
from crdtmesh.runtime.messages import HostId
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.runtime import Runtime
from crdtmesh.voters import Voters
from crdtmesh.wire import values
from simulations.calls import CallServer
from simulations.clocks import MachineClock
from simulations.gossiping import Neighbourhood, SimulatedGossip
from simulations.history import Applied, Call, History
from simulations.hostile import Hostile
from simulations.loop import VirtualLoop
from simulations.plan import PathShape
from simulations.recorder import RecordedReplica
from simulations.scheduler import Scheduler
from simulations.storage import SimulatedDisk, SimulatedStore
from simulations.tcp import TcpFabric
from simulations.trace import Field
from simulations.workload import Done

CLUSTER: Final = "simulated"
LINK_PORT: Final = 7947
GRPC_PORT: Final = 9980


class World(Neighbourhood, Protocol):
    """What the nodes of one run share."""

    scheduler: Scheduler
    links: TcpFabric
    history: History
    replication_options: ReplicationOptions
    payload_loss: PathShape | None
    runtime_options: RuntimeOptions
    link_options: LinkOptions
    hostile: Hostile | None

    def latest_ms(self) -> int:
        """The latest that any wall clock has shown so far."""
        ...

    def wrote(self, name: str) -> None:
        """A node handed a group to its disk."""
        ...

    def disk_failed(self, name: str) -> None:
        """A node is read-only and has to be restarted."""
        ...

    def failed(self, what: str) -> None:
        """Production code broke a rule of its own: the run has failed."""
        ...


class RecordedEngine(Engine):
    """The engine, which lets the replica know whose turn is being answered."""

    turns: dict[int, Call]

    def host_answered(
        self, host: HostId, answers: Iterable[tuple[Any, ...]], failures: Iterable[tuple[Any, ...]]
    ) -> None:
        """Takes a host's answers."""
        super().host_answered(host, self._labelled(answers), failures)

    def _labelled(self, answers: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        # The runtime works each answer off before it takes the next one.
        assert isinstance(self.replica, RecordedReplica)
        for answer in answers:
            self.replica.current = self.turns.pop(answer[0], None)
            yield answer
        self.replica.current = None


class SimulatedNode:
    """One run of one node, from its start to its crash.

    Raises:
        StorageError: its disk is not one that it can start with.

    Attributes:
        name: the node's name; the next run has it too.
        loop: of its process.
        replica: the replication core.
        engine: drives replica and runtime.
        gossip: the membership.
        links: the connections to peers.
    """

    def __init__(
        self, name: str, *, world: World, disk: SimulatedDisk, clock: MachineClock, rng: random.Random
    ) -> None:
        self.name = name
        self.start_id = rng.randbytes(16)
        self.engine: RecordedEngine
        self.links: LinkManager
        self._world = world
        self._clock = clock
        self._rng = rng
        self._ready: list[Callable[[], None]] = []
        self._is_ready = False
        self.loop = VirtualLoop(  # type: ignore[abstract]  # it has what production uses
            name, scheduler=world.scheduler, clock=clock, rng=rng, failed=world.failed, wires=world.links
        )
        self._store = SimulatedStore(node=name, cluster=CLUSTER, completion=self._stored, disk=disk)
        meta = self._store.open()
        self.replica = RecordedReplica(
            world.replication_options,
            node=name,
            replica_id=self._new_replica_id(is_fresh=meta.is_fresh),
            rng=random.Random(rng.getrandbits(64)),
            now_ns=clock.monotonic_ns(),
            wall_ms=clock.wall_ms(),
        )
        self.replica.recorder = self
        try:
            self.replica.load(self._store.load())
        except StorageError:
            self._store.crash()
            raise
        tag = MeshTag(cluster=cluster_hash(CLUSTER), start_id=self.start_id, link_port=LINK_PORT, grpc_port=GRPC_PORT)
        self.gossip = SimulatedGossip(
            name, world=world, loop=self.loop, clock=clock, rng=rng, tag=tag, changed=self._members_changed
        )

    def _new_replica_id(self, *, is_fresh: bool) -> bytes:
        """A new one at every start, with old data (`is_fresh` is false) as without."""
        del is_fresh
        self._world.history.identities += 1
        return self._rng.randbytes(16)

    # --- life

    def start(self) -> None:
        """Takes part."""
        self.loop.call_soon(self._start)

    def when_ready(self, action: Callable[[], None]) -> None:
        """Runs an action once the engine is there."""
        if self._is_ready:
            action()
        else:
            self._ready.append(action)

    def crash(self) -> None:
        """Ends without a word."""
        self.loop.kill()
        if self._is_ready:
            self.gossip.crash()
            self.calls.lost()
        self._world.links.killed(self.loop)
        self._store.crash()

    @property
    def is_ready(self) -> bool:
        """Whether its engine is there."""
        return self._is_ready

    def wall_ms(self) -> int:
        """The wall clock of its machine."""
        return self._clock.wall_ms()

    def leave(self) -> None:
        """Announces that it departs for good."""
        self.loop.call_soon(self._leave)

    def _leave(self) -> None:
        self._voters.leave()
        self.engine.wake()
        self.gossip.leave()

    def submit(self, call: Call, done: Done) -> None:
        """Takes a client's call."""
        self.when_ready(partial(self._submit, call, done))

    def _submit(self, call: Call, done: Done) -> None:
        self.calls.submit(call, done)

    # --- start, step by step

    def _start(self) -> None:
        world, clock = self._world, self._clock
        runtime = Runtime(
            world.runtime_options,
            placement=Placement(self.name, cluster_hash(CLUSTER).encode()),
            replica=self.replica,
            encode_state=lambda name, value: values.value_from_plain(name, value).SerializeToString(),
            now_ns=clock.monotonic_ns(),
        )
        self.engine = RecordedEngine(
            self.replica,
            runtime,
            write=self._write,
            send=self._send,
            clock_ns=clock.monotonic_ns,
            wall_ms=clock.wall_ms,
        )
        self.engine.turns = {}
        self._directory = DirectoryKeeper(
            self.name, self.start_id, self.engine, wall_ms=clock.wall_ms, refused=self._not_announced
        )
        self._voters = Voters(self.name, self.replica, has_peers=self._has_peers, wall_ms=clock.wall_ms)
        hooks = self.engine.hooks
        hooks.changed = self._entry_changed
        hooks.caught_up = self._voters.caught_up
        hooks.reconciled = partial(self._voters.caught_up, MESH_SYSTEM)
        hooks.offers_changed = self._directory.announce
        hooks.read_only = lambda reason: world.disk_failed(self.name)
        hooks.identity_needed = self._renew_identity
        hooks.failed = lambda: world.failed(f"{self.name}: the engine has stopped")
        self.calls = CallServer(
            self.engine, loop=self.loop, scheduler=world.scheduler, trace=world.trace, node=self.name
        )
        self.links = LinkManager(
            world.link_options,
            Identity(cluster=CLUSTER, node=self.name, start_id=self.start_id),
            rng=random.Random(self._rng.getrandbits(64)),
            on_up=self._link_up,
            on_down=self._link_down,
            on_message=self._message,
            clock_ns=clock.monotonic_ns,
        )
        self.loop.create_task(self._listen())

    async def _listen(self) -> None:
        await self.links.start(self.name, LINK_PORT)
        self.gossip.start()
        self._members_changed()
        self.engine.wake()
        self._is_ready = True
        ready, self._ready = self._ready, []
        for action in ready:
            action()

    # --- what happens

    def updated(self, call: Call, operations: Sequence[Operation], result: UpdateResult, visible: Applied) -> None:
        """Notes what a call has done."""
        if self.loop.is_gone:
            return
        history = self._world.history
        history.updates += 1
        call.order = history.updates
        call.ran_on = self.name
        if result.event is not None or not call.operation_id:
            # What was done before under its id stays what it did.
            call.operations = tuple(operations)
            call.event = result.event
            call.visible = visible
        if result.event is not None:
            call.events.append(result.event)
            call.times_applied += 1
        self._world.trace.remark("applied", self.name, call.number)

    def was_read(self, call: Call, visible: Applied) -> None:
        """Notes what a read has seen, and when."""
        call.visible = visible
        call.wall_ms = self._clock.wall_ms()
        call.latest_ms = self._world.latest_ms()

    def turned(self, turn: int, number: int) -> None:
        """A turn of a call goes to a host."""
        self.engine.turns[turn] = self._world.history.calls[number]

    def _write(self, seq: int, records: Sequence[Record]) -> None:
        self._world.trace.note("persist", self.name, seq, *_as_fields(records))
        self._store.write(seq, records)
        self._world.wrote(self.name)

    def _stored(self, seq: int, error: str | None) -> None:
        self._world.trace.note("stored", self.name, seq, error or "")
        self.loop.call_soon(self._persisted, seq, error)

    def _persisted(self, seq: int, error: str | None) -> None:
        self.engine.persisted(seq, error)

    def _send(self, peer: str, channel: Channel, payload: bytes) -> bool:
        is_sent = self.links.send(peer, channel, payload)
        if is_sent:
            self._world.trace.remark("payload_sent", self.name, peer, int(channel), payload)
        return is_sent

    def _link_up(self, peer: str, start_id: bytes) -> None:
        self._world.trace.note("link_up", self.name, peer, start_id)
        self.engine.peer_up(peer)

    def _link_down(self, peer: str, reason: CloseReason) -> None:
        self._world.trace.note("link_down", self.name, peer, reason)
        self._world.reported(self.name, f"link_down.{reason}", peer)
        self.engine.peer_down(peer)

    def _message(self, peer: str, channel: Channel, payload: bytes) -> None:
        """A message of a link. In lossy runs those of the replication are lost, repeated and reordered one by one."""
        shape = self._world.payload_loss
        if shape is None or channel not in (Channel.REPLICATION, Channel.REPAIR):
            self._take(peer, channel, payload)
            return
        for delay_ns in self._world.network.fates_ns(shape):
            action = partial(self.loop.call_soon, self._take_late, peer, channel, payload)
            self._world.scheduler.after(delay_ns, action)

    def _take_late(self, peer: str, channel: Channel, payload: bytes) -> None:
        # The link may be gone by now; then so is what it carried.
        if any(link.peer == peer for link in self.links.links()):
            self._take(peer, channel, payload)

    def _take(self, peer: str, channel: Channel, payload: bytes) -> None:
        self._receive(peer, channel, payload)
        if self._world.hostile is not None:
            self._world.hostile.passed(self.name, peer, channel, payload, self._receive)

    def _receive(self, peer: str, channel: Channel, payload: bytes) -> None:
        self._world.trace.note("payload", peer, self.name, int(channel), payload)
        self.engine.peer_message(peer, channel, payload)

    def _has_peers(self) -> bool:
        return len(self.gossip.present()) > 1

    def _members_changed(self) -> None:
        present = self.gossip.present()
        self.links.set_peers({name: PeerAddress(name, tag.link_port, tag.start_id) for name, tag in present.items()})
        self._directory.members_changed({name: tag.start_id.hex() for name, tag in present.items()})

    def _entry_changed(self, key: EntryKey) -> None:
        self._voters.changed(key.system)
        self._directory.entry_changed(key)

    def _not_announced(self, reason: str) -> None:
        self._world.reported(self.name, "directory.not_announced", reason)

    def _renew_identity(self) -> None:
        self._world.reported(self.name, "identity_needed", "")
        self._world.history.identities += 1
        self.replica.renew_identity(self._rng.randbytes(16))
        self.engine.wake()

    def counted(self) -> dict[str, int]:
        """What the engine has counted that an operator should see."""
        if not self._is_ready:
            return {}
        counters = self.engine.counters
        return {
            **{f"alarm.{kind}": count for kind, count in counters.alarms.items()},
            **{f"rejected.{reason}": count for reason, count in counters.rejected.items()},
        }


def _as_fields(records: Sequence[Record]) -> Iterator[Field]:
    """The records of a group for the trace: the bytes as they are, since spelling them out took a tenth of a run."""
    yield len(records)
    for record in records:
        yield type(record).__name__
        for field in record:
            yield "deleted" if field is None else field
