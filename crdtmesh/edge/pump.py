"""Writes queued items to a gRPC stream in natural batches: what gathers during one write is the next message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")

# What one stream may owe its reader. A reader that is slower than this is not read from until it catches up.
QUEUED_BYTES_MAX: Final = 16 * 1024 * 1024


class Pump(Generic[Item]):
    """The outgoing side of one stream.

    Args:
        write: sends one message; the stream's own.
        batches: turns what has gathered into messages.
    """

    def __init__(self, write: Callable[[Any], Awaitable[None]], batches: Callable[[list[Item]], Iterable[Any]]) -> None:
        self._write = write
        self._batches = batches
        self._items: list[Item] = []
        self._queued_bytes = 0
        self._ready = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_ended = False

    def put(self, item: Item, size_bytes: int) -> None:
        """Queues an item."""
        self._items.append(item)
        self._queued_bytes += size_bytes
        self._ready.set()
        if self._queued_bytes > QUEUED_BYTES_MAX:
            self._has_room.clear()

    async def room(self) -> None:
        """Waits until the reader has taken enough that more may be caused."""
        if not self._has_room.is_set():
            await self._has_room.wait()

    def end(self) -> None:
        """No more items: `run` returns when the queued ones are written."""
        self._is_ended = True
        self._ready.set()

    async def run(self) -> None:
        """Writes until `end`; cancelled when the stream is."""
        while True:
            if not self._items:
                if self._is_ended:
                    return
                self._ready.clear()
                await self._ready.wait()
                continue
            items, self._items = self._items, []
            self._queued_bytes = 0
            for message in self._batches(items):
                await self._write(message)
            self._has_room.set()
