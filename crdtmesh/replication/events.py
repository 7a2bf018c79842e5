"""Events: what one update did, as deltas under a run of dots.

Every primitive mutation takes its own dot; the dots of one update are a contiguous run of one replica id. The run is
logged, sent, counted as applied and repaired as one. It touches one key, or several of one shard.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

from crdtmesh.crdts.base import DataType, Delta
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot

# Stores have a different shape in each data type; replication only carries them between methods of that type.
AnyType = DataType[Any]
AnyDelta = Delta[Any]


class EntryName(NamedTuple):
    """Identity of an entry within its shard."""

    key: str
    type_name: str


class KeyDelta(NamedTuple):
    """What an event did to one key."""

    name: EntryName
    data_type: AnyType
    delta: AnyDelta


class Event(NamedTuple):
    """Dots of one replica, `first` to `last`, and their deltas. All or nothing.

    An event of several keys has all dots of the run. One of a single key has those that its context holds: it may be
    several updates of that key joined for the way (`push.coalesce`), and dots between them belong to other keys.
    """

    first: Dot
    last: Dot
    parts: tuple[KeyDelta, ...]

    @property
    def dots(self) -> CausalContext:
        """The dots that count as applied with it."""
        spoken = self.parts[0].delta.context
        run = CausalContext.of_bounds(spoken.table, [self.first, self.last + 1])
        return run if len(self.parts) > 1 else run.intersection(spoken)


class EntryState(NamedTuple):
    """All that a sender knows of one entry beyond a common vector; legal on its own.

    Attributes:
        name: which entry.
        data_type: its type.
        store: the live part, as far as it lies outside the vector.
        context: K_k, the dots that belong to this entry and lie outside the vector; or more of its dots.
        unapplied: those of K_k that the sender knows as superseded, without having applied their events.
    """

    name: EntryName
    data_type: AnyType
    store: Any
    context: CausalContext
    unapplied: CausalContext


def covers(context: CausalContext, first: Dot, last: Dot) -> bool:
    """Whether a context holds all dots `first..last` of one replica. Complexity: O(log intervals)."""
    bounds = context.bounds
    at = bisect_right(bounds, first)
    return at & 1 == 1 and bounds[at] > last
