"""Events of an agent for one reader."""

import asyncio
import collections
from collections.abc import AsyncIterator

from gossip.outputs import Event

EVENTS_WAITING_MAX = 4_096
"""Events kept for a reader that is busy; about 1 MB. Beyond that the oldest are dropped and counted."""


class EventStream:
    """An asynchronous iterator of events for one reader.

    A reader that is too slow loses the oldest events; `missed` counts them, and `Agent.members` tells how things stand.
    """

    def __init__(self, registry: set["EventStream"]) -> None:
        self._registry = registry
        self._events: collections.deque[Event] = collections.deque()
        self._ready = asyncio.Event()
        self._is_closed = False
        self.missed = 0

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._is_closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()

    def put(self, event: Event) -> bool:
        """Adds an event; true if an older one had to go for it."""
        is_full = len(self._events) >= EVENTS_WAITING_MAX
        if is_full:
            self._events.popleft()
            self.missed += 1
        self._events.append(event)
        self._ready.set()
        return is_full

    def close(self) -> None:
        """Ends the iteration after what is waiting."""
        self._is_closed = True
        self._registry.discard(self)
        self._ready.set()
