"""Notices when the event loop stood still: something blocked it, or the machine gave the process no time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from crdtmesh.observability import logs

_LOG: Final = logging.getLogger(__name__)

PROBE_INTERVAL_S: Final = 0.25
# Membership suspects a node that is silent for about a second: half of that deserves a line.
STALL_LOGGED_S: Final = 0.5


class StallWatch:
    """Measures how late a timer of this loop comes.

    Attributes:
        worst_s: the longest standstill so far, in seconds.
        count: standstills that were logged.
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._limit = logs.RateLimit(1.0)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins to watch."""
        self._due_s = self._loop.time() + PROBE_INTERVAL_S
        self._cpu_s = time.process_time()
        self._timer = self._loop.call_at(self._due_s, self._probe)

    def stop(self) -> None:
        """Ends the watch."""
        if self._timer is not None:
            self._timer.cancel()

    def _probe(self) -> None:
        late_s = self._loop.time() - self._due_s
        self.worst_s = max(self.worst_s, late_s)
        if late_s >= STALL_LOGGED_S:
            self.count += 1
            if self._limit():
                # Little processor time of our own says that the machine, not the node, is to blame.
                used_s = time.process_time() - self._cpu_s
                logs.event(_LOG, logging.WARNING, "loop.stalled", stall_s=round(late_s, 2), cpu_s=round(used_s, 2))
        self.start()
