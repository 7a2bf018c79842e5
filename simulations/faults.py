"""What goes wrong, and when: faults of a plan, spread over the faulty phase, and the heal that ends them.

Packets and disks have chance faults of their own (`network`, `storage`); this module does what happens to nodes and
cuts. Every fault that happened is counted by its kind. A fault that finds nothing to act on is not counted.
"""

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from simulations.network import Network, Path
from simulations.plan import FaultPlan
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler
from simulations.trace import Trace

# What matters about a crash mostly happens within milliseconds of a write, so half of the crashes wait for one.
CRASHES_AT_WRITE: Final = 0.5
# Within an ordinary sync, or long enough that others read what a slow one has not kept yet.
CRASH_AFTER_WRITE_NS_MAX: Final = (10 * MILLISECOND_NS, SECOND_NS)
CRASHES_OF_ALL: Final = 0.1
DISKS_LOST: Final = 0.15
CLOCK_JUMP_MS_MAX: Final = 3_600_000


class Patient(Protocol):
    """The mesh, as faults see it. Methods answer whether there was anything to do."""

    names: Sequence[str]

    def crash(self, name: str, *, wipe: bool) -> bool:
        """Ends a node's process without a word; `wipe` loses its disk too."""
        ...

    def restart(self, name: str) -> bool:
        """Starts a node that is down, with whatever its disk holds."""
        ...

    def pause(self, name: str, duration_ns: int) -> bool:
        """Stops a process for a while, as SIGSTOP does."""
        ...

    def jump_clock(self, name: str, delta_ms: int) -> bool:
        """Moves a node's wall clock."""
        ...

    def reset_link(self, rng: random.Random) -> bool:
        """Breaks one link."""
        ...


class FaultInjector:
    """Carries out a plan's faults.

    Attributes:
        armed: nodes whose next write is followed by a crash, and whether their disk goes too.
    """

    def __init__(
        self,
        plan: FaultPlan,
        *,
        rng: random.Random,
        scheduler: Scheduler,
        network: Network,
        patient: Patient,
        counts: Counter[str],
        trace: Trace,
    ) -> None:
        self.armed: dict[str, bool] = {}
        self._plan = plan
        self._rng = rng
        self._scheduler = scheduler
        self._network = network
        self._patient = patient
        self._counts = counts
        self._trace = trace
        self._is_healed = False
        self._cuts: list[list[Path]] = []

    def schedule(self, *, until_ns: int) -> None:
        """Draws the time of every fault; all lie before `until_ns`."""
        plan = self._plan
        for count, action in (
            (plan.partitions, self._partition),
            (plan.crashes, self._crash),
            (plan.pauses, self._pause),
            (plan.clock_jumps, self._jump_clock),
            (plan.link_resets, self._reset_link),
        ):
            for _ in range(count):
                self._scheduler.at(self._rng.randrange(until_ns), action)

    def written(self, name: str) -> None:
        """A node handed a group to its disk."""
        wipe = self.armed.pop(name, None)
        if wipe is not None:
            delay_ns = self._rng.randint(0, self._rng.choice(CRASH_AFTER_WRITE_NS_MAX))
            self._scheduler.after(delay_ns, partial(self._crash_now, name, wipe=wipe))

    def heal(self, names: Sequence[str]) -> None:
        """Ends every fault: cuts are mended and the named nodes start if they are down. Pauses end by themselves."""
        self._is_healed = True
        self.armed.clear()
        for paths in self._cuts:
            self._network.mend(paths)
        self._cuts.clear()
        for name in names:
            self._restart(name)

    # --- the kinds

    def _partition(self) -> None:
        if self._is_healed:
            return
        names = list(self._patient.names)
        self._rng.shuffle(names)
        kind = self._rng.choice(sorted(PARTITIONS))
        paths = PARTITIONS[kind](names)
        self._happened(f"partition_{kind}", ",".join(names))
        self._network.cut(paths)
        self._cuts.append(paths)
        duration_ns = self._rng.randint(SECOND_NS, max(SECOND_NS, self._plan.partition_ns_max))
        self._scheduler.after(duration_ns, partial(self._mend, paths))

    def _mend(self, paths: list[Path]) -> None:
        if not self._is_healed:
            self._trace.note("mend")
            self._cuts.remove(paths)
            self._network.mend(paths)

    def _crash(self) -> None:
        if self._is_healed:
            return
        rng = self._rng
        if rng.random() < CRASHES_OF_ALL:
            for name in self._patient.names:
                self._crash_now(name, wipe=False)
            return
        name = rng.choice(self._patient.names)
        wipe = rng.random() < DISKS_LOST
        if rng.random() < CRASHES_AT_WRITE:
            self.armed[name] = wipe
        else:
            self._crash_now(name, wipe=wipe)

    def _crash_now(self, name: str, *, wipe: bool) -> None:
        if self._is_healed or not self._patient.crash(name, wipe=wipe):
            return
        self._happened("crash_disk_lost" if wipe else "crash", name)
        delay_ns = self._rng.randint(100 * MILLISECOND_NS, self._plan.down_ns_max)
        self._scheduler.after(delay_ns, partial(self._restart_later, name))

    def _restart(self, name: str) -> None:
        if self._patient.restart(name):
            self._happened("restart", name)

    def _restart_later(self, name: str) -> None:
        if not self._is_healed:
            self._restart(name)

    def _pause(self) -> None:
        name = self._rng.choice(self._patient.names)
        duration_ns = self._rng.randint(100 * MILLISECOND_NS, self._plan.pause_ns_max)
        if not self._is_healed and self._patient.pause(name, duration_ns):
            self._happened("pause", name)

    def _jump_clock(self) -> None:
        name = self._rng.choice(self._patient.names)
        delta_ms = self._rng.randint(-CLOCK_JUMP_MS_MAX, CLOCK_JUMP_MS_MAX)
        if not self._is_healed and self._patient.jump_clock(name, delta_ms):
            self._happened("clock_jump", name)

    def _reset_link(self) -> None:
        if not self._is_healed and self._patient.reset_link(self._rng):
            self._happened("link_reset", "")

    def _happened(self, kind: str, detail: str) -> None:
        self._counts[kind] += 1
        self._trace.note(f"fault.{kind}", detail)


def _between(first: Sequence[str], second: Sequence[str]) -> list[Path]:
    return [path for a in first for b in second for path in ((a, b), (b, a))]


def _full(names: Sequence[str]) -> list[Path]:
    return [(a, b) for a in names for b in names if a != b]


def _halves(names: Sequence[str]) -> list[Path]:
    middle = len(names) // 2
    return _between(names[:middle], names[middle:])


def _single(names: Sequence[str]) -> list[Path]:
    return _between(names[:1], names[1:])


def _one_way(names: Sequence[str]) -> list[Path]:
    return [(names[0], other) for other in names[1:]]


def _bridge(names: Sequence[str]) -> list[Path]:
    """Two halves that see each other through one node only."""
    rest = names[1:]
    middle = len(rest) // 2
    return _between(rest[:middle], rest[middle:])


PARTITIONS: Final = {"full": _full, "halves": _halves, "single": _single, "one_way": _one_way, "bridge": _bridge}
"""Kinds of partition: each maps the shuffled names of all nodes to the paths that are cut."""
