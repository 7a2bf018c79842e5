"""The one timer of an engine: when its cores want to be driven again though nothing comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final


class DeadlineTimer:
    """A timer of a loop that is left alone as long as its deadline stays where it was, as it does in most turns.

    Args:
        loop: of the engine.
        action: what is due.
    """

    __slots__ = ("_action", "_due_ns", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
        self._loop: Final = loop
        self._action: Final = action
        self._due_ns: int | None = None
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, due_ns: int | None, *, now_ns: int) -> None:
        """Has the action run at a deadline, at once if it has passed; None for never."""
        if due_ns == self._due_ns:
            return
        self.cancel()
        if due_ns is not None:
            self._due_ns = due_ns
            self._handle = self._loop.call_later(max(0, due_ns - now_ns) / 1e9, self._fire)

    def cancel(self) -> None:
        """Has nothing run."""
        self._due_ns = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        # Forgotten first: the same deadline, when it was met too early, is armed again.
        self._due_ns = self._handle = None
        self._action()
