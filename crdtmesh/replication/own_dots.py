"""The dots of a shard's own replica id: what mutators may ask of the holder."""

from typing import Final

from crdtmesh.crdts.clock import HybridClock, Stamp
from crdtmesh.crdts.dots import DOT_BITS, Dot, ReplicaTable


class OwnDots:
    """What mutators may ask of the shard's own replica id. Dots are taken for good only by `apply_event`."""

    __slots__ = ("_clock", "next", "replica", "table", "wall_ms")

    def __init__(self, table: ReplicaTable, clock: HybridClock) -> None:
        self.table: Final = table
        self._clock = clock
        self.wall_ms = 0
        self.replica = table.intern(clock.replica_id)
        self.next: Dot = self.replica << DOT_BITS | 1

    def renew(self, clock: HybridClock) -> None:
        """Continues under the replica id of another clock, which was never used before."""
        self._clock = clock
        self.replica = self.table.intern(clock.replica_id)
        self.next = self.replica << DOT_BITS | 1

    def next_dot(self) -> Dot:
        """The next dot of the own replica id."""
        dot = self.next
        self.next = dot + 1
        return dot

    def stamp(self, after: Stamp | None) -> Stamp:
        """A stamp of the node's clock, greater than all before and than `after`."""
        return self._clock.stamp(now_ms=self.wall_ms, after=after)
