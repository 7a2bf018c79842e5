"""Histories: what happened before what, kept beside a world, for comparison with a specification.

A specification is a function from a history to the expected value that knows nothing of dots, contexts or stores. A
history is a set of events with what each had seen, closed under happened-before. Deltas arrive in any order, lost and
repeated; a replica is compared when what it has applied is causally closed, and operates only then, so that "seen" is
well defined.

Source of the idea: AntidoteDB's property tests; histories as in Burckhardt et al., POPL 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from crdtmesh.crdts import values
from crdtmesh.crdts.base import DataType, Delta
from crdtmesh.crdts.operations import Operation
from crdtmesh.testing.worlds import REPLICA_IDS, Step, World

__all__ = ["Event", "History", "Recorder"]


@dataclass(frozen=True, eq=False)
class Event:
    """One operation with effect.

    Attributes:
        at: which replica did it.
        operation: what it did.
        now_ms: when, by its wall clock.
        seen: the events it had seen, transitively.
        first_n: the number of its first primitive mutation among those of its replica; the two name it for good.
    """

    at: int
    operation: Operation
    now_ms: int
    seen: frozenset[Event]
    first_n: int = 1

    @property
    def element(self) -> bytes:
        """The canonical bytes of the operation's first argument."""
        return values.encode(self.operation.arguments[0])


History: TypeAlias = frozenset[Event]


class Recorder:
    """A world that remembers which events each replica has applied.

    Attributes:
        world: the world.
        events: every event, with its delta.
        applied: the events that each replica has applied.
    """

    def __init__(self, data_type: DataType[Any]) -> None:
        self.world = World(data_type)
        self.events: list[tuple[Event, Delta[Any]]] = []
        self.applied: list[set[Event]] = [set() for _ in self.world.replicas]

    def is_closed(self, at: int) -> bool:
        """Whether a replica has applied the whole past of what it has applied."""
        return all(event.seen <= self.applied[at] for event in self.applied[at])

    def deliver(self, at: int, index: int) -> None:
        """A replica takes in the delta of an event, perhaps again."""
        event, delta = self.events[index]
        self.world.replicas[at].join(delta)
        self.applied[at].add(event)

    def close(self, at: int) -> None:
        """Deliver what the replica lacks of the past of what it has, newest first."""
        for index in reversed(range(len(self.events))):
            event = self.events[index][0]
            if event not in self.applied[at] and any(event in other.seen for other in self.applied[at]):
                self.deliver(at, index)

    def take(self, step: Step, *, isolated: int | None = None) -> None:
        """Carry out a step.

        Args:
            step: an operation, or the arrival of some earlier delta.
            isolated: a replica that a partition cuts off: nothing passes between it and the others.
        """
        if step.operation is None:
            if self.events:
                index = step.source % len(self.events)
                if isolated is None or (step.at == isolated) == (self.events[index][0].at == isolated):
                    self.deliver(step.at, index)
            return
        self.close(step.at)
        replica = self.world.replicas[step.at]
        last_n = replica.context.greatest(replica.table.intern(REPLICA_IDS[step.at]))
        delta = self.world.apply(step)
        if delta is not None:
            event = Event(step.at, step.operation, step.now_ms, frozenset(self.applied[step.at]), last_n + 1)
            self.events.append((event, delta))
            self.applied[step.at].add(event)
