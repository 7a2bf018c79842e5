"""The usual holder's answer to mutators: dots counted from a number, stamps from a hybrid clock."""

from typing import Final

from crdtmesh.crdts.clock import HybridClock, Stamp
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, ReplicaTable


class LocalMutation:
    """Hands out the run of dots of one event, and its stamps.

    After an error the holder sets `last_n` back to what it was: dots that nobody has seen are free again.

    Args:
        table: the table of the holder's dots.
        replica: the holder's own replica, as interned there.
        last_n: number of the holder's last dot; 0 if it has issued none.
        clock: the holder's clock.
        now_ms: wall clock, in milliseconds since 1970.
    """

    __slots__ = ("_clock", "last_n", "now_ms", "replica", "table")

    def __init__(self, table: ReplicaTable, replica: int, *, last_n: int, clock: HybridClock, now_ms: int) -> None:
        self.table: Final = table
        self.replica: Final = replica
        self.last_n = last_n
        self._clock = clock
        self.now_ms = now_ms

    def next_dot(self) -> Dot:
        """The next dot.

        Raises:
            ValueError: the replica id has used up its 2**44 - 1 dots; the holder needs a new one.
        """
        n = self.last_n + 1
        if n > N_MAX:
            raise ValueError(f"replica {self.replica} has issued all of its 2**44 - 1 dots; take a new replica id")
        self.last_n = n
        return self.replica << DOT_BITS | n

    def stamp(self, after: Stamp | None) -> Stamp:
        """A stamp greater than all that the clock knows and than `after`."""
        return self._clock.stamp(now_ms=self.now_ms, after=after)
