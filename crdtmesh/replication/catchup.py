"""When a replica has what the others had: the moment from which a node may count as a voter.

For each shard the first vector that a peer shows in this run is the mark to reach: under load a peer is always a few
events ahead, so waiting for equality could last for ever. A system has caught up when each of its shards has.
"""

from collections.abc import Iterable

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication.shard import Shard


class CatchUp:
    """The shards that still are behind what some peer had.

    Args:
        shards: how many each system has.
    """

    __slots__ = ("_behind", "_marks", "_shards")

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._behind: dict[str, set[int]] = {}
        self._marks: dict[tuple[str, int], CausalContext] = {}

    def reaches(self, shard: Shard, theirs: CausalContext) -> bool:
        """Whether a shard holds all that the first peer had which was compared with it."""
        name = shard.system, shard.number
        if shard.number not in self._behind.get(shard.system, {shard.number}):
            return True
        return self._marks.setdefault(name, theirs).issubset(shard.applied)

    def agreed(self, system: str, numbers: Iterable[int]) -> bool:
        """Takes note of shards that are not behind; whether their system has caught up with that."""
        behind = self._behind.setdefault(system, set(range(self._shards)))
        if not behind:
            return False
        behind.difference_update(numbers)
        for number in numbers:
            self._marks.pop((system, number), None)
        return not behind
