"""The hybrid logical clock, whose stamps order concurrent writes of last-writer-wins registers.

A stamp's time is `l << 16 | c`: l is wall-clock milliseconds, c a counter that keeps what happens within one
millisecond, or while the wall clock stands behind, in order. Adding one to the packed time carries from c into l by
itself. Physical time is an argument everywhere. The order extends happened-before; it does not detect concurrency,
dots do that.

Source: Kulkarni et al. 2014, "Logical Physical Clocks".
"""

from typing import Final, NamedTuple

LOGICAL_BITS: Final = 16
TIME_MAX: Final = (1 << 63) - 1
"""Greatest packed time: 47 bits of milliseconds reach the year 6429. A time at the top stays there instead of
overflowing; a later write still replaces what it observed, since its context supersedes the old dot whatever the
stamps say."""

DRIFT_MS_MAX: Final = 60_000
"""Default for how far a remote stamp may be ahead of the wall clock and still advance this clock. Too small: skewed but
honest nodes make everyone's counter run. Too large: one wrong clock drags all stamps into the future."""

BOUND_AHEAD_MS: Final = 2_000
BOUND_RENEWAL_MS: Final = 1_000
"""A persisted bound promises 2 s; it is renewed when less than 1 s of it is left, so about one write a second at
most."""


class Stamp(NamedTuple):
    """A position in the total order of writes, compared as a tuple.

    Two stamps are equal only after an identity collision; then the order falls to the canonical bytes of the values,
    which registers keep behind the stamp.

    Attributes:
        time: packed time, `l << 16 | c`.
        replica_id: the 16 bytes of the writer.
    """

    time: int
    replica_id: bytes

    @property
    def physical_ms(self) -> int:
        """The wall-clock part, in milliseconds."""
        return self.time >> LOGICAL_BITS

    @property
    def logical(self) -> int:
        """The counter part."""
        return self.time & ((1 << LOGICAL_BITS) - 1)


class HybridClock:
    """The clock of one replica id. Every stamp is greater than all stamps it issued or observed before.

    Args:
        replica_id: 16 bytes, the last component of each stamp.
        drift_ms_max: see `DRIFT_MS_MAX`.
        bound_ms: the last bound that an earlier run of this node persisted; stamps continue above it, even if the
            wall clock was set back meanwhile. 0 for a new node.
    """

    __slots__ = ("_bound_ms", "_drift_ms_max", "_time", "replica_id")

    def __init__(self, replica_id: bytes, *, drift_ms_max: int = DRIFT_MS_MAX, bound_ms: int = 0) -> None:
        if drift_ms_max < 0 or bound_ms < 0:
            raise ValueError(f"drift_ms_max and bound_ms must be 0 or more, got {drift_ms_max} and {bound_ms}")
        self.replica_id: Final = replica_id
        self._drift_ms_max = drift_ms_max
        self._bound_ms = bound_ms
        self._time = min(bound_ms << LOGICAL_BITS, TIME_MAX)

    @property
    def time(self) -> int:
        """The packed time of the last stamp issued or observed."""
        return self._time

    def stamp(self, *, now_ms: int, after: Stamp | None = None) -> Stamp:
        """A new stamp for a local write.

        Args:
            now_ms: wall clock, in milliseconds since 1970.
            after: the stamp that is being overwritten. If it lies beyond the drift guard, only the answer exceeds it
                and this clock stays where it was: a poisoned key remains writable, and the poison stays with that
                key.
        """
        time = self._time = min(max(self._time + 1, now_ms << LOGICAL_BITS), TIME_MAX)
        if after is not None and after.time >= time:
            time = min(after.time + 1, TIME_MAX)
            if not self._is_ahead(time, now_ms):
                self._time = time
        return Stamp(time, self.replica_id)

    def observe(self, time: int, *, now_ms: int) -> bool:
        """Take note of a remote stamp's time.

        Args:
            time: packed time of the remote stamp.
            now_ms: wall clock, in milliseconds since 1970.

        Returns:
            False if the stamp is ahead of the wall clock by more than the drift guard: then the clock did not
            advance, and the caller should count it. The write itself must be joined all the same, or replicas would
            diverge.
        """
        if self._is_ahead(time, now_ms):
            return False
        self._time = max(self._time, time, min(now_ms << LOGICAL_BITS, TIME_MAX))
        return True

    def renew_bound(self, *, now_ms: int) -> int | None:
        """The bound to persist before, or together with, the next write; None while the persisted one still has room.

        Returns:
            Milliseconds since 1970: no stamp of this run has l above it, once it is on disk with the write. Hand it
            to the next run as `bound_ms`.
        """
        physical_ms = max(self._time >> LOGICAL_BITS, now_ms)
        if physical_ms + BOUND_RENEWAL_MS < self._bound_ms:
            return None
        self._bound_ms = physical_ms + BOUND_AHEAD_MS
        return self._bound_ms

    def _is_ahead(self, time: int, now_ms: int) -> bool:
        return time >> LOGICAL_BITS > now_ms + self._drift_ms_max
