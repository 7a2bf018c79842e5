"""What is too young to be missed: events that may still be on their way when two replicas compare what they applied.

Under load there always are some. Repairing them would send whole entries that a push brings a moment later anyway: a
set that is added to all the time would travel whole with each round. So a round leaves out what this replica applied
less than half an interval ago. Only what was pushed while a link was up can be on its way, so a peer whose link is
young is sent everything it lacks at once. A push that was lost is older by the next round, and repaired then.
"""

from collections.abc import Iterable
from typing import NamedTuple

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.shard import Shard

ShardName = tuple[str, int]


class _Mark(NamedTuple):
    """What a shard had applied at a time, and its revision then."""

    time_ns: int
    revision: int
    applied: CausalContext


class Settling:
    """E of each shard a little while ago, and the age of each link.

    Args:
        options: the interval of repair.
    """

    __slots__ = ("_heard", "_marks", "_up_ns", "_young_ns")

    def __init__(self, options: ReplicationOptions) -> None:
        self._young_ns = options.repair_interval_ns // 2
        # The two latest marks of each shard, the older one first.
        self._marks: dict[ShardName, tuple[_Mark | None, _Mark]] = {}
        self._up_ns: dict[str, int] = {}
        # What each peer had applied when it was heard last.
        self._heard: dict[str, dict[ShardName, CausalContext]] = {}

    def linked(self, peer: str, *, now_ns: int) -> None:
        """A link to a peer is up."""
        self._up_ns[peer] = now_ns
        self._heard.pop(peer, None)

    def forget(self, peer: str) -> None:
        """The link to a peer is gone."""
        self._up_ns.pop(peer, None)
        self._heard.pop(peer, None)

    def mark(self, shards: Iterable[Shard], *, now_ns: int) -> None:
        """Notes what is applied now, once in each round. Complexity: O(E) for each shard that changed."""
        for shard in shards:
            name = shard.system, shard.number
            marks = self._marks.get(name)
            latest = marks[1] if marks is not None else None
            if latest is not None and latest.revision == shard.revision:
                applied = latest.applied
            else:
                applied = shard.applied.copy()
            self._marks[name] = latest, _Mark(now_ns, shard.revision, applied)

    def settled(self, peer: str, shard: Shard, *, now_ns: int) -> CausalContext | None:
        """Of what this shard has applied, what a peer can be missing; None for all of it."""
        up_ns = self._up_ns.get(peer)
        marks = self._marks.get((shard.system, shard.number))
        if up_ns is None or marks is None or now_ns - up_ns < self._young_ns:
            return None
        for mark in reversed(marks):
            if mark is not None and now_ns - mark.time_ns >= self._young_ns and mark.time_ns >= up_ns:
                return mark.applied
        return None

    def is_missed(self, peer: str, shard: Shard, theirs: CausalContext) -> bool:
        """Whether this shard lacks events that a peer already had when it was heard before, or that is not known."""
        heard = self._heard.setdefault(peer, {})
        name = shard.system, shard.number
        before = heard.get(name)
        heard[name] = theirs
        return not (theirs if before is None else before).issubset(shard.applied)
