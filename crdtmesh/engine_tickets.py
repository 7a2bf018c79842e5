"""Tasks of a node that wait for its replica: until something is on disk, or so many voters have answered."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import TypeAlias

from crdtmesh.engine_ports import CommitLost, LevelUnreached
from crdtmesh.replication.explaining import Explanation
from crdtmesh.replication.outputs import CommitFailed, Committed, LevelTimeout, PeerExplained, ReadAt

__all__ = ["Answer", "Ticket", "TicketEvent", "Tickets"]

Ticket: TypeAlias = tuple[str, int]
TicketEvent: TypeAlias = Committed | CommitFailed | LevelTimeout | ReadAt
Answer: TypeAlias = ReadAt | Explanation | None
"""What a wait may end with."""


class Tickets:
    """The tickets of an engine's own tasks; those of its runtime and its watches are others."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last = 0
        self._waiting: dict[Hashable, asyncio.Future[Answer]] = {}

    def new(self) -> Ticket:
        """One that nobody has."""
        self._last += 1
        ticket = ("engine", self._last)
        self._waiting[ticket] = self._loop.create_future()
        return ticket

    def drop(self, ticket: Ticket) -> None:
        """Nobody will wait for it."""
        del self._waiting[ticket]

    async def wait(self, ticket: Ticket) -> Answer:
        """Waits for the event of a ticket.

        Raises:
            CommitLost: this node's disk failed.
            LevelUnreached: too few voters answered in time.
        """
        try:
            return await self._waiting[ticket]
        finally:
            self._waiting.pop(ticket, None)

    async def wait_for_all(self, tickets: Sequence[Ticket]) -> None:
        """Waits for the events of all of these.

        Raises:
            CommitLost, LevelUnreached: as `wait`, for one of them; the others have ended too.
        """
        answers = await asyncio.gather(*map(self.wait, tickets), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    def take(self, event: TicketEvent | PeerExplained) -> bool:
        """Wakes who waits for an event; whether it has a ticket of these."""
        future = self._waiting.get(event.ticket)
        if future is None:
            return False
        if future.done():
            return True
        if isinstance(event, ReadAt):
            future.set_result(event)
        elif isinstance(event, PeerExplained):
            future.set_result(event.explanation)
        elif isinstance(event, Committed):
            future.set_result(None)
        elif isinstance(event, LevelTimeout):
            future.set_exception(LevelUnreached(event.acks, event.needed))
        else:
            future.set_exception(CommitLost(event.reason))
        return True
