"""A node as a process of this machine: started, killed, restarted with its data. The demo and the tests use it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

from crdtmesh.errors import StartError

# A loaded machine imports everything in a few seconds; a node that is not ready by then never will be.
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 20.0


class LocalNode:
    """One `crdtmesh up` on loopback. Its ports stay the same over restarts.

    Args:
        name: of the node.
        folder: its data and its log file go here.
        cluster: of the node.
        arguments: further arguments of `up`.
        environment: variables beside those of this process; those named `CRDTMESH_*` there are not passed on.
        launcher: a command in front of it that ends by becoming it, such as `nsenter --net=PATH --`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        cluster: str,
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        launcher: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self.grpc = ""
        self.gossip = ""
        self.links = ""
        self.http = ""
        self.socket = ""
        self.http_socket = ""
        self._cluster = cluster
        self._arguments = arguments
        self._launcher = launcher
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("CRDTMESH_")}
        self._environment.update(environment or {})
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the running process.

        Raises:
            StartError: it is not running.
        """
        if self._process is None or self._process.returncode is not None:
            raise StartError(f"node {self.name} is not running; its log is {self.log_path}")
        return self._process.pid

    async def start(self) -> None:
        """Starts the process and waits until it is ready.

        Raises:
            StartError: it ended, or was not ready in time; the message has the end of its log.
        """
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S)
        except TimeoutError:
            line = b""
        if not line:
            await self.kill()
            raise StartError(f"node {self.name} did not get ready; the end of {self.log_path}:\n{self.log_tail()}")
        ready = json.loads(line)
        self.grpc, self.gossip, self.links, self.http = (ready[key] for key in ("grpc", "gossip", "links", "http"))
        self.socket, self.http_socket = ready["uds"], ready["http_uds"]

    async def kill(self) -> None:
        """SIGKILL, to the process and its actor host: a power cut as far as the node can tell."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM, then waits; killed when it takes too long.

        Returns:
            The exit code.
        """
        return await self._end(signal.SIGTERM)

    async def ended(self) -> int:
        """Waits for a process that is about to end by itself, such as after `leave`; killed when it takes too long.

        Returns:
            The exit code.
        """
        return await self._end(0)

    def signal(self, number: int) -> None:
        """Sends a signal to the node's process alone, such as SIGSTOP."""
        os.kill(self.pid, number)

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    async def _end(self, number: int) -> int:
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            _signal_group(process.pid, number, whole=number == signal.SIGKILL)
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                _signal_group(process.pid, signal.SIGKILL, whole=True)
                await process.wait()
        self._process = None
        code = process.returncode
        assert code is not None
        return code

    def _command(self) -> list[str]:
        return [
            *(*self._launcher, sys.executable, "-m", "crdtmesh.cli", "up"),
            *("--name", self.name, "--cluster", self._cluster, "--format", "json"),
            *("--data-dir", str(self.folder / self.name), "--bind", "127.0.0.1"),
            *("--gossip-port", _port(self.gossip), "--link-port", _port(self.links)),
            *("--grpc-port", _port(self.grpc), "--http-port", _port(self.http), "--join-port", "0"),
            *self._arguments,
        ]


def _port(address: str) -> str:
    """The port of an earlier run, or 0 for a free one."""
    return address.rpartition(":")[2] or "0"


def _signal_group(pid: int, number: int, *, whole: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if whole:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
