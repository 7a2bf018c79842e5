"""The mesh of one run: its nodes, disks and clocks, and everything that may be done to them."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from crdtmesh.replication.options import ReplicationOptions
from gossip.config import SwimConfig
from gossip.identity import Endpoint
from gossip.messages import MemberState
from simulations.clocks import MachineClock
from simulations.faults import FaultInjector
from simulations.history import Call, FinalState, History, Outcome
from simulations.hosts import HostProcess, system_of
from simulations.loop import VirtualLoop
from simulations.network import Network
from simulations.node import SimulatedNode
from simulations.plan import DiskShape, PathShape, RunPlan
from simulations.recorder import applied_of
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler, SeedStreams
from simulations.storage import SimulatedDisk
from simulations.streams import StreamFabric
from simulations.tcp import TcpFabric
from simulations.trace import Trace
from simulations.workload import SYSTEM, Done, actors_of

GOSSIP_PORT: Final = 7946
REFUSAL_NS: Final = MILLISECOND_NS
HOST_RESTART_NS_MAX: Final = 2 * SECOND_NS
# An operator, or a supervisor, restarts a node whose disk failed.
RESTART_AFTER_FAILURE_NS_MAX: Final = 5 * SECOND_NS


class Cluster:
    """All nodes of one run; a node is down when it has no current run.

    Attributes:
        names: of all nodes, up or down.
        nodes: the current run of each node that is up.
        counts: faults that happened, by kind.
        reports: what cores reported, by kind.
        breakages: what production code raised and nobody caught.
        history: gets the losses of disks.
    """

    def __init__(
        self,
        plan: RunPlan,
        *,
        scheduler: Scheduler,
        streams: SeedStreams,
        trace: Trace,
        history: History,
        counts: Counter[str],
    ) -> None:
        self.names: Sequence[str] = [f"n{number}" for number in range(1, plan.nodes + 1)]
        self.nodes: dict[str, SimulatedNode] = {}
        self.scheduler = scheduler
        self.trace = trace
        self.history = history
        self.counts = counts
        self.reports: Counter[str] = Counter()
        self.breakages: list[str] = []
        self.workload = plan.workload
        self.swim_config = SwimConfig()
        self.replication_options = ReplicationOptions(
            shards=plan.shards,
            repair_chunk_bytes=plan.repair_chunk_bytes,
            repair_chunks_in_flight=plan.repair_chunks_in_flight,
            checkpoint_log_rows=plan.checkpoint_log_rows,
            checkpoint_slice_entries=plan.checkpoint_slice_entries,
        )
        self.network = Network(scheduler, streams.stream("network"), trace=trace, counts=counts, shape=plan.datagrams)
        self.links = TcpFabric(scheduler, self.network, streams.stream("links"), shape=plan.segments)
        self.payload_loss = plan.payload_loss
        self.streams = StreamFabric(scheduler, self.network)
        self.faults = FaultInjector(
            plan.faults,
            rng=streams.stream("faults"),
            scheduler=scheduler,
            network=self.network,
            patient=self,
            counts=counts,
            trace=trace,
        )
        self._seeds = streams
        self._disk_shape = plan.disk
        self._clocks = {name: MachineClock(scheduler) for name in self.names}
        self._system = system_of(SYSTEM, actors_of(plan.workload))
        self._hosting = set(self.names[: max(1, plan.nodes - plan.hostless)])
        self._hosts: dict[str, HostProcess] = {}
        self._starts: Counter[str] = Counter()
        self._host_numbers = itertools.count()
        self._rng = streams.stream("operator")
        self._endpoints = {name: Endpoint(f"10.0.0.{number}", GOSSIP_PORT) for number, name in enumerate(self.names, 1)}
        self._names = {endpoint: name for name, endpoint in self._endpoints.items()}
        self._disks = {name: self._new_disk(name) for name in self.names}

    # --- what the nodes share

    def endpoint_of(self, name: str) -> Endpoint:
        """Where a node's gossip port is."""
        return self._endpoints[name]

    def name_at(self, endpoint: Endpoint) -> str | None:
        """Which node has its gossip port there."""
        return self._names.get(endpoint)

    def candidates(self, name: str) -> list[str]:
        """Whom discovery finds: the nodes that are up and within reach."""
        return [
            other
            for other in self.nodes
            if other != name and self.network.is_open(name, other) and self.network.is_open(other, name)
        ]

    def wrote(self, name: str) -> None:
        """A node handed a group to its disk."""
        self.faults.written(name)

    def disk_failed(self, name: str) -> None:
        """A node is read-only and has to be restarted."""
        delay_ns = self._rng.randint(0, RESTART_AFTER_FAILURE_NS_MAX)
        self.scheduler.after(delay_ns, partial(self._replace, name, self._starts[name]))

    def failed(self, what: str) -> None:
        """Production code broke a rule of its own: the run has failed."""
        self.trace.note("failed", what)
        self.breakages.append(what)

    def reported(self, name: str, kind: str, detail: str) -> None:
        """A core reports something that an operator should see."""
        self.reports[kind] += 1
        if not kind.startswith("member."):
            self.trace.note(kind, name, detail)

    # --- clients

    def submit(self, call: Call, done: Done) -> None:
        """Hands a call to its node; a node that is down refuses it."""
        self.trace.note("call", call.node, call.number, call.key.key, repr(call.operations))
        node = self.nodes.get(call.node)
        if node is not None:
            node.submit(call, done)
            return
        call.outcome = Outcome.FAILED
        call.completed_ns = self.scheduler.now_ns
        self.scheduler.after(REFUSAL_NS, partial(done, call))

    # --- faults

    def crash(self, name: str, *, wipe: bool) -> bool:
        """Ends a node's process without a word; `wipe` loses its disk too."""
        node = self.nodes.pop(name, None)
        if node is None:
            return False
        self._count_reports(node)
        host = self._hosts.pop(name, None)
        if host is not None:
            host.loop.kill()
        node.crash()
        if wipe:
            self.history.wipes.append((name, self.scheduler.now_ns))
            self._disks[name] = self._new_disk(name)
        return True

    def restart(self, name: str) -> bool:
        """Starts a node that is down, with whatever its disk holds."""
        if name in self.nodes:
            return False
        self._starts[name] += 1
        rng = self._seeds.stream("node", name, self._starts[name])
        node = SimulatedNode(name, world=self, disk=self._disks[name], clock=self._clocks[name], rng=rng)
        self.nodes[name] = node
        self.nodes = {name: self.nodes[name] for name in self.names if name in self.nodes}
        node.start()
        if name in self._hosting:
            node.when_ready(partial(self._start_host, name, node))
        return True

    def crash_host(self, name: str) -> bool:
        """Ends the actor host of a node; its supervisor starts another one."""
        host = self._hosts.pop(name, None)
        if host is None:
            return False
        host.crash()
        self.scheduler.after(
            self._rng.randint(0, HOST_RESTART_NS_MAX), partial(self._start_host, name, self.nodes[name])
        )
        return True

    def pause(self, name: str, duration_ns: int) -> bool:
        """Stops a process for a while."""
        node = self.nodes.get(name)
        if node is None or node.loop.is_stopped:
            return False
        node.loop.stop_for(duration_ns)
        return True

    def jump_clock(self, name: str, delta_ms: int) -> bool:
        """Moves a node's wall clock."""
        self._clocks[name].jump(delta_ms)
        return True

    def reset_link(self, rng: random.Random) -> bool:
        """Breaks one link."""
        pairs = self.links.pairs()
        return bool(pairs) and self.links.reset_between(*rng.choice(pairs))

    def calm(self) -> None:
        """Chance faults of wires and disks end."""
        self.network.shape = PathShape()
        self.links.shape = PathShape()
        self.payload_loss = None
        self._disk_shape = DiskShape()
        for disk in self._disks.values():
            disk.shape = self._disk_shape
        for clock in self._clocks.values():
            clock.set_right()

    # --- what it looks like

    def member_tables(self) -> dict[str, dict[str, MemberState]]:
        """By running node, what it believes of each member."""
        return {name: node.gossip.table() for name, node in self.nodes.items()}

    def digests(self) -> set[tuple[bytes, ...]]:
        """The different digests that running nodes have, of all systems."""
        systems = sorted({system for node in self.nodes.values() for system in node.replica.systems()})
        return {tuple(node.replica.digest(system) for system in systems) for node in self.nodes.values()}

    def all_reports(self) -> Counter[str]:
        """What cores reported, those of the runs under way included."""
        total = Counter(self.reports)
        for node in self.nodes.values():
            total.update(node.counted())
        return total

    def final_states(self) -> list[FinalState]:
        """What each running node holds."""
        return [
            FinalState(
                node=name,
                digest=node.replica.digest(SYSTEM),
                values={view.key: view.value() for view in node.replica.entries(SYSTEM)},
                applied=applied_of(node.replica, SYSTEM),
            )
            for name, node in self.nodes.items()
        ]

    # --- inside

    def _replace(self, name: str, start: int) -> None:
        if self._starts[name] == start and self.crash(name, wipe=False):
            self.restart(name)

    def _start_host(self, name: str, node: SimulatedNode) -> None:
        if self.nodes.get(name) is not node or name in self._hosts:
            return
        rng = self._seeds.stream("host", name, self._starts[name], next(self._host_numbers))
        loop = VirtualLoop(  # type: ignore[abstract]  # it has what production uses
            f"{name}'s host", scheduler=self.scheduler, clock=self._clocks[name], rng=rng, failed=self.failed
        )
        host = self._hosts[name] = HostProcess(
            loop,
            node_loop=node.loop,
            engine=node.engine,
            scheduler=self.scheduler,
            rng=rng,
            plan=self.workload,
            system=self._system,
            turned=node.turned,
        )
        host.start()

    def _count_reports(self, node: SimulatedNode) -> None:
        self.reports.update(node.counted())

    def _new_disk(self, name: str) -> SimulatedDisk:
        # A new disk must not repeat the chances of the one before.
        rng = self._seeds.stream("disk", name, sum(node == name for node, _ in self.history.wipes))
        return SimulatedDisk(scheduler=self.scheduler, rng=rng, counts=self.counts, shape=self._disk_shape)
