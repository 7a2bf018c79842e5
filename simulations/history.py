"""What clients did and what they were told: the only thing, beside the final states, that checkers look at."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.durations import NEVER_MS
from crdtmesh.replication.outputs import EntryKey, EventRun
from crdtmesh.sdk.watch import WatchEvent
from gossip.outputs import MemberChange
from simulations.scheduler import MILLISECOND_NS, SECOND_NS

Applied = Mapping[tuple[int, bytes], tuple[tuple[int, int], ...]]
"""Events as closed intervals of numbers, by shard and replica id."""

WRITTEN_NS: Final = 10 * SECOND_NS
"""A slow transaction takes 2 s; one that failed is followed by a restart within 5 s. After so long, beside the interval
of its mode, an update has to be on the disk of a node that has it."""


class Outcome(enum.StrEnum):
    """What a client knows about its call."""

    OPEN = "open"
    OK = "ok"
    FAILED = "failed"  # nothing was applied
    UNKNOWN = "unknown"


class Route(enum.StrEnum):
    """How a call reaches its entry."""

    STATE = "state"  # `State.Get` and `State.Update` of the node
    ACTOR = "actor"  # an action of the actor that has this state, on a host of this node or of another
    EDGE = "edge"  # the service `State` of the node's edge, with all that a request of it may ask


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of one client.

    Attributes:
        number: position in the history.
        client: who called.
        node: which node was called.
        key: the entry; of a list of entries, the first part of their keys.
        others: further entries, which the update changes in the same event, by the same operations.
        operations: what was asked for, and from `ran_on` on what was done: a handler that finds nothing to remove
            leaves that out. None for a read.
        is_update: whether it asked for a change.
        route: how it gets there.
        level: how many voters the update, or the read, asks for.
        needed: how many that were, by the voter list of the node that answered.
        voters: all that were on that list from the call to its answer.
        operation_id: under which it is not done again; empty for none.
        attempts: how often it was sent, with an operation id.
        is_list: a read of all entries whose keys begin as `key` does.
        after: number of the call whose token a read brings; None for none.
        brought: that token.
        token: of the answer.
        ttl_ms: how long the entry is to live from the update on; None where that is not said.
        timeout_ns: when the client stops waiting, counted from the call.
        invoked_ns: when.
        completed_ns: when the client knew the outcome.
        outcome: what the client knows.
        reason: the node's words for a failure.
        ran_on: the node where the update was applied; empty before.
        order: greater than that of all updates that were applied before, on whatever node.
        event: the dots that an update took; None for a no-op, a read, or a call that never reached a node.
        visible: the events that the update could see when it was computed.
        events: all that it took, one after the other; more than one only with an operation id.
        times_applied: how often it took an event.
        wall_ms: the node's wall clock when a change with a ttl was made, and when a read was.
        latest_ms: the latest that any wall clock of the mesh had shown when a read was made.
        value: what a read was answered, and an update at the edge; of a list, the values by key.
        at_risk_ns: when a crash last left fewer nodes that have it, of an update that did not wait for a disk.
        may_be_lost: such a crash left no node that has it, before a disk was promised to have it.
    """

    number: int
    client: int
    node: str
    key: EntryKey
    others: tuple[EntryKey, ...] = ()
    operations: tuple[Operation, ...]
    is_update: bool
    route: Route = Route.STATE
    level: str = "local"
    needed: int = 1
    voters: frozenset[str] = frozenset()
    operation_id: str = ""
    attempts: int = 1
    is_list: bool = False
    after: int | None = None
    brought: str = ""
    token: str = ""
    ttl_ms: int | None = None
    timeout_ns: int = 0
    invoked_ns: int
    completed_ns: int = 0
    outcome: Outcome = Outcome.OPEN
    reason: str = ""
    ran_on: str = ""
    order: int = 0
    event: EventRun | None = None
    visible: Applied = field(default_factory=dict)
    events: list[EventRun] = field(default_factory=list)
    times_applied: int = 0
    wall_ms: int = 0
    latest_ms: int = 0
    value: PlainValue = None
    at_risk_ns: int = 0
    may_be_lost: bool = False

    @property
    def keys(self) -> tuple[EntryKey, ...]:
        """All entries that it is about."""
        return (self.key, *self.others)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a node concluded about a member.

    Attributes:
        node: who.
        member: about whom.
        change: what.
        incarnation: of the member, from then on.
        before: its incarnation until then; None for one that was not known.
    """

    node: str
    member: str
    change: MemberChange
    incarnation: int
    before: int | None


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """A probe that a node took for answered, how long its round took by that node's clock, and when it was over."""

    node: str
    member: str
    took_ns: int
    ended_ns: int


@dataclass(slots=True)
class WatchRecord:
    """What one watch was shown, by however many connections.

    Attributes:
        reader: who watches.
        prefix: of the keys that are watched.
        type_name: of the entries that are watched; empty for all.
        steps: (node, event) in order.
        is_over: a node has ended it, or would not go on with it; nothing is said of what came then.
    """

    reader: int
    prefix: str
    type_name: str
    steps: list[tuple[str, WatchEvent]] = field(default_factory=list)
    is_over: bool = False


