"""Timers that actors declare: an action every so many milliseconds, from one period after an activation on.

They go on while the actor is out of memory, and bring it back. They belong to the actor's owner; a node that is no
longer it passes one beat on to the new owner. Which actors have timers at all is known everywhere (`timed`). A beat
whose predecessor is still under way is left out, so a slow actor gets fewer, and never a queue of them. The rate is
fixed: a late beat moves none of the following ones.
"""

from heapq import heapify, heappop, heappush
from typing import NamedTuple

from crdtmesh.runtime.definition import ActorAddress, ActorDefinition

__all__ = ["Beat", "Timers"]

MS_NS = 1_000_000


class Beat(NamedTuple):
    """A timer that is due."""

    actor: ActorAddress
    action: str


class Timers:
    """The timers of one node."""

    __slots__ = ("_armed", "_due")

    def __init__(self) -> None:
        # What is armed for an actor, and a number that tells its items in the heap from those of earlier arming.
        self._armed: dict[ActorAddress, tuple[tuple[tuple[str, int], ...], int]] = {}
        self._due: list[tuple[int, int, int, ActorAddress]] = []

    def activated(self, definition: ActorDefinition, *, now_ns: int) -> None:
        """Starts the timers of an actor; those that run already go on as they are."""
        address, timers = definition.address, definition.timers
        armed = self._armed.get(address)
        if (armed[0] if armed else ()) == timers:
            return
        epoch = armed[1] + 1 if armed else 0
        self._armed[address] = timers, epoch
        for index, (_, period_ms) in enumerate(timers):
            heappush(self._due, (now_ns + period_ms * MS_NS, epoch, index, address))

    def stop(self, actor: ActorAddress) -> None:
        """Ends the timers of an actor."""
        if self._armed.pop(actor, None) is not None:
            self._due = [item for item in self._due if item[3] != actor]
            heapify(self._due)

    def due(self, *, now_ns: int) -> list[Beat]:
        """The beats that are due; each once, however late. Complexity: O(log timers) for each."""
        beats = []
        while self._due and self._due[0][0] <= now_ns:
            due_ns, epoch, index, address = heappop(self._due)
            armed = self._armed.get(address)
            if armed is None or armed[1] != epoch:
                continue
            action, period_ms = armed[0][index]
            period_ns = period_ms * MS_NS
            missed = (now_ns - due_ns) // period_ns
            heappush(self._due, (due_ns + (missed + 1) * period_ns, epoch, index, address))
            beats.append(Beat(address, action))
        return beats

    def next_ns(self) -> int | None:
        """When the next beat is due; may be early."""
        return self._due[0][0] if self._due else None
