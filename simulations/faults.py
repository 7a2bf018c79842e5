"""What goes wrong, and when: faults of a plan, spread over the faulty phase, and the heal that ends them.

Packets and disks have chance faults of their own (`network`, `storage`); this module does what happens to nodes,
clocks and cuts. Every fault that happened is counted by its kind. A fault that finds nothing to act on is not counted.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from simulations.network import Network, Path
from simulations.partitions import PARTITIONS, around, halves
from simulations.plan import FaultPlan
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler
from simulations.trace import Trace

# What matters about a crash mostly happens within milliseconds of a write, so half of the crashes wait for one.
CRASHES_AT_WRITE: Final = 0.5
# Within an ordinary sync, or long enough that others read what a slow one has not kept yet.
CRASH_AFTER_WRITE_NS_MAX: Final = (10 * MILLISECOND_NS, SECOND_NS)
CRASHES_OF_EACH: Final = 0.05
# Of the crashes that keep their disk, so many come back with something wrong about it.
DISK_DAMAGES: Final = 0.1
DAMAGES: Final = ("bit_flip", "backup_restored", "directory_copied")
NAMES_MOVED: Final = 0.1
CLOCK_JUMP_MS_MAX: Final = 3_600_000
DRIFT_PPM_MAX: Final = 50_000
STALL_NS_MAX: Final = 3 * SECOND_NS
SLOW_LAG_NS_MAX: Final = 20 * MILLISECOND_NS
FLAPS_MAX: Final = 10
LEAVES: Final = 0.7
STAY_NS_MAX: Final = 20 * SECOND_NS


class Patient(Protocol):
    """The mesh, as faults see it. Methods answer whether there was anything to do."""

    @property
    def names(self) -> Sequence[str]:
        """Of all nodes, up or down."""
        ...

    def crash(self, name: str, *, wipe: bool) -> bool:
        """Ends a node's process without a word; `wipe` loses its disk too."""
        ...

    def restart(self, name: str) -> bool:
        """Starts a node that is down, with whatever its disk holds."""
        ...

    def damage(self, name: str, kind: str) -> bool:
        """Does something to the disk of a node that is down; see `DAMAGES`."""
        ...

    def move(self, name: str) -> bool:
        """Gives a node that is down another address."""
        ...

    def crash_host(self, name: str) -> bool:
        """Ends the actor host of a node."""
        ...

    def pause(self, name: str, duration_ns: int) -> bool:
        """Stops a process for a while, as SIGSTOP does."""
        ...

    def slow_down(self, name: str, lag_ns: int, duration_ns: int) -> bool:
        """Makes every turn of a process' loop take longer for a while."""
        ...

    def fill_disk(self, name: str, duration_ns: int) -> bool:
        """Lets every write of a node fail for a while."""
        ...

    def jump_clock(self, name: str, delta_ms: int) -> bool:
        """Moves a machine's wall clock."""
        ...

    def drift_clock(self, name: str, ppm: int) -> bool:
        """Lets a machine's clocks run fast, or slow if negative."""
        ...

    def freeze_clock(self, name: str) -> bool:
        """Lets a machine's wall clock stand still."""
        ...

    def reset_link(self, rng: random.Random) -> bool:
        """Breaks one link."""
        ...

    def join(self) -> str | None:
        """Starts a node that was never there; its name, or None if there are enough."""
        ...

    def leave(self, rng: random.Random) -> str | None:
        """Has a node that joined leave for good, with or without a word; its name, or None."""
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
            (plan.flappings, self._flap),
            (plan.swizzles, self._swizzle),
            (plan.crashes, self._crash),
            (plan.host_crashes, self._crash_host),
            (plan.pauses, self._pause),
            (plan.stalls, self._stall),
            (plan.slow_spells, self._slow_down),
            (plan.full_disks, self._fill_disk),
            (plan.clock_jumps, self._jump_clock),
            (plan.clock_drifts, self._drift_clock),
            (plan.clock_freezes, self._freeze_clock),
            (plan.link_resets, self._reset_link),
            (plan.joins, self._join),
        ):
            for _ in range(count):
                self._scheduler.at(self._rng.randrange(until_ns), partial(self._unless_healed, action))

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

    # --- cuts

    def _partition(self) -> None:
        kind = self._rng.choice(sorted(PARTITIONS))
        names = self._shuffled()
        paths = PARTITIONS[kind](names)
        if paths:
            self._happened(f"partition_{kind}", ",".join(names))
            self._cut_for(paths, self._rng.randint(SECOND_NS, max(SECOND_NS, self._plan.partition_ns_max)))

    def _flap(self) -> None:
        """One cut that comes and goes."""
        paths = halves(self._shuffled())
        self._happened("partition_flapping", "")
        at_ns = 0
        for _ in range(self._rng.randint(2, FLAPS_MAX)):
            length_ns = self._rng.randint(100 * MILLISECOND_NS, 2 * SECOND_NS)
            self._scheduler.after(at_ns, partial(self._unless_healed, partial(self._cut_for, paths, length_ns)))
            at_ns += length_ns + self._rng.randint(100 * MILLISECOND_NS, 2 * SECOND_NS)

    def _swizzle(self) -> None:
        """Some nodes are cut off one after the other, and come back in another order."""
        names = self._shuffled()
        chosen = names[: self._rng.randint(1, len(names))]
        step_ns = self._rng.randint(100 * MILLISECOND_NS, 2 * SECOND_NS)
        self._happened("partition_swizzle", ",".join(chosen))
        ends = list(range(len(chosen), 2 * len(chosen)))
        self._rng.shuffle(ends)
        for start, (name, end) in enumerate(zip(chosen, ends, strict=True)):
            paths = around(name, names)
            cut = partial(self._cut_for, paths, (end - start) * step_ns)
            self._scheduler.after(start * step_ns, partial(self._unless_healed, cut))

    def _cut_for(self, paths: list[Path], duration_ns: int) -> None:
        cut = list(paths)  # a list of its own: `_cuts` tells them apart
        self._network.cut(cut)
        self._cuts.append(cut)
        self._scheduler.after(duration_ns, partial(self._mend, cut))

    def _mend(self, paths: list[Path]) -> None:
        if not self._is_healed:
            self._trace.note("mend")
            self._cuts = [cut for cut in self._cuts if cut is not paths]
            self._network.mend(paths)

    # --- processes

    def _crash(self) -> None:
        rng = self._rng
        kind = rng.random()
        if kind < self._plan.all_at_once:
            self._happened("crash_all", "")
            for name in self._patient.names:
                self._crash_now(name, wipe=False)
            return
        if kind < self._plan.all_at_once + CRASHES_OF_EACH:
            self._happened("crash_rolling", "")
            at_ns = 0
            for name in self._patient.names:
                self._scheduler.after(at_ns, partial(self._crash_now, name, wipe=False))
                at_ns += rng.randint(SECOND_NS, 5 * SECOND_NS)
            return
        name = rng.choice(self._patient.names)
        wipe = rng.random() < self._plan.disk_losses
        if rng.random() < CRASHES_AT_WRITE:
            self.armed[name] = wipe
        else:
            self._crash_now(name, wipe=wipe)

    def _crash_now(self, name: str, *, wipe: bool) -> None:
        if self._is_healed or not self._patient.crash(name, wipe=wipe):
            return
        self._happened("crash_disk_lost" if wipe else "crash", name)
        rng = self._rng
        if not wipe and rng.random() < DISK_DAMAGES:
            kind = rng.choice(DAMAGES)
            if self._patient.damage(name, kind):
                self._happened(kind, name)
        if rng.random() < NAMES_MOVED and self._patient.move(name):
            self._happened("name_moved", name)
        delay_ns = rng.randint(100 * MILLISECOND_NS, self._plan.down_ns_max)
        self._scheduler.after(delay_ns, partial(self._unless_healed, partial(self._restart, name)))

    def _restart(self, name: str) -> None:
        if self._patient.restart(name):
            self._happened("restart", name)

    def _crash_host(self) -> None:
        name = self._rng.choice(self._patient.names)
        self._if_done("host_crash", name, self._patient.crash_host(name))

    def _pause(self) -> None:
        name = self._rng.choice(self._patient.names)
        duration_ns = self._rng.randint(100 * MILLISECOND_NS, self._plan.pause_ns_max)
        self._if_done("pause", name, self._patient.pause(name, duration_ns))

    def _stall(self) -> None:
        """The loop is held up, as by a callback that computes."""
        name = self._rng.choice(self._patient.names)
        duration_ns = self._rng.randint(50 * MILLISECOND_NS, STALL_NS_MAX)
        self._if_done("loop_stall", name, self._patient.pause(name, duration_ns))

    def _slow_down(self) -> None:
        name = self._rng.choice(self._patient.names)
        lag_ns = self._rng.randint(MILLISECOND_NS, SLOW_LAG_NS_MAX)
        duration_ns = self._rng.randint(SECOND_NS, 20 * SECOND_NS)
        self._if_done("slow_node", name, self._patient.slow_down(name, lag_ns, duration_ns))

    def _fill_disk(self) -> None:
        name = self._rng.choice(self._patient.names)
        duration_ns = self._rng.randint(SECOND_NS, 10 * SECOND_NS)
        self._if_done("disk_full", name, self._patient.fill_disk(name, duration_ns))

    # --- clocks

    def _jump_clock(self) -> None:
        name = self._rng.choice(self._patient.names)
        delta_ms = self._rng.randint(-CLOCK_JUMP_MS_MAX, CLOCK_JUMP_MS_MAX)
        self._if_done("clock_jump", name, self._patient.jump_clock(name, delta_ms))

    def _drift_clock(self) -> None:
        name = self._rng.choice(self._patient.names)
        ppm = self._rng.randint(-DRIFT_PPM_MAX, DRIFT_PPM_MAX)
        self._if_done("clock_drift", name, self._patient.drift_clock(name, ppm))

    def _freeze_clock(self) -> None:
        name = self._rng.choice(self._patient.names)
        self._if_done("clock_freeze", name, self._patient.freeze_clock(name))

    # --- the rest

    def _reset_link(self) -> None:
        self._if_done("link_reset", "", self._patient.reset_link(self._rng))

    def _join(self) -> None:
        """A new node comes; most go again, and some of the names come back."""
        name = self._patient.join()
        self._if_done("node_joined", name or "", name is not None)
        for action in (self._leave, self._join):
            if self._rng.random() > LEAVES:
                break
            delay_ns = self._rng.randint(2 * SECOND_NS, STAY_NS_MAX)
            self._scheduler.after(delay_ns, partial(self._unless_healed, action))

    def _leave(self) -> None:
        name = self._patient.leave(self._rng)
        self._if_done("node_left", name or "", name is not None)

    def _shuffled(self) -> list[str]:
        names = list(self._patient.names)
        self._rng.shuffle(names)
        return names

    def _unless_healed(self, action: Callable[[], object]) -> None:
        if not self._is_healed:
            action()

    def _if_done(self, kind: str, detail: str, is_done: bool) -> None:
        if is_done:
            self._happened(kind, detail)

    def _happened(self, kind: str, detail: str) -> None:
        self._counts[kind] += 1
        self._trace.note(f"fault.{kind}", detail)
