"""What one run will be like: every parameter is drawn from the seed, and most of them may be off.

A simulator that always loses 10 % of all packets never sees what happens when none is lost. So each knob is off in some
runs, each has a range that reaches what the promises name (`docs`, table of faults), and one run in twenty has no fault
at all: what fails there needs no fault to fail.
"""

from dataclasses import dataclass, field, fields
from typing import Final

from crdtmesh.links.options import LinkOptions
from crdtmesh.replication.options import ReplicationOptions
from simulations.scheduler import MILLISECOND_NS, SECOND_NS

BRIEF_PREFIX: Final = "brief-"
"""Names of sets whose updates do not wait for the disk."""

FAULT_KINDS: Final = (
    "backup_restored",
    "bit_flip",
    "capacity_queued",
    "clock_drift",
    "clock_freeze",
    "clock_jump",
    "corruption",
    "corruption_delivered",
    "crash",
    "crash_all",
    "crash_disk_lost",
    "crash_rolling",
    "cut_datagrams",
    "cut_segments",
    "delay_tail",
    "directory_copied",
    "disk_full",
    "duplication",
    "host_crash",
    "hostile_garbage",
    "hostile_mutated",
    "hostile_replayed",
    "hot_key",
    "huge_state",
    "large_mesh",
    "link_reset",
    "loop_stall",
    "loss",
    "name_moved",
    "name_reused",
    "node_joined",
    "node_left",
    "overload",
    "partition_bridge",
    "partition_flapping",
    "partition_full",
    "partition_halves",
    "partition_one_way",
    "partition_ring",
    "partition_single",
    "partition_swizzle",
    "pause",
    "reordering",
    "restart",
    "retransmission",
    "slow_node",
    "start_refused",
    "sync_error",
    "sync_slow",
    "torn_write",
    "unsynced_lost",
)
"""Everything that is counted when it happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathShape:
    """How packets travel from one node to another. Probabilities are for each packet.

    Attributes:
        delay_ns_min: shortest delay.
        delay_ns_max: longest delay, but for the tail.
        tail: probability of a delay up to `tail_ns_max` instead.
        tail_ns_max: longest delay of all.
        loss: probability that a packet is lost.
        duplication: probability that it comes twice.
        reordering: probability that it is held back for up to ten times the longest delay.
        corruption: probability that one of its bits is flipped.
        bytes_per_s: what the line carries; 0 for any amount.
    """

    delay_ns_min: int = MILLISECOND_NS // 2
    delay_ns_max: int = 2 * MILLISECOND_NS
    tail: float = 0.0
    tail_ns_max: int = 0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    bytes_per_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskShape:
    """How long a transaction takes until it is on disk, and how often it fails."""

    sync_ns_min: int = MILLISECOND_NS // 2
    sync_ns_max: int = 5 * MILLISECOND_NS
    slow: float = 0.0
    slow_ns_max: int = 0
    error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostilePlan:
    """What one peer does wrong on purpose, for each message that passes.

    Attributes:
        replay: probability that an old message is sent once more, to the same node.
        garbage: probability that bytes are sent which are no message: noise, or a message that was cut short.
        mutate: probability that a message is sent with some bits changed. Peers are trusted to say what they did, so
            then only what no message may do is judged: raise, block, or grow without bounds.
    """

    replay: float = 0.0
    garbage: float = 0.0
    mutate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """How many faults of each kind fall into the faulty phase, and how long they last.

    Attributes:
        disk_losses: part of the crashes that cost a disk.
        all_at_once: part of the crashes that hit all nodes.
    """

    partitions: int = 0
    partition_ns_max: int = 20 * SECOND_NS
    flappings: int = 0
    swizzles: int = 0
    crashes: int = 0
    disk_losses: float = 0.15
    all_at_once: float = 0.05
    down_ns_max: int = 15 * SECOND_NS
    host_crashes: int = 0
    pauses: int = 0
    pause_ns_max: int = 8 * SECOND_NS
    stalls: int = 0
    slow_spells: int = 0
    full_disks: int = 0
    clock_jumps: int = 0
    clock_drifts: int = 0
    clock_freezes: int = 0
    link_resets: int = 0
    joins: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadPlan:
    """What the clients do. Weights are relative.

    Attributes:
        clients: how many, each with one call at a time.
        think_ns_mean: mean pause between two calls of a client.
        keys: names of each type; few means that most calls meet on the same entries.
        elements: set elements beside the few that are always there.
        stickiness: probability that a client stays with the node of its last call.
        batch: probability that a call holds several operations, which take effect together.
        levels: probability that an update asks for more than this node's disk.
        turns: probability that a call goes to an actor instead of directly to the state.
        turns_waiting: probability that the handler waits.
        turns_failing: probability that it fails, after it has changed its state.
        handler_ns_max: how long a handler may wait.
        padding: characters added to elements and values, for large states.
        overload_clients: so many more clients come for `overload_ns`, and hardly pause between their calls.
        overload_ns: how long they stay.
        up_counter, read: weights of the counters that only grow, and of reading them.
        brief: weight of sets whose updates do not wait for the disk.
        expiring: weight of sets whose updates say how long they live.
        mix: weights of the data types.
    """

    clients: int = 4
    think_ns_mean: int = 400 * MILLISECOND_NS
    keys: int = 2
    elements: int = 6
    stickiness: float = 0.7
    batch: float = 0.1
    levels: float = 0.0
    turns: float = 0.3
    turns_waiting: float = 0.5
    turns_failing: float = 0.0
    handler_ns_max: int = 300 * MILLISECOND_NS
    padding: int = 0
    overload_clients: int = 0
    overload_ns: int = 2 * SECOND_NS
    up_counter: float = 1.0
    read: float = 1.0
    brief: float = 0.0
    expiring: float = 0.0
    mix: tuple[tuple[str, float], ...] = (("PNCounter", 1.0), ("ORSet", 2.0), ("LWWRegister", 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorPlan:
    """What the clients of actors do.

    Attributes:
        clients: how many, each with one call at a time.
        think_ns_mean: mean pause between two calls of a client.
        stickiness: probability that a client stays with the node of its last call.
        ledgers: actors of each kind; few means that most calls meet.
        later: probability that a call is for later.
        later_ms_max: how much later at most.
        handler_ns_max: how long a handler may wait.
        turns_waiting: probability that it waits.
        turns_failing: probability that it fails, after it has changed its state.
        timer_ms: period of the timers.
    """

    clients: int = 3
    think_ns_mean: int = 200 * MILLISECOND_NS
    stickiness: float = 0.5
    ledgers: int = 2
    later: float = 0.2
    later_ms_max: int = 20_000
    handler_ns_max: int = 300 * MILLISECOND_NS
    turns_waiting: float = 0.5
    turns_failing: float = 0.05
    timer_ms: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePlan:
    """What the clients of the service `State` do. Weights are relative.

    Attributes:
        clients: how many, each with one call at a time.
        think_ns_mean: mean pause between two calls of a client.
        stickiness: probability that a client stays with the node of its last call.
        keys: names of each kind; few means that most calls meet.
        write: weight of adding to sets that only grow, mostly at a level.
        read: weight of reading these, mostly at a level.
        follow: weight of reading one with the token of the last answer, mostly elsewhere.
        batch: weight of changing several keys in one event.
        scan: weight of reading those together.
        once: weight of counting with an operation id, again and again until the outcome is known.
        expire: weight of adding to sets that expire.
        look: weight of reading these.
        readers: how many watch.
        away: probability that a reader's connection breaks with a message.
        away_ns_max: how long it is away then.
        slow_ns_max: how long a reader may take for an event.
        interval_ms: of the watches.
    """

    clients: int = 1
    think_ns_mean: int = 300 * MILLISECOND_NS
    stickiness: float = 0.5
    keys: int = 2
    write: float = 1.0
    read: float = 1.0
    follow: float = 1.0
    batch: float = 1.0
    scan: float = 1.0
    once: float = 1.0
    expire: float = 1.0
    look: float = 1.0
    readers: int = 1
    away: float = 0.05
    away_ns_max: int = 2 * SECOND_NS
    slow_ns_max: int = 0
    interval_ms: int = 50


_GROUPS: Final = (
    "datagrams",
    "segments",
    "payload_loss",
    "disk",
    "replication",
    "links",
    "hostile",
    "faults",
    "workload",
    "state",
    "actors",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All parameters of one run.

    Attributes:
        seed: what they were drawn from.
        nodes: size of the mesh.
        faulty_ns: length of the first phase.
        settle_ns: by so long after the heal everything must be well again.
        datagrams: paths of the membership protocol.
        segments: paths of the links, whose streams lose nothing and only wait.
        payload_loss: None, or messages of the replication are lost, repeated and reordered like this behind the links:
            what it promises to survive although today's links are ordered streams.
        hostless: so many nodes, the last ones, have no actor host; they send calls to the others.
        replication: options of the replicas; chunks, checkpoints, indexes and intervals are small in many runs, so that
            what is rare in production happens.
        links: options of the links; small windows and queues in many runs, so that senders are stopped and refused.
        mailbox_max: calls that may wait for one actor.
        window_max: turns of one actor that may be in flight.
        hostile: what one peer does wrong on purpose; None for nothing.
        stays_down: one node stays down after the heal, until all others have noticed.
        state: clients of the service `State`, and readers of watches; None for none.
        actors: actors with one activation and their clients; None for none.
    """

    seed: int
    nodes: int
    faulty_ns: int
    settle_ns: int = 90 * SECOND_NS
    datagrams: PathShape = PathShape()
    segments: PathShape = PathShape()
    payload_loss: PathShape | None = None
    hostless: int = 0
    replication: ReplicationOptions = field(default_factory=ReplicationOptions)
    links: LinkOptions = field(default_factory=LinkOptions)
    mailbox_max: int = 1024
    window_max: int = 64
    hostile: HostilePlan | None = None
    stays_down: bool = False
    disk: DiskShape = DiskShape()
    faults: FaultPlan = FaultPlan()
    workload: WorkloadPlan = WorkloadPlan()
    state: StatePlan | None = None
    actors: ActorPlan | None = None

    @property
    def is_peaceful(self) -> bool:
        """Whether nothing goes wrong: the first baseline, in which cores have nothing to report."""
        wires = (self.datagrams, self.segments) == (PathShape(), PathShape()) and self.payload_loss is None
        return (
            wires
            and (self.disk, self.faults) == (DiskShape(), FaultPlan())
            and self.hostile is None
            and not (self.stays_down or self.workload.overload_clients)
        )

    def describe(self) -> str:
        """One line for each group of parameters, only what is on."""
        lines = [f"seed {self.seed}: {self.nodes} nodes, {self.faulty_ns / SECOND_NS:g} s of faults"]
        for name in _GROUPS:
            part = getattr(self, name)
            if part is not None:
                values = ((item.name, getattr(part, item.name)) for item in fields(part))
                lines.append(f"  {name}: " + ", ".join(_shown(label, value) for label, value in values if value))
        return "\n".join(lines)


def _shown(label: str, value: object) -> str:
    return f"{label}={value:.4g}" if isinstance(value, int | float) else f"{label}={value}"
