"""What clients did and what they were told: the only thing, beside the final states, that checkers look at."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey, EventRun

Applied = Mapping[tuple[int, bytes], tuple[tuple[int, int], ...]]
"""Events as closed intervals of numbers, by shard and replica id."""


class Outcome(enum.StrEnum):
    """What a client knows about its call."""

    OPEN = "open"
    OK = "ok"
    FAILED = "failed"  # nothing was applied
    UNKNOWN = "unknown"


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of one client.

    Attributes:
        number: position in the history.
        client: who called.
        node: which node was called.
        key: the entry.
        operations: what was asked for; none for a read.
        invoked_ns: when.
        completed_ns: when the client knew the outcome.
        outcome: what the client knows.
        event: the dots that an update took; None for a no-op, a read, or a call that never reached a node.
        visible: what the node had applied when it computed the update.
        value: what a read was answered.
    """

    number: int
    client: int
    node: str
    key: EntryKey
    operations: tuple[Operation, ...]
    invoked_ns: int
    completed_ns: int = 0
    outcome: Outcome = Outcome.OPEN
    event: EventRun | None = None
    visible: Applied = field(default_factory=dict)
    value: PlainValue = None

    @property
    def is_update(self) -> bool:
        """Whether it asked for a change."""
        return bool(self.operations)


@dataclass(slots=True)
class History:
    """Everything recorded in one run.

    Attributes:
        calls: in order of their start.
        wipes: (node, time) of each loss of a disk: what was acknowledged there before is promised no longer.
    """

    calls: list[Call] = field(default_factory=list)
    wipes: list[tuple[str, int]] = field(default_factory=list)

    def promised(self, call: Call) -> bool:
        """Whether the mesh owes this update to its client.

        The rule, for level `local`: the client was told that it is done, by a node whose disk was not lost afterwards.
        """
        if call.outcome is not Outcome.OK:
            return False
        return not any(node == call.node and call.invoked_ns <= lost_ns for node, lost_ns in self.wipes)

    def wipes_between(self, node: str, start_ns: int, end_ns: int) -> bool:
        """Whether a node lost its disk between two instants."""
        return any(name == node and start_ns <= lost_ns <= end_ns for name, lost_ns in self.wipes)


@dataclass(frozen=True, slots=True)
class FinalState:
    """What one node holds at the end.

    Attributes:
        node: its name.
        digest: the replica's own digest of the system.
        values: all entries.
        applied: events.
    """

    node: str
    digest: bytes
    values: Mapping[EntryKey, PlainValue]
    applied: Applied


def holds(applied: Applied, event: EventRun) -> bool:
    """Whether all dots of an event are applied."""
    return any(
        first <= event.first and event.last <= last for first, last in applied.get((event.shard, event.replica_id), ())
    )


def touches(applied: Applied, event: EventRun) -> bool:
    """Whether any dot of an event is applied."""
    return any(
        first <= event.last and event.first <= last for first, last in applied.get((event.shard, event.replica_id), ())
    )
