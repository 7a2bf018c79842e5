"""The subscriptions of a node and their readers under asyncio: glue between `Watches`, the engine and the edge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.watch import Selection, Watch, WatchBatch, WatchEnd
from crdtmesh.replication.watching import Watches, WatchTicket


class WatchEnded(Exception):
    """A watch does not go on; its reader has what it was given until now.

    Attributes:
        code: "superseded": another reader goes on with it; "draining": the node is shutting down.
    """

    def __init__(self, code: WatchEnd | Literal["superseded", "draining"], detail: str) -> None:
        super().__init__(detail)
        self.code = code


class WatchStream:
    """The reader of one watch."""

    def __init__(self, streams: WatchStreams, watch: Watch) -> None:
        self._streams = streams
        self._watch = watch
        self._woken = asyncio.Event()
        self._ended: WatchEnded | None = None

    async def next(self) -> tuple[WatchBatch, str]:
        """The next batch and its token; the same again until `done`.

        Raises:
            WatchEnded: there is none, and will be none.
        """
        watch = self._watch
        while self._ended is None and watch.end is None and not watch.queue:
            self._woken.clear()
            await self._woken.wait()
        self._check()
        return watch.queue[0], self._streams.watches.token(watch, watch.queue[0])

    def done(self) -> None:
        """The batch is with the reader.

        Raises:
            WatchEnded: the watch goes on elsewhere, or not at all.
        """
        self._check()
        self._streams.advance(self._watch)

    def close(self) -> None:
        """The reader is gone; it may come back with the token of the last batch that it has."""
        self._streams.closed(self, self._watch)

    def wake(self) -> None:
        """There is a batch, or an end."""
        self._woken.set()

    def end(self, ended: WatchEnded) -> None:
        """The reader gets nothing more."""
        self._ended = self._ended or ended
        self._woken.set()

    def _check(self) -> None:
        if self._ended is not None:
            raise self._ended
        if self._watch.end is not None:
            raise WatchEnded(self._watch.end, self._watch.detail)


class WatchStreams:
    """All watches of a node; driven by the engine, once per loop turn.

    Args:
        watches: the core.
        barrier: has `committed` called when all that could have been seen so far is on disk.
        wake: asks for a loop turn of the engine.
        clock_ns: monotonic time.
    """

    def __init__(
        self,
        watches: Watches,
        *,
        barrier: Callable[[WatchTicket], None],
        wake: Callable[[], None],
        clock_ns: Callable[[], int],
    ) -> None:
        self.watches = watches
        self._barrier = barrier
        self._wake = wake
        self._clock_ns = clock_ns
        self._streams: dict[int, WatchStream] = {}
        self._is_closed = False

    def open(self, selection: Selection, *, interval_ns: int, token: str) -> WatchStream:
        """A reader of a watch that begins, or of one that goes on; see `Watches.open`.

        Raises:
            WatchRefused, WatchEnded: nothing was opened.
        """
        if self._is_closed:
            raise WatchEnded("draining", "the node is shutting down")
        watch = self.watches.open(selection, interval_ns=interval_ns, token=token, now_ns=self._clock_ns())
        former = self._streams.get(watch.number)
        if former is not None:
            former.end(WatchEnded("superseded", "another reader goes on with this watch"))
        stream = self._streams[watch.number] = WatchStream(self, watch)
        self._wake()
        return stream

    @property
    def readers(self) -> int:
        """How many readers there are now."""
        return len(self._streams)

    def sizes(self) -> dict[str, int]:
        """How much there is now, under the names that status shows."""
        return {
            "watches.readers": self.readers,
            "watches.kept": len(self.watches),
            "watches.held_bytes": self.watches.held_bytes,
        }

    def advance(self, watch: Watch) -> None:
        """The reader has the first batch."""
        self.watches.advance(watch)
        self._wake()

    def closed(self, stream: WatchStream, watch: Watch) -> None:
        """A reader is gone."""
        if self._streams.get(watch.number) is stream:
            del self._streams[watch.number]
            self.watches.park(watch, now_ns=self._clock_ns())
            self._wake()

    def changed(self, key: EntryKey, *, is_expired: bool) -> None:
        """An entry has changed in memory, or has expired."""
        self.watches.changed(key, now_ns=self._clock_ns(), is_expired=is_expired)

    def work(self, now_ns: int) -> None:
        """Takes what is due; it is shown behind the barrier."""
        for ticket in self.watches.tick(now_ns=now_ns):
            self._barrier(ticket)

    def deliver(self) -> None:
        """Wakes the readers that have something to read."""
        for watch in self.watches.take_ready():
            stream = self._streams.get(watch.number)
            if stream is not None:
                stream.wake()

    def close(self) -> None:
        """Ends all readers: the node is shutting down."""
        self._is_closed = True
        for stream in [*self._streams.values()]:
            stream.end(WatchEnded("draining", "the node is shutting down"))
