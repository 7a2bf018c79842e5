"""Who joined, leaves, left or failed, as the Serf layer sees it.

SWIM says that a member is gone; whether it *left* depends on a leave intent that arrived first. Intents carry the
time of the member clock: a later one wins, and one for a member that is not known yet waits for it.
"""

import enum
from dataclasses import dataclass

from gossip.identity import NodeName
from gossip.serf.clock import LamportClock
from gossip.serf.messages import Intent

INTENTS_WAITING_MAX = 1_024
"""Intents for members that are not known yet: the news of a member takes a second, and hardly a thousand join in it."""

INTENT_LIFE_NS = 300 * 1_000_000_000
"""How long an intent waits for its member; the value of the other implementation."""


class Status(enum.IntEnum):
    """What a member does; the numbers are the wire's."""

    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4


@dataclass(slots=True)
class _Standing:
    status: Status
    time: int


class Standings:
    """The status of every member.

    Args:
        name: this node.
        clock: the member clock.
        members_max: statuses kept; those gone longest make room.
    """

    def __init__(self, name: NodeName, clock: LamportClock, *, members_max: int) -> None:
        self._name = name
        self._clock = clock
        self._members_max = members_max
        self._standings: dict[NodeName, _Standing] = {name: _Standing(Status.ALIVE, 0)}
        self._waiting: dict[NodeName, tuple[Intent, int]] = {}

    def status(self, name: NodeName) -> Status | None:
        """The status of a member; None if it is not known."""
        standing = self._standings.get(name)
        return None if standing is None else standing.status

    def times(self) -> dict[NodeName, int]:
        """The time of the last intent of each member."""
        return {name: standing.time for name, standing in self._standings.items()}

    def left(self) -> tuple[NodeName, ...]:
        """Members that left or are leaving."""
        gone = (Status.LEFT, Status.LEAVING)
        return tuple(name for name, standing in self._standings.items() if standing.status in gone)

    def set_own(self, status: Status, time: int) -> None:
        """This node's own status."""
        self._standings[self._name] = _Standing(status, time)

    def on_present(self, name: NodeName, *, now_ns: int) -> None:
        """SWIM found a member."""
        standing = self._standings.pop(name, None)
        standing = _Standing(Status.ALIVE, 0) if standing is None else _Standing(Status.ALIVE, standing.time)
        self._make_room()
        self._standings[name] = standing
        waiting = self._waiting.pop(name, None)
        if waiting is not None and now_ns - waiting[1] < INTENT_LIFE_NS:
            self._apply(standing, waiting[0])

    def on_gone(self, name: NodeName) -> None:
        """SWIM lost a member: it left if it had said so, else it failed."""
        standing = self._standings.get(name)
        if standing is not None:
            standing.status = Status.LEFT if standing.status is Status.LEAVING else Status.FAILED

    def on_intent(self, intent: Intent, *, now_ns: int) -> bool:
        """Takes an intent; true if it was news, which is passed on. Those about this node are the caller's."""
        self._clock.witness(intent.time)
        standing = self._standings.get(intent.node)
        if standing is None:
            return self._keep(intent, now_ns)
        if intent.time <= standing.time:
            return False
        self._apply(standing, intent)
        if intent.is_prune and standing.status is Status.LEFT:
            del self._standings[intent.node]
        return True

    def _apply(self, standing: _Standing, intent: Intent) -> None:
        if intent.time <= standing.time:
            return
        standing.time = intent.time
        if not intent.is_leave:
            standing.status = Status.ALIVE if standing.status is Status.LEAVING else standing.status
        elif standing.status is Status.ALIVE:
            standing.status = Status.LEAVING
        elif standing.status is Status.FAILED:
            standing.status = Status.LEFT

    def _keep(self, intent: Intent, now_ns: int) -> bool:
        known = self._waiting.get(intent.node)
        if known is not None and known[0].time >= intent.time:
            return False
        if len(self._waiting) >= INTENTS_WAITING_MAX:
            self._waiting = {n: kept for n, kept in self._waiting.items() if now_ns - kept[1] < INTENT_LIFE_NS}
            if len(self._waiting) >= INTENTS_WAITING_MAX:
                return False
        self._waiting[intent.node] = (intent, now_ns)
        return True

    def _make_room(self) -> None:
        if len(self._standings) < self._members_max:
            return
        gone = (n for n, s in self._standings.items() if s.status in (Status.LEFT, Status.FAILED) and n != self._name)
        oldest = next(gone, None)
        if oldest is not None:
            del self._standings[oldest]
