"""What of E has been here for so long that it should be everywhere: only that is worth a repair.

An update reaches all peers at about the same time, by a push to each. A round of anti-entropy that meets one of them in
between finds a difference that is gone a moment later. So a replica brings a peer only what it has had itself for a
*grace*, and asks for what a peer has only when it still lacks that a grace later. What was pushed is then there, unless
the push was lost.

The grace is a round trip as it may take, measured from the question of a round to its answer, commits on both sides
included: by the mean and the deviation, as TCP estimates its timeout. It is never longer than the shortest pause
between two rounds. So a lost push is repaired by the second round after it: what is new to the first has
settled by then.

Source: RFC 6298 (the estimate).
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.shard import Shard

# Below a twentieth of the interval between rounds a shorter grace would not have anything repaired sooner.
_FLOOR_SHARE: Final = 20

# Samples for each grace: what settles, settles at most half a grace late.
_SAMPLES: Final = 2


class Grace:
    """How long a push may be on its way after another peer has got it."""

    __slots__ = ("_asked", "_max_ns", "_means", "_min_ns", "ns")

    def __init__(self, options: ReplicationOptions) -> None:
        self._max_ns = options.repair_interval_ns - options.repair_jitter_ns
        self._min_ns = min(self._max_ns, options.repair_interval_ns // _FLOOR_SHARE)
        # Mean and mean deviation of the round trips with each linked peer.
        self._means: dict[str, tuple[int, int]] = {}
        self._asked: dict[str, int] = {}
        self.ns = self._max_ns

    def asked(self, peer: str, now_ns: int) -> None:
        """A question left for a peer."""
        self._asked[peer] = now_ns

    def answered(self, peer: str, now_ns: int) -> None:
        """A peer has answered; a second answer to one question is no measurement."""
        asked_ns = self._asked.pop(peer, None)
        if asked_ns is None:
            return
        trip = now_ns - asked_ns
        known = self._means.get(peer)
        if known is None:
            self._means[peer] = trip, trip // 2
        else:
            mean, deviation = known
            self._means[peer] = mean + (trip - mean) // 8, deviation + (abs(trip - mean) - deviation) // 4
        self._settle()

    def forget(self, peer: str) -> None:
        """The link to a peer is gone."""
        self._asked.pop(peer, None)
        if self._means.pop(peer, None) is not None:
            self._settle()

    def _settle(self) -> None:
        longest = max((mean + 4 * deviation for mean, deviation in self._means.values()), default=self._max_ns)
        self.ns = min(self._max_ns, max(self._min_ns, longest))


class _Sample(NamedTuple):
    """E of a shard, as it was at a time."""

    time_ns: int
    revision: int
    applied: CausalContext


class Settling:
    """What each shard had applied a grace ago. Holds at most four copies of E for each shard that changes."""

    __slots__ = ("_grace", "_next_ns", "_samples")

    def __init__(self, grace: Grace) -> None:
        self._grace = grace
        self._samples: dict[tuple[str, int], deque[_Sample]] = {}
        self._next_ns = 0

    def look(self, shards: Iterable[Shard], now_ns: int) -> None:
        """Takes note of what is applied, if it is time to. Complexity: O(shards), and O(E) for those that changed."""
        if now_ns < self._next_ns:
            return
        grace_ns = self._grace.ns
        self._next_ns = now_ns + grace_ns // _SAMPLES
        for shard in shards:
            samples = self._samples.setdefault((shard.system, shard.number), deque())
            if not samples or samples[-1].revision != shard.revision:
                samples.append(_Sample(now_ns, shard.revision, shard.applied.copy()))
            while len(samples) > 1 and samples[1].time_ns <= now_ns - grace_ns:
                samples.popleft()

    def settled(self, shard: Shard, now_ns: int) -> CausalContext:
        """What a shard has applied for at least a grace; nothing while it was not looked at for so long."""
        until_ns = now_ns - self._grace.ns
        for sample in reversed(self._samples.get((shard.system, shard.number), ())):
            if sample.time_ns <= until_ns:
                return sample.applied
        return CausalContext(shard.table)
