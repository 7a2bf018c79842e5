"""The two clocks of one machine: a monotonic one that may drift, and a wall clock that may also jump or stand still.

They belong to the machine and outlive its processes. All arithmetic is on integers, so that no platform rounds
differently.
"""

from typing import Final

from simulations.scheduler import MILLISECOND_NS, Scheduler

WALL_BASE_MS: Final = 1_750_000_000_000
_MILLION: Final = 1_000_000


class MachineClock:
    """What one machine takes for the time."""

    __slots__ = ("_drift_ppm", "_frozen_ms", "_offset_ms", "_own_ns", "_scheduler", "_since_ns")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._since_ns = scheduler.now_ns
        self._own_ns = scheduler.now_ns
        self._drift_ppm = 0
        self._offset_ms = 0
        self._frozen_ms: int | None = None

    def monotonic_ns(self) -> int:
        """Never goes back."""
        elapsed_ns = self._scheduler.now_ns - self._since_ns
        if self._drift_ppm:
            elapsed_ns += elapsed_ns * self._drift_ppm // _MILLION
        return self._own_ns + elapsed_ns

    def wall_ms(self) -> int:
        """Milliseconds since 1970, as this machine believes."""
        if self._frozen_ms is not None:
            return self._frozen_ms
        return WALL_BASE_MS + self._offset_ms + self.monotonic_ns() // MILLISECOND_NS

    def scheduled_ns(self, own_ns: int) -> int:
        """When, in the run's time, the monotonic clock shows `own_ns` at the present rate; never too early."""
        ahead_ns = own_ns - self._own_ns
        if self._drift_ppm:
            ahead_ns = -(-ahead_ns * _MILLION // (_MILLION + self._drift_ppm))
        return self._since_ns + ahead_ns

    def drift(self, ppm: int) -> None:
        """From now on runs this much faster, or slower if negative."""
        self._own_ns = self.monotonic_ns()
        self._since_ns = self._scheduler.now_ns
        self._drift_ppm = ppm

    def jump(self, delta_ms: int) -> None:
        """Moves the wall clock."""
        self._offset_ms += delta_ms

    def freeze(self) -> None:
        """The wall clock stands still from now on."""
        self._frozen_ms = self.wall_ms()

    def set_right(self) -> None:
        """Ends drift and freeze, and takes jumps back, as a time service does."""
        self.drift(0)
        self._offset_ms = 0
        self._frozen_ms = None
