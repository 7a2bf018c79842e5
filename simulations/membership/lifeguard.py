"""False positives with members that stop processing now and then: plain SWIM, each part of Lifeguard, and all of it.

The anomaly, as in the paper: C members of 128 stop at the same instant, stay so for D, run for I, stop again, until the
time is up. While stopped they neither read nor send, and what arrives waits for them. A *false positive* is a
declaration of death, by whomever, about a member that never stopped; a *healthy* one is one of these by a member that
never stopped either. Declarations about members that did stop are counted apart: for a failure detector they were gone.

Stopped means, as in the paper, that each activity of a member (probing, gossip, exchanges) blocks where it next wants
to send, and nothing is read; suspicions go on to run out meanwhile. When a member wakes, it works off what waited, one
packet or timer in 50 us, in random order among its activities. That time matters: with intervals of a few milliseconds
a member is stopped again before its doubts have left it, they ripen to a declaration while it stands, and then this is
the first that anybody hears, so that healthy members believe it. With work that takes no time every doubt leaves at
once and is refuted, and healthy members never have a false positive. `blocks_at_send=False` is what a stopped *process*
of ours does instead (SIGSTOP): everything stands still, and the event loop takes waiting packets first, so it finds
acks and refutations before it doubts anybody.

The default points are a small part of the paper's grid, since each run takes half a minute: 16 members that stop for
16.4 s. Stops have to be longer than the shortest suspicion time (10.5 s for 128 members), or intervals so short that
members hardly run at all; docs/measurements.md has more points. Every variant sees the same members stop at the same
times.

Source: Lifeguard (arXiv:1707.00788), the interval experiment; alpha = 5 and beta = 6 are its choice.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from gossip.config import LAN, SwimConfig
from gossip.outputs import Event, MemberChange, MemberEvent
from simulations.membership.world import Node, World

MEMBERS: Final = 128
QUIET_S: Final = 15.0
"""Before the first anomaly: first table exchanges are over, and probing has its rhythm."""

LIFEGUARD: Final = replace(LAN, suspicion_multiplier=5, suspicion_max_multiplier=6)
SWIM: Final = replace(
    LIFEGUARD, is_local_health_enabled=False, is_dynamic_suspicion_enabled=False, is_buddy_enabled=False
)

VARIANTS: Final[Mapping[str, SwimConfig]] = MappingProxyType(
    {
        "swim": SWIM,
        "local_health": replace(SWIM, is_local_health_enabled=True),
        "dynamic_suspicion": replace(SWIM, is_dynamic_suspicion_enabled=True),
        "buddy": replace(SWIM, is_buddy_enabled=True),
        "lifeguard": LIFEGUARD,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeguardOptions:
    """The grid: every combination of C, D and I is one point, run once for each seed and variant.

    Attributes:
        members: size of the cluster.
        concurrent: C, members that stop at once.
        durations_s: D, how long they stop.
        intervals_s: I, how long they run in between.
        seconds: length of the part with anomalies, virtual.
        seeds: repetitions; each has other members stop.
        blocks_at_send: how a member stops; see above.
    """

    members: int = MEMBERS
    concurrent: tuple[int, ...] = (16,)
    durations_s: tuple[float, ...] = (16.384,)
    intervals_s: tuple[float, ...] = (0.001, 0.016, 0.064, 0.256)
    seconds: float = 120.0
    seeds: tuple[int, ...] = (1,)
    blocks_at_send: bool = True

    def __post_init__(self) -> None:
        if not self.concurrent or not 1 <= min(self.concurrent) <= max(self.concurrent) < self.members:
            raise ValueError(f"concurrent={self.concurrent}: from 1 to less than the {self.members} members expected")
        if not self.durations_s or not self.intervals_s or min(*self.durations_s, *self.intervals_s) <= 0:
            raise ValueError(f"durations and intervals above 0 s expected, got {self.durations_s}, {self.intervals_s}")
        if not self.seconds > 0 or not self.seeds:
            raise ValueError(f"seconds above 0 and at least one seed expected, got {self.seconds}, {self.seeds}")

    def points(self) -> Iterator["Point"]:
        """Every run to be made, those of one place in the grid next to each other."""
        places = itertools.product(self.concurrent, self.durations_s, self.intervals_s, self.seeds, VARIANTS)
        for concurrent, duration_s, interval_s, seed, variant in places:
            yield Point(
                variant, self.members, concurrent, duration_s, interval_s, self.seconds, seed, self.blocks_at_send
            )


@dataclass(frozen=True, slots=True)
class Point:
    """One run; see `LifeguardOptions`."""

    variant: str
    members: int
    concurrent: int
    duration_s: float
    interval_s: float
    seconds: float
    seed: int
    blocks_at_send: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """What came out of one run.

    Attributes:
        false_positives: declarations of death about members that never stopped.
        healthy: those of them that were made at members that never stopped either.
        stopped: declarations about members that did stop.
        first_detection_s: from the first stop to the first declaration about a member that stopped; None without.
    """

    false_positives: int
    healthy: int
    stopped: int
    first_detection_s: float | None


def run_point(point: Point) -> Counts:
    """Runs one point."""
    world = World(point.seed, config=VARIANTS[point.variant])
    nodes = world.settle(point.members)
    stopping = world.stream("anomaly").sample(nodes, point.concurrent)
    names = {node.name for node in stopping}
    counts: Counter[str] = Counter()
    detected_ns: list[int] = []

    def observe(node: Node, event: Event) -> None:
        if not isinstance(event, MemberEvent) or event.change is not MemberChange.DIED:
            return
        if event.member.name in names:
            counts["stopped"] += 1
            detected_ns.append(world.now_ns)
            return
        counts["false"] += 1
        counts["healthy"] += node.name not in names

    world.run(QUIET_S)
    world.observer = observe
    began_ns = world.now_ns
    until_ns = began_ns + round(point.seconds * 1e9)
    while world.now_ns < until_ns:
        world.pause(stopping, blocks_at_send=point.blocks_at_send)
        world.run(min(point.duration_s, (until_ns - world.now_ns) / 1e9))
        world.resume(stopping)
        world.run(min(point.interval_s, (until_ns - world.now_ns) / 1e9))
    first_s = (detected_ns[0] - began_ns) / 1e9 if detected_ns else None
    return Counts(counts["false"], counts["healthy"], counts["stopped"], first_s)


def run_points(points: Sequence[Point], *, jobs: int) -> Iterator[tuple[Point, Counts]]:
    """Runs points, spread over processes; in the order of the points."""
    if jobs == 1:
        yield from ((point, run_point(point)) for point in points)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from zip(points, pool.map(run_point, points), strict=True)


def summary(options: LifeguardOptions, results: Sequence[tuple[Point, Counts]]) -> dict[str, Any]:
    """The figures of all points together, and each part's."""
    totals = {
        name: {
            "fp": sum(counts.false_positives for point, counts in results if point.variant == name),
            "fp_healthy": sum(counts.healthy for point, counts in results if point.variant == name),
            "stopped_declared": sum(counts.stopped for point, counts in results if point.variant == name),
        }
        for name in VARIANTS
    }
    swim, lifeguard = totals["swim"], totals["lifeguard"]
    return {
        "members": options.members,
        "fp_swim": swim["fp"],
        "fp_lifeguard": lifeguard["fp"],
        "ratio": _ratio(lifeguard["fp"], swim["fp"]),
        "fp_healthy_swim": swim["fp_healthy"],
        "fp_healthy_lifeguard": lifeguard["fp_healthy"],
        "fp_healthy_ratio": _ratio(lifeguard["fp_healthy"], swim["fp_healthy"]),
        "variants": totals,
        "points": [
            {
                "variant": point.variant,
                "concurrent": point.concurrent,
                "duration_s": point.duration_s,
                "interval_s": point.interval_s,
                "seed": point.seed,
                "fp": counts.false_positives,
                "fp_healthy": counts.healthy,
                "stopped_declared": counts.stopped,
                "first_detection_s": counts.first_detection_s,
            }
            for point, counts in results
        ],
        "alpha": LIFEGUARD.suspicion_multiplier,
        "beta": LIFEGUARD.suspicion_max_multiplier,
        "seconds": options.seconds,
        "seeds": list(options.seeds),
        "blocks_at_send": options.blocks_at_send,
    }


def _ratio(part: int, whole: int) -> float | None:
    """None where plain SWIM had no false positive: then there is nothing to compare with."""
    return round(part / whole, 5) if whole else None
