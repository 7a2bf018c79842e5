"""The child process that runs user code for `up --actors`: started by exec, watched, started again when it dies.

User code never shares the node's process: a handler that blocks must not get its node suspected. The child connects to
the node's Unix socket like any other host.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from crdtmesh.observability import logs

_LOG = logging.getLogger(__name__)

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 15.0
# By this exit code `crdtmesh.sdk.host` says that the actors can't be loaded, or that the node refused them.
REFUSED_CODE: Final = 2
# A child that lived this long was healthy: the next failure starts the back-off anew.
HEALTHY_AFTER_S: Final = 30.0


class HostProcess:
    """Keeps one actor host running until stopped.

    Args:
        actors: `MODULE:SYSTEM`, imported with the current folder on the path.
        socket: the node's Unix socket.
        log_level: passed on to the child.
        stop_timeout_s: how long a child may take to finish its turns before it is killed, in seconds.
        on_refused: called when the actors can't be loaded or the node refuses them: starting again would not help.
    """

    def __init__(
        self, actors: str, *, socket: Path, log_level: str, stop_timeout_s: float, on_refused: Callable[[], None]
    ) -> None:
        self._command = [
            *(sys.executable, "-m", "crdtmesh.sdk.host", actors),
            *("--endpoint", f"unix:{socket}", "--log-level", log_level, "--parent-pid", str(os.getpid())),
        ]
        self._stop_timeout_s = stop_timeout_s
        self._on_refused = on_refused
        self._task: asyncio.Task[None] | None = None
        self._child: asyncio.subprocess.Process | None = None

    def start(self) -> None:
        """Starts the child, and again whenever it ends."""
        self._task = asyncio.create_task(self._supervise(), name="host-process")

    async def stop(self) -> None:
        """Asks the child to finish, and kills it if it doesn't."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        child = self._child
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), self._stop_timeout_s)
            except TimeoutError:
                logs.event(_LOG, logging.WARNING, "host.killed", pid=child.pid)
                child.kill()
                await child.wait()

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        backoff_s = BACKOFF_FIRST_S
        while True:
            started = loop.time()
            # Its own session: Ctrl-C in the terminal reaches the node, which then stops the child in order.
            self._child = await asyncio.create_subprocess_exec(
                *self._command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True
            )
            logs.event(_LOG, logging.INFO, "host.started", pid=self._child.pid)
            code = await self._child.wait()
            if code == REFUSED_CODE:
                self._on_refused()
                return
            if loop.time() - started > HEALTHY_AFTER_S:
                backoff_s = BACKOFF_FIRST_S
            logs.event(
                _LOG, logging.WARNING, "host.ended", pid=self._child.pid, code=code, restart_s=round(backoff_s, 1)
            )
            await asyncio.sleep(backoff_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
