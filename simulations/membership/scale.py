"""Traffic and detection times by size of the cluster, against the analytic curves.

The timing model is memberlist's: every member has its own phase (*staggered* periods), not the common rounds of the
SWIM paper, and walks a shuffled list in each pass. With M members and the period T this gives, after a crash:

- the first probe of the victim: each of M - 1 members probes it once in a pass of M - 1 periods, at a place independent
  of the others, so the first of them comes after (M - 1) / M of T on average, which tends to T (an exponential
  distribution; the paper's e / (e - 1) belongs to common rounds with random targets);
- the first suspicion: one period after the first probe, the time a round has to get an ack from anyone;
- the suspicion known to all: with a gossip interval g and k receivers the number that know grows by the rate k / g, and
  the last unknowing ones are found at the same rate: 2 g ln(M) / k;
- the first declaration of death: the shortest suspicion time, a log10(M) T, if accusers confirm soon enough, after the
  first suspicion; the longest otherwise, six times that.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gossip.config import LAN, SwimConfig, to_ns
from gossip.outputs import Event, MemberChange, MemberEvent, ProbeFinished, ProbeOutcome
from gossip.suspicion import suspicion_bounds
from simulations.membership.world import Node, World

SIZES: Final = (8, 16, 32, 64, 128, 256, 512, 1000)
QUIET_PERIODS: Final = 5
DETECTION_PERIODS_MAX: Final = 120
"""A failure not declared everywhere by then counts as missed; the longest suspicion of 1,000 members is 72 periods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleOptions:
    """What to measure.

    Attributes:
        sizes: members, one cluster for each.
        periods: probe periods over which traffic is counted.
        trials: crashes for each size.
        seed: decides everything.
    """

    sizes: tuple[int, ...] = SIZES
    periods: int = 30
    trials: int = 10
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.sizes or not 3 <= min(self.sizes) <= max(self.sizes) <= LAN.members_max:
            raise ValueError(f"sizes from 3 to {LAN.members_max} expected, got {self.sizes}")
        if self.periods < 1 or self.trials < 0:
            raise ValueError(f"at least 1 period and 0 trials expected, got {self.periods} and {self.trials}")


@dataclass(slots=True)
class Crash:
    """Times after one crash, in seconds; None for what did not happen."""

    first_probe_s: float | None = None
    first_suspicion_s: float | None = None
    all_suspect_s: float | None = None
    first_death_s: float | None = None
    all_dead_s: float | None = None


@dataclass(slots=True)
class _Watch:
    """Sees one crash through the events of the others."""

    world: World
    victim: str
    crashed_ns: int
    crash: Crash = field(default_factory=Crash)
    informed: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    witnesses: int = 0

    def observe(self, node: Node, event: Event) -> None:
        after_s = (self.world.now_ns - self.crashed_ns) / 1e9
        crash = self.crash
        if isinstance(event, ProbeFinished):
            if event.target == self.victim and event.outcome is ProbeOutcome.FAILED:
                probed_s = after_s - event.duration_ns / 1e9
                # A round that began before the crash is none of this failure's.
                if probed_s >= 0 and (crash.first_probe_s is None or probed_s < crash.first_probe_s):
                    crash.first_probe_s = probed_s
        elif isinstance(event, MemberEvent) and event.member.name == self.victim:
            self.informed.add(node.name)
            if crash.first_suspicion_s is None:
                crash.first_suspicion_s = after_s
            if len(self.informed) == self.witnesses and crash.all_suspect_s is None:
                crash.all_suspect_s = after_s
            if event.change is MemberChange.DIED:
                self.told.add(node.name)
                if crash.first_death_s is None:
                    crash.first_death_s = after_s
                if len(self.told) == self.witnesses:
                    crash.all_dead_s = after_s


