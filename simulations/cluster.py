"""The mesh of one run: its machines and processes, and everything that may be done to them."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from crdtmesh.durations import SYNC_MS
from crdtmesh.persistence.errors import StorageError
from crdtmesh.replication.key_rules import KeyRules
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.options import RuntimeOptions
from gossip.config import SwimConfig
from gossip.identity import Endpoint
from gossip.messages import MemberState
from simulations.actors.work import ActorWork
from simulations.faults import FaultInjector
from simulations.history import Call, FinalState, History, Outcome
from simulations.hostile import Hostile
from simulations.hosts import HostProcess, system_of
from simulations.loop import VirtualLoop
from simulations.machines import Machine
from simulations.network import Network
from simulations.node import SimulatedNode
from simulations.plan import DiskShape, PathShape, RunPlan
from simulations.readers import Reader
from simulations.recorder import applied_of
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler, SeedStreams
from simulations.streams import StreamFabric
from simulations.tcp import TcpFabric
from simulations.trace import Trace
from simulations.workload import SYSTEM, Done, actors_of, is_brief

REFUSAL_NS: Final = MILLISECOND_NS
HOST_RESTART_NS_MAX: Final = 2 * SECOND_NS
# An operator, or a supervisor, restarts a node whose disk failed.
RESTART_AFTER_FAILURE_NS_MAX: Final = 5 * SECOND_NS
BACKUP_NS: Final = 20 * SECOND_NS
# A node that says goodbye stays so long, for the others to hear it.
LEAVING_NS: Final = 2 * SECOND_NS
NODES_MAX: Final = 64
REFUSED_DAMAGES: Final = frozenset({"bit_flip", "directory_copied"})
"""What a node must notice about its disk."""


class Cluster:
    """All nodes of one run; a node is down when it has no current run.

    Attributes:
        names: of all nodes, up or down.
        nodes: the current run of each node that is up.
        counts: faults that happened, by kind.
        reports: what cores reported, by kind.
        breakages: what production code raised and nobody caught.
        history: gets the losses of disks, and when nodes were held up.
        actors: actors with one activation, if the run has any.
        readers: of watches.
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
        self.names: list[str] = [f"n{number}" for number in range(1, plan.nodes + 1)]
        self.nodes: dict[str, SimulatedNode] = {}
        self.scheduler = scheduler
        self.trace = trace
        self.history = history
        self.counts = counts
        self.reports: Counter[str] = Counter()
        self.breakages: list[str] = []
        self.workload = plan.workload
        self.actors: ActorWork | None = None
        self.readers: Sequence[Reader] = ()
        self.swim_config = SwimConfig()
        self.runtime_options = RuntimeOptions(mailbox_max=plan.mailbox_max, window_max=plan.window_max)
        self.replication_options = plan.replication
        self._rules = KeyRules(plan.replication.durability_rules)
        self.link_options = plan.links
        self.network = Network(scheduler, streams.stream("network"), trace=trace, counts=counts, shape=plan.datagrams)
        self.links = TcpFabric(scheduler, self.network, streams.stream("links"), shape=plan.segments)
        self.payload_loss = plan.payload_loss
        self.streams = StreamFabric(scheduler, self.network)
        self.hostile = (
            None if plan.hostile is None else Hostile(plan.hostile, rng=streams.stream("hostile"), counts=counts)
        )
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
        self._rng = streams.stream("operator")
        self._latest_ms = 0
        self._numbers = itertools.count(1)
        self._machines = {name: self._new_machine(name) for name in self.names}
        self._names: dict[Endpoint, str] = {}
        self._addresses: dict[str, Endpoint] = {}
        self._name_endpoints()
        self._joined: list[str] = []
        self._left: list[str] = []
        self._offered = actors_of(plan.workload)
        self._hostless = set(self.names[max(1, plan.nodes - plan.hostless) :])
        self._hosts: dict[str, HostProcess] = {}
        self._host_numbers = itertools.count()
        scheduler.after(BACKUP_NS, self._back_up)

    # --- what the nodes share

    def endpoint_of(self, name: str) -> Endpoint:
        """Where a node's gossip port is."""
        return self._addresses[name]

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
        self.scheduler.after(delay_ns, partial(self._replace, self.nodes.get(name)))

    def failed(self, what: str) -> None:
        """Production code broke a rule of its own: the run has failed."""
        self.trace.note("failed", what)
        self.breakages.append(what)

    def reported(self, name: str, kind: str, detail: str) -> None:
        """A core reports something that an operator should see."""
        self.reports[kind] += 1
        if not kind.startswith("member."):
            self.trace.note(kind, name, detail)

    def latest_ms(self) -> int:
        """The latest that any wall clock has shown so far."""
        self._latest_ms = max(self._latest_ms, *(machine.clock.wall_ms() for machine in self._machines.values()))
        return self._latest_ms

    # --- clients

    def submit(self, call: Call, done: Done) -> None:
        """Hands a call to its node; a node that is down refuses it."""
        self.trace.note("call", call.node, call.number, call.route, call.key.key, repr(call.operations))
        node = self.nodes.get(call.node)
        if node is not None:
            node.submit(call, done)
            return
        call.outcome = Outcome.FAILED
        call.completed_ns = self.scheduler.now_ns
        self.trace.remark("reply", call.node, call.number, call.outcome, "the node is down", "")
        self.scheduler.after(REFUSAL_NS, partial(done, call))

    # --- faults of processes

    def crash(self, name: str, *, wipe: bool) -> bool:
        """Ends a node's process without a word; `wipe` loses its disk too."""
        node = self.nodes.pop(name, None)
        if node is None:
            return False
        self.reports.update(node.counted())
        host = self._hosts.pop(name, None)
        if host is not None:
            host.loop.kill()
        node.crash()
        for reader in self.readers:
            reader.lost(node)
        self.history.ended(name, self.scheduler.now_ns)
        if self.actors is not None:
            self.actors.desks.lost(node)
        holders = [applied_of(other.replica, SYSTEM) for other in self.nodes.values()]
        self.history.crashed(holders, self._durability, now_ns=self.scheduler.now_ns)
        if wipe:
            self._lose_disk(name)
        return True

    def restart(self, name: str) -> bool:
        """Starts a node that is down, with whatever its disk holds; one that refuses the disk gets a new one."""
        if name in self.nodes or name not in self._machines:
            return False
        machine = self._machines[name]
        try:
            node = SimulatedNode(name, world=self, disk=machine.disk, clock=machine.clock, rng=machine.rng())
        except StorageError as error:
            if not machine.damage:
                self.failed(f"{name} refuses its own disk: {error}")
            self.counts["start_refused"] += 1
            self.trace.note("start_refused", name, str(error))
            self._lose_disk(name)
            return self.restart(name)
        if machine.damage in REFUSED_DAMAGES:
            self.failed(f"{name} started on a disk with {machine.damage}")
        self.trace.note("start", name, machine.starts)
        self.history.started(name, self.scheduler.now_ns)
        machine.damage = ""
        machine.disk.slow = partial(self._held_up, name)
        self.nodes[name] = node
        self.nodes = {name: self.nodes[name] for name in self._machines if name in self.nodes}
        node.start()
        if self.actors is not None:
            node.when_ready(partial(self.actors.opened, node))
        if name not in self._hostless:
            node.when_ready(partial(self._start_host, name, node))
        return True

    def crash_host(self, name: str) -> bool:
        """Ends the actor host of a node; its supervisor starts another one."""
        host = self._hosts.pop(name, None)
        if host is None:
            return False
        host.crash()
        delay_ns = self._rng.randint(0, HOST_RESTART_NS_MAX)
        self.scheduler.after(delay_ns, partial(self._start_host, name, self.nodes[name]))
        return True

    def pause(self, name: str, duration_ns: int) -> bool:
        """Stops a process for a while."""
        node = self.nodes.get(name)
        if node is None or node.loop.is_stopped:
            return False
        node.loop.stop_for(duration_ns)
        self._held_up(name, duration_ns)
        return True

    def slow_down(self, name: str, lag_ns: int, duration_ns: int) -> bool:
        """Makes every turn of a process' loop take longer for a while."""
        node = self.nodes.get(name)
        if node is None or node.loop.lag_ns:
            return False
        node.loop.lag_ns = lag_ns
        self.scheduler.after(duration_ns, partial(setattr, node.loop, "lag_ns", 0))
        self._held_up(name, duration_ns)
        return True

    # --- faults of machines

    def damage(self, name: str, kind: str) -> bool:
        """Does something to the disk of a node that is down."""
        machine = self._machines[name]
        if kind == "bit_flip":
            is_done = machine.disk.flip_bit()
        elif kind == "backup_restored":
            is_done = machine.restore()
        else:
            others = [other for other in self.names if other != name and self._machines[other].disk.meta is not None]
            is_done = bool(others)
            if others:
                machine.disk.copy_of(self._machines[self._rng.choice(others)].disk)
        if is_done:
            # What was acknowledged since is gone with the rows.
            self.history.wipes.append((name, self.scheduler.now_ns))
            machine.damage = kind
        return is_done

    def move(self, name: str) -> bool:
        """Gives a node that is down another address."""
        self._machines[name].move()
        self._name_endpoints()
        return True

    def fill_disk(self, name: str, duration_ns: int) -> bool:
        """Lets every write of a node fail for a while."""
        disk = self._machines[name].disk
        if disk.is_full:
            return False
        disk.is_full = True
        self.trace.remark("lasts", name, "disk full", duration_ns)
        self.scheduler.after(duration_ns, partial(setattr, disk, "is_full", False))
        return True

    def jump_clock(self, name: str, delta_ms: int) -> bool:
        """Moves a machine's wall clock."""
        self.latest_ms()
        self._machines[name].clock.jump(delta_ms)
        return True

    def drift_clock(self, name: str, ppm: int) -> bool:
        """Lets a machine's clocks run fast, or slow if negative."""
        self._machines[name].clock.drift(ppm)
        return True

    def freeze_clock(self, name: str) -> bool:
        """Lets a machine's wall clock stand still."""
        self._machines[name].clock.freeze()
        return True

    def reset_link(self, rng: random.Random) -> bool:
        """Breaks one link."""
        pairs = self.links.pairs()
        return bool(pairs) and self.links.reset_between(*rng.choice(pairs))

    # --- churn

    def join(self) -> str | None:
        """Starts a node that was never there, or one whose name has been there before, at another address."""
        if len(self._machines) >= NODES_MAX:
            return None
        if self._left and self._rng.random() < 0.5:
            name = self._left.pop(0)
            self.counts["name_reused"] += 1
        else:
            name = f"x{len(self._joined) + len(self._left) + 1}.{self.scheduler.now_ns // SECOND_NS}"
        self._machines[name] = self._new_machine(name)
        self._name_endpoints()
        self._joined.append(name)
        self.names.append(name)
        self.restart(name)
        return name

    def leave(self, rng: random.Random) -> str | None:
        """Has a node that joined leave for good, with or without a word."""
        running = [name for name in self._joined if name in self.nodes]
        if not running:
            return None
        name = rng.choice(running)
        self._joined.remove(name)
        self.names.remove(name)
        node = self.nodes[name]
        if rng.random() < 0.5:
            node.when_ready(node.leave)
            self.scheduler.after(LEAVING_NS, partial(self._retire, name))
        else:
            self._retire(name)
        return name

    def calm(self) -> None:
        """Chance faults of wires and disks end, and clocks are set right."""
        self.network.shape = PathShape()
        self.links.shape = PathShape()
        self.payload_loss = None
        if self.hostile is not None:
            self.hostile.calm()
        self.latest_ms()
        for machine in self._machines.values():
            machine.disk.shape = DiskShape()
            machine.disk.is_full = False
            machine.clock.set_right()

    # --- what it looks like

    def member_tables(self) -> dict[str, dict[str, MemberState]]:
        """By running node, what it believes of each member."""
        return {name: node.gossip.table() for name, node in self.nodes.items()}

    def digests(self) -> set[tuple[bytes, ...]]:
        """The different digests that running nodes have, of all systems."""
        systems = sorted({system for node in self.nodes.values() for system in node.replica.systems()})
        return {tuple(node.replica.digest(system) for system in systems) for node in self.nodes.values()}

    def have_applied_the_same(self) -> bool:
        """Whether all running nodes have applied the same events of the system that clients write to."""
        applied = [applied_of(node.replica, SYSTEM) for node in self.nodes.values()]
        return all(each == applied[0] for each in applied)

    def all_reports(self) -> Counter[str]:
        """What cores reported, those of the runs under way included."""
        total = Counter(self.reports)
        for node in self.nodes.values():
            total.update(node.counted())
        return total

    def starts(self) -> int:
        """How many processes of nodes were started."""
        return sum(machine.starts for machine in self._machines.values())

    def final_states(self) -> list[FinalState]:
        """What each running node holds."""
        return [
            FinalState(
                node=name,
                digest=node.replica.digest(SYSTEM),
                values={view.key: view.value() for view in node.replica.entries(SYSTEM)},
                applied=applied_of(node.replica, SYSTEM),
                queued_bytes=sum(sum(link.queued_bytes) for link in node.links.links()),
            )
            for name, node in self.nodes.items()
        ]

    # --- inside

    def _durability(self, key: EntryKey) -> int:
        """The interval of an entry's mode."""
        return (self._rules.of(key) if is_brief(key) else None) or SYNC_MS

    def _new_machine(self, name: str) -> Machine:
        return Machine(
            name,
            next(self._numbers),
            scheduler=self.scheduler,
            seeds=self._seeds,
            counts=self.counts,
            shape=self._disk_shape,
        )

    def _name_endpoints(self) -> None:
        self._names = {machine.endpoint: name for name, machine in self._machines.items()}
        # What nodes that are gone had sent may still arrive.
        self._addresses |= {name: machine.endpoint for name, machine in self._machines.items()}

    def _lose_disk(self, name: str) -> None:
        self.history.wipes.append((name, self.scheduler.now_ns))
        self._machines[name].wipe()

    def _held_up(self, name: str, duration_ns: int) -> None:
        self.trace.remark("lasts", name, "held up", duration_ns)
        self.history.held_up.append((name, self.scheduler.now_ns, self.scheduler.now_ns + duration_ns))

    def _back_up(self) -> None:
        """An operator copies the data directories away now and then."""
        for machine in self._machines.values():
            machine.back_up()
        self.scheduler.after(BACKUP_NS, self._back_up)

    def _replace(self, node: SimulatedNode | None) -> None:
        if node is not None and self.nodes.get(node.name) is node and self.crash(node.name, wipe=False):
            self.restart(node.name)

    def _retire(self, name: str) -> None:
        """A node is gone for good; what only its disk had is gone too."""
        self.crash(name, wipe=True)
        if name not in self.names:
            self.latest_ms()
            del self._machines[name]
            self._name_endpoints()
            self._left.append(name)

    def _start_host(self, name: str, node: SimulatedNode) -> None:
        if self.nodes.get(name) is not node or name in self._hosts:
            return
        rng = self._seeds.stream("host", name, next(self._host_numbers))
        loop = VirtualLoop(  # type: ignore[abstract]  # it has what production uses
            f"{name}'s host",
            scheduler=self.scheduler,
            clock=self._machines[name].clock,
            rng=rng,
            failed=self.failed,
        )
        system = system_of(SYSTEM, self._offered)
        if self.actors is not None:
            self.actors.declare(system, name, rng=rng, clock=self._machines[name].clock)
        host = self._hosts[name] = HostProcess(
            loop,
            node_loop=node.loop,
            engine=node.engine,
            scheduler=self.scheduler,
            rng=rng,
            plan=self.workload,
            system=system,
            turned=node.turned,
        )
        host.start()
