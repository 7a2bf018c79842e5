"""What one run will be like: every parameter is drawn from the seed, and most of them may be off.

A simulator that always loses 10 % of all packets never sees what happens when none is lost. So each knob is off in some
runs, each has a range that reaches what the promises name (`docs`, table of faults), and one run in twenty has no fault
at all: what fails there needs no fault to fail.
"""

import random
from dataclasses import dataclass, fields
from typing import Final

from simulations.mixes import MIXES
from simulations.scheduler import MILLISECOND_NS, SECOND_NS

NODES_MIN: Final = 3
NODES_MAX: Final = 6
FAULTLESS_RUNS: Final = 0.05

FAULT_KINDS: Final = (
    "clock_jump",
    "corruption",
    "crash",
    "crash_disk_lost",
    "cut_datagrams",
    "cut_segments",
    "delay_tail",
    "duplication",
    "link_reset",
    "loss",
    "partition_bridge",
    "partition_full",
    "partition_halves",
    "partition_one_way",
    "partition_single",
    "pause",
    "reordering",
    "restart",
    "sync_error",
    "sync_slow",
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
class FaultPlan:
    """How many faults of each kind fall into the faulty phase, and how long they last."""

    partitions: int = 0
    partition_ns_max: int = 20 * SECOND_NS
    crashes: int = 0
    down_ns_max: int = 15 * SECOND_NS
    pauses: int = 0
    pause_ns_max: int = 8 * SECOND_NS
    clock_jumps: int = 0
    link_resets: int = 0


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
        turns: probability that a call goes to an actor instead of directly to the state.
        turns_waiting: probability that the handler waits.
        turns_failing: probability that it fails, after it has changed its state.
        handler_ns_max: how long a handler may wait.
        padding: characters added to elements and values, for large states.
        up_counter, read: weights of the counters that only grow, and of reading them.
        mix: weights of the data types.
    """

    clients: int = 4
    think_ns_mean: int = 400 * MILLISECOND_NS
    keys: int = 2
    elements: int = 6
    stickiness: float = 0.7
    batch: float = 0.1
    turns: float = 0.3
    turns_waiting: float = 0.5
    turns_failing: float = 0.0
    handler_ns_max: int = 300 * MILLISECOND_NS
    padding: int = 0
    up_counter: float = 1.0
    read: float = 1.0
    mix: tuple[tuple[str, float], ...] = (("PNCounter", 1.0), ("ORSet", 2.0), ("LWWRegister", 1.0))


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
        shards: of each system; one puts all keys under one numbering, many keep them apart.
        repair_chunk_bytes: size of the messages of a repair; few, so that one takes several.
        repair_chunks_in_flight: how many of them are sent ahead.
        checkpoint_log_rows: so many rows of log start a checkpoint; few, so that there are many.
        checkpoint_slice_entries: entries that one flush writes while a checkpoint runs; few, so that much happens
            meanwhile.
        stays_down: one node stays down after the heal, until all others have noticed.
    """

    seed: int
    nodes: int
    faulty_ns: int
    settle_ns: int = 90 * SECOND_NS
    datagrams: PathShape = PathShape()
    segments: PathShape = PathShape()
    payload_loss: PathShape | None = None
    hostless: int = 0
    shards: int = 16
    repair_chunk_bytes: int = 192 * 1024
    repair_chunks_in_flight: int = 4
    checkpoint_log_rows: int = 20_000
    checkpoint_slice_entries: int = 256
    stays_down: bool = False
    disk: DiskShape = DiskShape()
    faults: FaultPlan = FaultPlan()
    workload: WorkloadPlan = WorkloadPlan()

    def describe(self) -> str:
        """One line for each group of parameters, only what is on."""
        lines = [f"seed {self.seed}: {self.nodes} nodes, {self.faulty_ns / SECOND_NS:g} s of faults"]
        for name in ("datagrams", "segments", "payload_loss", "disk", "faults", "workload"):
            part = getattr(self, name)
            if part is not None:
                values = ((item.name, getattr(part, item.name)) for item in fields(part))
                lines.append(f"  {name}: " + ", ".join(_shown(label, value) for label, value in values if value))
        return "\n".join(lines)


def _shown(label: str, value: object) -> str:
    return f"{label}={value:.4g}" if isinstance(value, int | float) else f"{label}={value}"


def draw_plan(seed: int, rng: random.Random, *, seconds: float, nodes: int | None = None) -> RunPlan:
    """The parameters of one run.

    Args:
        seed: goes into the plan only; what is drawn comes from `rng`.
        rng: the stream of this seed that nothing else uses.
        seconds: virtual length of the faulty phase.
        nodes: size of the mesh; drawn if None.
    """
    count = rng.randint(NODES_MIN, NODES_MAX)
    plan = RunPlan(seed=seed, nodes=nodes or count, faulty_ns=int(seconds * SECOND_NS), workload=_workload(rng))
    if rng.random() < FAULTLESS_RUNS:
        return plan
    return RunPlan(
        seed=seed,
        nodes=plan.nodes,
        faulty_ns=plan.faulty_ns,
        datagrams=_path(rng),
        segments=_path(rng),
        payload_loss=_path(rng) if rng.random() < 0.3 else None,
        hostless=rng.choice((0, 0, 1, 2)),
        disk=_disk(rng),
        faults=_faults(rng, plan.faulty_ns),
        workload=plan.workload,
        repair_chunk_bytes=rng.choice((1, 1, 192 * 1024)),
        repair_chunks_in_flight=rng.choice((1, 4)),
        checkpoint_log_rows=rng.choice((5, 5, 50, 20_000)),
        checkpoint_slice_entries=rng.choice((1, 1, 256)),
        stays_down=rng.random() < 0.2,
        shards=rng.choice((1, 2, 16)),
    )


def _maybe(rng: random.Random, probability: float, value: float) -> float:
    """A value, or 0 when the knob is off. Draws once either way, so that knobs do not shift each other."""
    return value if rng.random() < probability else 0.0


def _path(rng: random.Random) -> PathShape:
    delay_ns_max = int(rng.choice((2, 10, 50, 200, 500)) * MILLISECOND_NS)
    return PathShape(
        delay_ns_min=delay_ns_max // 4,
        delay_ns_max=delay_ns_max,
        tail=_maybe(rng, 0.5, rng.uniform(0.001, 0.03)),
        tail_ns_max=rng.randint(1, 5) * SECOND_NS,
        loss=_maybe(rng, 0.6, rng.uniform(0.0, 0.3)),
        duplication=_maybe(rng, 0.5, rng.uniform(0.0, 0.5)),
        reordering=_maybe(rng, 0.5, rng.uniform(0.0, 0.3)),
        corruption=_maybe(rng, 0.4, rng.uniform(0.0, 0.01)),
    )


def _disk(rng: random.Random) -> DiskShape:
    return DiskShape(
        sync_ns_max=rng.randint(1, 30) * MILLISECOND_NS,
        slow=_maybe(rng, 0.5, rng.uniform(0.0, 0.2)),
        slow_ns_max=2 * SECOND_NS,
        error=_maybe(rng, 0.15, rng.uniform(0.0, 0.002)),
    )


def _faults(rng: random.Random, faulty_ns: int) -> FaultPlan:
    # The ranges are for 90 s; a longer run gets more, so that hours of virtual time stay hours of faults.
    stretch = max(1.0, faulty_ns / (90 * SECOND_NS))

    def count(probability: float, most: int) -> int:
        return int(_maybe(rng, probability, rng.randint(1, most)) * stretch)

    return FaultPlan(
        partitions=count(0.7, 6),
        partition_ns_max=rng.randint(1, 40) * SECOND_NS,
        crashes=count(0.7, rng.choice((3, 10, 30))),
        down_ns_max=rng.choice((1, 5, 25)) * SECOND_NS,
        pauses=count(0.4, 4),
        pause_ns_max=rng.randint(1, 20) * SECOND_NS,
        clock_jumps=count(0.4, 6),
        link_resets=count(0.4, 10),
    )


def _workload(rng: random.Random) -> WorkloadPlan:
    return WorkloadPlan(
        clients=rng.randint(2, 6),
        think_ns_mean=int(rng.choice((50, 100, 300, 1000)) * MILLISECOND_NS),
        keys=rng.choice((1, 1, 2, 4)),
        elements=rng.choice((0, 0, 6, 30)),
        stickiness=rng.choice((0.0, 0.7, 1.0)),
        batch=_maybe(rng, 0.5, rng.uniform(0.0, 0.5)),
        turns=rng.choice((0.0, 0.3, 1.0)),
        handler_ns_max=rng.choice((1, 100, 1000)) * MILLISECOND_NS,
        turns_waiting=rng.choice((0.0, 0.5, 1.0)),
        turns_failing=_maybe(rng, 0.5, rng.uniform(0.0, 0.2)),
        up_counter=_maybe(rng, 0.8, rng.uniform(0.5, 2.0)),
        read=_maybe(rng, 0.8, rng.uniform(0.5, 4.0)),
        mix=_mix(rng),
    )


def _mix(rng: random.Random) -> tuple[tuple[str, float], ...]:
    """A few data types, sets in most runs: the more types, the fewer calls meet on one entry."""
    names = rng.sample(sorted(MIXES), rng.choice((1, 2, 4, 8)))
    chosen = sorted({*names, *(("ORSet",) if rng.random() < 0.7 else ())})
    return tuple((name, rng.uniform(0.5, 3.0)) for name in chosen)