def measure(size: int, options: ScaleOptions) -> dict[str, Any]:
    """The figures of one size."""
    world = World(options.seed, config=LAN)
    world.settle(size)
    world.run(QUIET_PERIODS * LAN.probe_interval_s)
    datagrams, size_bytes, streams, core_ns = world.datagrams, world.datagram_bytes, world.streams, world.core_ns
    world.run(options.periods * LAN.probe_interval_s)
    rounds = size * options.periods
    traffic = {
        "members": size,
        "messages_per_member_period": round((world.datagrams - datagrams) / rounds, 4),
        "bytes_per_member_period": round((world.datagram_bytes - size_bytes) / rounds, 1),
        "streams_per_member_period": round((world.streams - streams) / rounds, 4),
        "core_us_per_member_period": round((world.core_ns - core_ns) / 1e3 / rounds, 1),
    }
    crashes = _crashes(world, size, options)
    return {**traffic, "crashes": len(crashes), "times_s": _medians(crashes), "analytic_s": analytic(size)}


def _crashes(world: World, size: int, options: ScaleOptions) -> list[Crash]:
    """Crashes one after the other; a fresh cluster when a sixteenth is gone, so that its size stays what it is."""
    crashes: list[Crash] = []
    gone = 0
    for trial in range(options.trials):
        if gone >= max(1, size // 16):
            world = World(options.seed * 1_000 + trial, config=LAN)
            world.settle(size)
            world.run(QUIET_PERIODS * LAN.probe_interval_s)
            gone = 0
        crashes.append(_crash(world, trial))
        gone += 1
    return crashes


def _crash(world: World, trial: int) -> Crash:
    rng = world.stream("crash", trial)
    world.run(rng.random() * LAN.probe_interval_s)
    victim = rng.choice(world.up())
    world.crash(victim)
    watch = _Watch(world, victim.name, world.now_ns, witnesses=len(world.up()))
    world.observer = watch.observe
    for _ in range(DETECTION_PERIODS_MAX):
        world.run(LAN.probe_interval_s)
        if watch.crash.all_dead_s is not None:
            break
    world.observer = lambda _node, _event: None
    return watch.crash


def _medians(crashes: Sequence[Crash]) -> dict[str, Any]:
    """Median and mean of each time over the crashes in which it came about, and in how many it did not."""
    figures: dict[str, Any] = {}
    for name in Crash.__dataclass_fields__:
        values = [value for crash in crashes if (value := getattr(crash, name)) is not None]
        figures[name.removesuffix("_s")] = {
            "median": round(statistics.median(values), 3) if values else None,
            "mean": round(statistics.fmean(values), 3) if values else None,
            "missing": len(crashes) - len(values),
        }
    return figures


def analytic(members: int, config: SwimConfig = LAN) -> dict[str, float]:
    """Expected times after a crash, in seconds from it; see the theory above."""
    period_s = config.probe_interval_s
    first_probe_s = period_s * (members - 1) / members
    first_suspicion_s = first_probe_s + period_s
    spread_s = 2 * config.gossip_interval_s * math.log(members) / config.gossip_nodes
    bounds = suspicion_bounds(
        members,
        probe_interval_ns=to_ns(period_s),
        multiplier=config.suspicion_multiplier,
        max_multiplier=config.suspicion_max_multiplier,
    )
    return {
        "first_probe": round(first_probe_s, 3),
        "first_suspicion": round(first_suspicion_s, 3),
        "all_suspect": round(first_suspicion_s + spread_s, 3),
        "first_death_earliest": round(first_suspicion_s + bounds.min_ns / 1e9, 3),
        "first_death_latest": round(first_suspicion_s + bounds.max_ns / 1e9, 3),
    }


def report(options: ScaleOptions, *, progress: Callable[[str], None] = lambda _text: None) -> dict[str, Any]:
    """All sizes, and how flat the traffic is over them."""
    sizes = []
    for size in options.sizes:
        sizes.append(measure(size, options))
        progress(f"{size} members: {sizes[-1]['messages_per_member_period']} messages per member and period")
    rates = [figures["messages_per_member_period"] for figures in sizes]
    return {
        "messages_per_member_period": {"min": min(rates), "max": max(rates)},
        "spread": round(max(rates) / min(rates) - 1, 4),
        "sizes": sizes,
        "periods": options.periods,
        "seed": options.seed,
        "timing": "staggered: each member has its own phase and walks a shuffled list",
    }
