"""Draws the parameters of a run from its seed.

Each knob is off in some runs, each has a range that reaches what the promises name, and one run in twenty has no fault
at all: what fails there needs no fault to fail.
"""

import random
from dataclasses import replace
from typing import Final

from crdtmesh.durations import NEVER_MS
from crdtmesh.links.options import LinkOptions
from crdtmesh.replication.options import ReplicationOptions
from simulations.mixes import MIXES
from simulations.plan import (
    BRIEF_PREFIX,
    DiskShape,
    FaultPlan,
    HostilePlan,
    PathShape,
    RunPlan,
    StatePlan,
    WorkloadPlan,
)
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, SeedStreams

NODES_MIN: Final = 3
NODES_MAX: Final = 6
FAULTLESS_RUNS: Final = 0.05
# A large mesh costs as much as ten others, so it is rare, and short.
LARGE_RUNS: Final = 0.01
LARGE_NODES: Final = (16, 32, 64)
LARGE_NS_MAX: Final = 15 * SECOND_NS
STATE_RUNS: Final = 0.6
HOSTILE_RUNS: Final = 0.15
OVERLOADED_RUNS: Final = 0.05
NARROW_LINES: Final = 0.15


def draw_plan(seed: int, streams: SeedStreams, *, seconds: float, nodes: int | None = None) -> RunPlan:
    """The parameters of one run.

    Args:
        seed: goes into the plan only; what is drawn comes from the streams.
        streams: of this seed.
        seconds: virtual length of the faulty phase.
        nodes: size of the mesh; drawn if None.
    """
    rng = streams.stream("plan")
    # Knobs that came later have a stream of their own, so that they do not shift the others.
    later = streams.stream("plan", "later")
    state = _state(streams.stream("plan", "state"))
    count = rng.randint(NODES_MIN, NODES_MAX)
    faulty_ns = int(seconds * SECOND_NS)
    if rng.random() < LARGE_RUNS and nodes is None:
        count, faulty_ns = rng.choice(LARGE_NODES), min(faulty_ns, LARGE_NS_MAX)
    workload = _workload(rng, later)
    if state is not None:
        # So that a run costs as much as it did without them.
        workload = replace(workload, clients=max(1, workload.clients - state.clients))
    plan = RunPlan(seed=seed, nodes=nodes or count, faulty_ns=faulty_ns, workload=workload, state=state)
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
        state=plan.state,
        links=_links(rng),
        mailbox_max=rng.choice((1, 2, 1024)),
        window_max=rng.choice((1, 4, 64)),
        hostile=_hostile(rng) if rng.random() < HOSTILE_RUNS else None,
        stays_down=rng.random() < 0.2,
        replication=replace(_replication(rng, plan.nodes), durability_rules=_durability(later)),
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
        bytes_per_s=int(_maybe(rng, NARROW_LINES, rng.choice((20_000, 100_000, 1_000_000)))),
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
        flappings=count(0.2, 3),
        swizzles=count(0.2, 3),
        host_crashes=count(0.4, rng.choice((6, 20))),
        stalls=count(0.4, 6),
        slow_spells=count(0.3, 3),
        full_disks=count(0.15, 2),
        clock_drifts=count(0.3, 4),
        clock_freezes=count(0.2, 2),
        joins=count(0.2, 4),
    )


def _replication(rng: random.Random, nodes: int) -> ReplicationOptions:
    return ReplicationOptions(
        shards=rng.choice((1, 2, 16)),
        repair_chunk_bytes=rng.choice((1, 1, 192 * 1024)),
        repair_chunks_in_flight=rng.choice((1, 4)),
        checkpoint_log_rows=rng.choice((5, 5, 50, 20_000)),
        checkpoint_slice_entries=rng.choice((1, 1, 256)),
        index_runs_max=rng.choice((16, 1_000_000)),
        index_age_ns=rng.choice((5, 3600)) * SECOND_NS,
        trim_interval_ns=rng.choice((1, 10)) * SECOND_NS,
        trim_runs_min=rng.choice((1, 1, 1024)),
        audit_interval_ns=rng.choice((2, 2, 60)) * SECOND_NS,
        expected_nodes=rng.choice((0, 0, nodes)),
    )


