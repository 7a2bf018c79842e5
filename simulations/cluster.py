"""The mesh of one run: its nodes, disks and clocks, and everything that may be done to them."""

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from crdtmesh.replication.options import ReplicationOptions
from gossip.config import SwimConfig
from gossip.identity import Endpoint
from gossip.messages import MemberState
from simulations.calls import applied_of
from simulations.faults import FaultInjector
from simulations.history import Call, FinalState, History, Outcome
from simulations.links import IDLE_TIMEOUT_NS, LinkFabric
from simulations.network import Network
from simulations.node import SimulatedNode
from simulations.plan import DiskShape, PathShape, RunPlan
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler, SeedStreams
from simulations.storage import SimulatedDisk
from simulations.streams import StreamFabric
from simulations.trace import Trace
from simulations.workload import SYSTEM, Done

GOSSIP_PORT: Final = 7946
WALL_BASE_MS: Final = 1_750_000_000_000
REFUSAL_NS: Final = MILLISECOND_NS
# An operator, or a supervisor, restarts a node whose disk failed.
RESTART_AFTER_FAILURE_NS_MAX: Final = 5 * SECOND_NS


class Cluster:
    """All nodes of one run; a node is down when it has no current run.

    Attributes:
        names: of all nodes, up or down.
        nodes: the current run of each node that is up.
        counts: faults that happened, by kind.
        reports: what cores reported, by kind.
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
        self.links = LinkFabric(
            scheduler,
            self.network,
            streams.stream("links"),
            shape=plan.link_loss or plan.datagrams,
            is_lossy=plan.link_loss is not None,
        )
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
        self._wall_offset_ms = dict.fromkeys(self.names, 0)
        self._starts: Counter[str] = Counter()
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

    def wall_ms(self, name: str) -> int:
        """A node's wall clock."""
        return WALL_BASE_MS + self._wall_offset_ms[name] + self.scheduler.now_ns // MILLISECOND_NS

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
        node = SimulatedNode(name, world=self, disk=self._disks[name], rng=rng)
        self.nodes[name] = node
        self.nodes = {name: self.nodes[name] for name in self.names if name in self.nodes}
        node.start()
        return True

    def pause(self, name: str, duration_ns: int) -> bool:
        """Stops a process for a while."""
        node = self.nodes.get(name)
        if node is None or node.is_paused:
            return False
        node.pause(duration_ns)
        if duration_ns > IDLE_TIMEOUT_NS:
            # The kernel goes on acknowledging; the peers' keep-alives are what notices.
            self.scheduler.after(IDLE_TIMEOUT_NS, partial(self._drop_links, name))
        return True

    def jump_clock(self, name: str, delta_ms: int) -> bool:
        """Moves a node's wall clock."""
        self._wall_offset_ms[name] += delta_ms
        return True

    def reset_link(self, rng: random.Random) -> bool:
        """Breaks one link."""
        pairs = self.links.pairs()
        return bool(pairs) and self.links.reset(*rng.choice(pairs))

    def calm(self) -> None:
        """Chance faults of wires and disks end."""
        self.network.shape = PathShape()
        self.links.shape = PathShape()
        self.links.is_lossy = False
        self._disk_shape = DiskShape()
        for disk in self._disks.values():
            disk.shape = self._disk_shape
        for name in self.names:
            self._wall_offset_ms[name] = 0

    # --- what it looks like

    def member_tables(self) -> dict[str, dict[str, MemberState]]:
        """By running node, what it believes of each member."""
        return {
            name: {str(member.name): member.state for member in node.swim.members()}
            for name, node in self.nodes.items()
        }

    def digests(self) -> set[bytes]:
        """The different digests that running nodes have."""
        return {node.replica.digest(SYSTEM) for node in self.nodes.values()}

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

    def _drop_links(self, name: str) -> None:
        node = self.nodes.get(name)
        if node is not None and node.is_paused:
            for own, peer in self.links.pairs():
                if own == name:
                    self.links.reset(own, peer)

    def _new_disk(self, name: str) -> SimulatedDisk:
        # A new disk must not repeat the chances of the one before.
        rng = self._seeds.stream("disk", name, sum(node == name for node, _ in self.history.wipes))
        return SimulatedDisk(scheduler=self.scheduler, rng=rng, counts=self.counts, shape=self._disk_shape)
