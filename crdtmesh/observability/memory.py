"""Notices when the process holds more memory than it should, so that idle actors give up theirs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from crdtmesh.observability import logs

_LOG: Final = logging.getLogger(__name__)

CHECK_INTERVAL_S: Final = 1.0

# The rest is for the page cache, for the actor host beside the node and for what else runs there.
DEFAULT_SHARE: Final = 0.5

_CGROUP_MAX: Final = Path("/sys/fs/cgroup/memory.max")
_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Memory of this process that is in use now; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def default_bytes_max() -> int:
    """A share of what the container, else the machine, has; 0 where the system does not tell."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
    # There may be no container, or one without a limit ("max").
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(_CGROUP_MAX.read_text(encoding="ascii")))
    return int(total * DEFAULT_SHARE)


class MemoryWatch:
    """Asks for relief, again and again, while the process holds too much.

    Args:
        bytes_max: above this; 0 never asks.
        relieve: puts something out of memory, and says how much of it.
        used: how much is held now.

    Attributes:
        count: times that relief was asked for.
    """

    def __init__(self, bytes_max: int, relieve: Callable[[], int], *, used: Callable[[], int] = resident_bytes) -> None:
        self.count = 0
        self._bytes_max = bytes_max
        self._relieve = relieve
        self._used = used
        self._limit = logs.RateLimit(0.1)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins to watch."""
        if self._bytes_max > 0:
            self._timer = self._loop.call_later(CHECK_INTERVAL_S, self._probe)

    def stop(self) -> None:
        """Ends the watch."""
        if self._timer is not None:
            self._timer.cancel()

    def _probe(self) -> None:
        self.check()
        self.start()

    def check(self) -> None:
        """Looks once."""
        used = self._used()
        if used <= self._bytes_max:
            return
        self.count += 1
        relieved = self._relieve()
        if self._limit():
            logs.event(
                _LOG, logging.WARNING, "memory.short", used=used, memory_bytes_max=self._bytes_max, put_out=relieved
            )
