"""Runs a core without I/O under asyncio: one timer, and a flush after every input.

Cores have four verbs in common: `tick`, `next_deadline_ns`, `take_outgoing`, `take_events`. Their inputs differ, so
the owner calls those on the core itself and then `flush`, or `wake` to have one flush for many inputs of one loop
turn.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Out = TypeVar("Out")
Event = TypeVar("Event")

_NANOSECONDS = 1_000_000_000


class Core(Protocol[Out, Event]):
    """What a driver asks of a core."""

    def tick(self, *, now_ns: int) -> None:
        """Does everything due at or before now."""

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted again."""

    def take_outgoing(self) -> list[Out]:
        """Directives since the last call."""

    def take_events(self) -> list[Event]:
        """Events since the last call."""


class CoreDriver(Generic[Out, Event]):
    """Keeps one core running in the current event loop.

    Args:
        core: what to drive.
        carry_out: gets each directive, in order.
        on_event: gets each event, in order, after the directives; it may call the core again.
        clock: nanoseconds that never go backwards.
    """

    def __init__(
        self,
        core: Core[Out, Event],
        *,
        carry_out: Callable[[Out], None],
        on_event: Callable[[Event], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._core = core
        self._carry_out = carry_out
        self._on_event = on_event
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns: int | None = None
        self._wake: asyncio.Handle | None = None
        self._is_flushing = False
        self._is_closed = False

    def now_ns(self) -> int:
        """The time to pass to the core's inputs."""
        return self._clock()

    def flush(self) -> None:
        """Carries out what the core wants now, and arms the timer for what it wants later.

        Calls from within a directive or an event handler return at once: the outer flush goes round again.
        """
        if self._is_flushing or self._is_closed:
            return
        self._is_flushing = True
        try:
            self._drain()
        finally:
            self._is_flushing = False
        self._arm()

    def wake(self) -> None:
        """Asks for a flush at the end of this turn of the loop; many calls make one flush."""
        if self._wake is None and not self._is_closed:
            self._wake = asyncio.get_running_loop().call_soon(self._on_wake)

    def close(self) -> None:
        """Stops the timer; the core is not called again."""
        self._is_closed = True
        for handle in (self._timer, self._wake):
            if handle is not None:
                handle.cancel()
        self._timer = self._wake = None

    def _drain(self) -> None:
        while True:
            outgoing = self._core.take_outgoing()
            for directive in outgoing:
                self._carry_out(directive)
            events = self._core.take_events()
            for event in events:
                self._on_event(event)
            if not outgoing and not events:
                return

    def _arm(self) -> None:
        due_ns = self._core.next_deadline_ns()
        if self._is_closed or (due_ns == self._timer_due_ns and self._timer is not None):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due_ns = None, due_ns
        if due_ns is not None:
            delay = max(0, due_ns - self._clock()) / _NANOSECONDS
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._core.tick(now_ns=self._clock())
        self.flush()

    def _on_wake(self) -> None:
        self._wake = None
        self.flush()