def _durability(rng: random.Random) -> tuple[tuple[str, int], ...]:
    return ((f"{BRIEF_PREFIX}*", rng.choice((100, 2_000, NEVER_MS))),)


def _links(rng: random.Random) -> LinkOptions:
    size = rng.choice((2 << 20, 8 << 20))
    return LinkOptions(
        message_size_bytes_max=size,
        queue_size_bytes_max=size + rng.choice((64, size)),
        window_size_bytes=rng.choice((4 << 10, 1 << 20, 1 << 20)),
    )


def _hostile(rng: random.Random) -> HostilePlan:
    return HostilePlan(
        replay=_maybe(rng, 0.7, rng.uniform(0.0, 0.3)),
        garbage=_maybe(rng, 0.7, rng.uniform(0.0, 0.3)),
        mutate=_maybe(rng, 0.3, rng.uniform(0.0, 0.2)),
    )


def _workload(rng: random.Random, later: random.Random) -> WorkloadPlan:
    return WorkloadPlan(
        clients=rng.randint(2, 6),
        think_ns_mean=int(rng.choice((50, 100, 300, 1000)) * MILLISECOND_NS),
        keys=rng.choice((1, 1, 2, 4)),
        elements=rng.choice((0, 0, 6, 30)),
        stickiness=rng.choice((0.0, 0.7, 1.0)),
        batch=_maybe(rng, 0.5, rng.uniform(0.0, 0.5)),
        levels=_maybe(rng, 0.5, rng.uniform(0.0, 0.5)),
        turns=rng.choice((0.0, 0.3, 1.0)),
        handler_ns_max=rng.choice((1, 100, 1000)) * MILLISECOND_NS,
        turns_waiting=rng.choice((0.0, 0.5, 1.0)),
        padding=rng.choice((100, 2_000, 20_000)) if rng.random() < 0.1 else 0,
        overload_clients=30 if rng.random() < OVERLOADED_RUNS else 0,
        turns_failing=_maybe(rng, 0.5, rng.uniform(0.0, 0.2)),
        up_counter=_maybe(rng, 0.8, rng.uniform(0.5, 2.0)),
        read=_maybe(rng, 0.8, rng.uniform(0.5, 4.0)),
        brief=_maybe(later, 0.3, later.uniform(0.5, 3.0)),
        expiring=_maybe(later, 0.3, later.uniform(0.5, 3.0)),
        mix=_mix(rng),
    )


def _state(rng: random.Random) -> StatePlan | None:
    """The clients of the service `State`, in three runs of five; each kind of call is off in some of these."""

    def weight(probability: float = 0.7) -> float:
        return _maybe(rng, probability, rng.uniform(0.5, 2.0))

    is_on = rng.random() < STATE_RUNS
    plan = StatePlan(
        clients=rng.randint(1, 2),
        think_ns_mean=rng.choice((100, 300, 600)) * MILLISECOND_NS,
        stickiness=rng.choice((0.0, 0.5, 1.0)),
        keys=rng.choice((1, 2, 4)),
        write=rng.uniform(0.5, 2.0),
        read=weight(),
        follow=weight(),
        batch=weight(),
        scan=weight(),
        once=weight(),
        expire=weight(),
        look=weight(),
        readers=rng.choice((0, 1, 1, 2)),
        away=_maybe(rng, 0.7, rng.uniform(0.0, 0.2)),
        away_ns_max=rng.choice((1, 5, 90)) * SECOND_NS,
        slow_ns_max=rng.choice((0, 0, 100, 2_000)) * MILLISECOND_NS,
        interval_ms=rng.choice((0, 50, 1_000)),
    )
    return plan if is_on else None


def _mix(rng: random.Random) -> tuple[tuple[str, float], ...]:
    """A few data types, sets in most runs: the more types, the fewer calls meet on one entry."""
    names = rng.sample(sorted(MIXES), rng.choice((1, 2, 4, 8)))
    chosen = sorted({*names, *(("ORSet",) if rng.random() < 0.7 else ())})
    return tuple((name, rng.uniform(0.5, 3.0)) for name in chosen)