@dataclass(slots=True)
class History:
    """Everything recorded in one run.

    Attributes:
        calls: in order of their start.
        wipes: (node, time) of each loss of a disk: what was acknowledged there before is promised no longer.
        held_up: (node, from, to) of each time that a process was stopped, slowed down, or waited for its disk.
        identities: how many replica ids were made.
        updates: how often an update was applied.
        conclusions: of all nodes about members, in their order.
        answers: to probes, as far as nodes took them for answered.
        runs: from when to when the processes of each node ran; None as an end for those that still do.
        ended_ns: when the final states were taken.
        clocks_erred: a wall clock was wrong for a while.
        clocks_jumped: a wall clock went back, or far ahead, at once.
        watches: in order of their start.
    """

    calls: list[Call] = field(default_factory=list)
    wipes: list[tuple[str, int]] = field(default_factory=list)
    held_up: list[tuple[str, int, int]] = field(default_factory=list)
    identities: int = 0
    updates: int = 0
    ended_ns: int = 0
    clocks_erred: bool = False
    clocks_jumped: bool = False
    watches: list[WatchRecord] = field(default_factory=list)
    conclusions: list[Conclusion] = field(default_factory=list)
    answers: list[ProbeAnswer] = field(default_factory=list)
    runs: dict[str, list[tuple[int, int | None]]] = field(default_factory=dict)

    def started(self, node: str, now_ns: int) -> None:
        """A process of a node begins to run."""
        self.runs.setdefault(node, []).append((now_ns, None))

    def ended(self, node: str, now_ns: int) -> None:
        """The process of a node is gone."""
        self.runs[node][-1] = self.runs[node][-1][0], now_ns

    def promised(self, call: Call) -> bool:
        """Whether the mesh owes this update to its client.

        The rule. The client was told that it is done, and since it asked either

        - the node where the update was applied has not lost its disk (every level has it there, synced, before it
          answers), or
        - fewer nodes have lost their disks than the level had it on: one of those that confirmed it is left.

        A disk counts as lost when it is replaced, found damaged, or put back to an earlier copy, and when its node left
        for good. Crashes, cuts, clocks and slow disks lose nothing, whatever the level.

        An update that does not wait for the disk (modes `interval` and `none`) may be lost when all nodes that have it
        crash before one of them has written it; see `Call.may_be_lost`.
        """
        if call.outcome is not Outcome.OK or call.may_be_lost:
            return False
        lost = {node for node, lost_ns in self.wipes if call.invoked_ns <= lost_ns}
        return (call.ran_on or call.node) not in lost or len(lost) < call.needed

    def may_repeat(self, call: Call) -> bool:
        """Whether a call may have been done twice although it had an operation id.

        Its node lost its disk in between, with what it knew of the id, or its clock jumped, and the id was over.
        """
        return self.clocks_jumped or self.wipes_between(call.node, call.invoked_ns, self.ended_ns)

    def crashed(self, holders: Sequence[Applied], durability: Callable[[EntryKey], int], *, now_ns: int) -> None:
        """Notes what a crash may have cost: updates that no running node has, and no disk yet had to have.

        Args:
            holders: what is applied at each node that still runs.
            durability: the interval of an entry's mode.
            now_ns: when.
        """
        for call in self.calls:
            if call.event is None or call.may_be_lost or not (interval_ms := durability(call.key)):
                continue
            since_ns = max(call.at_risk_ns, call.completed_ns or now_ns)
            written_ns = since_ns + interval_ms * MILLISECOND_NS + WRITTEN_NS + self.all_held_up_ns(since_ns, now_ns)
            if interval_ms == NEVER_MS or now_ns <= written_ns:
                call.at_risk_ns = now_ns
                call.may_be_lost = not any(holds(applied, call.event) for applied in holders)

    def all_held_up_ns(self, start_ns: int, end_ns: int) -> int:
        """How long nodes were held up between two instants, overlaps counted as often as there are any."""
        return sum(max(0, min(end_ns, last) - max(start_ns, first)) for _, first, last in self.held_up)

    def held_up_ns(self, node: str, start_ns: int, end_ns: int) -> int:
        """How long a node was held up between two instants, overlaps counted twice."""
        return sum(
            max(0, min(end_ns, last) - max(start_ns, first)) for name, first, last in self.held_up if name == node
        )

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
        queued_bytes: what waits on its links.
    """

    node: str
    digest: bytes
    values: Mapping[EntryKey, PlainValue]
    applied: Applied
    queued_bytes: int = 0


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


def including(applied: Applied, event: EventRun) -> Applied:
    """What was applied, and one event more."""
    owner = event.shard, event.replica_id
    runs = applied.get(owner, ())
    merged: list[tuple[int, int]] = []
    for first, last in sorted([*runs, (event.first, event.last)]):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return {**applied, owner: tuple(merged)}
