"""One host: a real node in its network, on a small disk of its own, and all that may befall both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from tests.hosts.planted import launcher
from tests.hosts.wire import Wire

# Enough for thousands of the runs here, and soon filled.
DISK_SIZE_BYTES: Final = 32 << 20

# Until strace is attached to all threads it says so; on a loaded machine that takes a second.
ATTACH_TIMEOUT_S: Final = 15.0

# A call of a node in order takes milliseconds; a machine that is busy with other things may hold it up for seconds.
CALL_TIMEOUT_S: Final = 6.0


class Host:
    """A machine with one node.

    Args:
        number: from 0.
        folder: everything of it is kept there.
        wire: its network.
        cluster: of the node.
        trust: arguments by which the node finds its certificate and keys.
        has_disk: whether a file system of its own can be mounted; else its disk is a folder.
        bug: planted in the node; empty for none.
    """

    def __init__(
        self,
        number: int,
        folder: Path,
        *,
        wire: Wire,
        cluster: str,
        trust: tuple[str, ...],
        has_disk: bool,
        bug: str = "",
    ) -> None:
        self.name = f"h{number}"
        self.number = number
        self._disk = folder / f"disk-{self.name}"
        self._disk.mkdir(parents=True)
        self._has_disk = has_disk
        if has_disk:
            _run("mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE_BYTES}", "tmpfs", str(self._disk))
        self.node = LocalNode(
            self.name,
            folder,
            cluster=cluster,
            arguments=("--data-dir", str(self._disk / "d"), *trust, *wire.arguments(number)),
            launcher=(*wire.launcher(number), *launcher(bug)),
        )
        self._tracer: asyncio.subprocess.Process | None = None
        self._client: Client | None = None

    async def start(self) -> None:
        """Starts the node and waits until it is ready."""
        await self.node.start()
        if self._client is None:
            self._client = Client(f"unix:{self.node.socket}", timeout=CALL_TIMEOUT_S)
            await self._client.__aenter__()

    @property
    def client(self) -> Client:
        """Connected to the node's Unix socket, which no weather reaches."""
        assert self._client is not None
        return self._client

    async def close(self) -> None:
        """Kills the node and forgets its disk."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        await self.mend_syncs()
        await self.node.kill()
        if self._has_disk:
            with contextlib.suppress(subprocess.CalledProcessError):
                _run("umount", "--lazy", str(self._disk))
        shutil.rmtree(self._disk, ignore_errors=True)

    # --- what may befall it

    async def kill(self) -> None:
        """SIGKILL."""
        await self.node.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        self.node.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.node.signal(signal.SIGCONT)

    async def begin_a_new_log(self) -> None:
        """A restart: the write-ahead log of a node that has run for a while is written over, and needs no more room."""
        await self.node.stop()
        await self.node.start()

    def fill_disk(self) -> str:
        """No byte more fits: the file system is full, or the process may make no file longer.

        Returns:
            How that was done.
        """
        if not self._has_disk:
            resource.prlimit(self.node.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return "RLIMIT_FSIZE 0"
        with (self._disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(1 << 16))
        # What was left of a page's worth less than one write.
        free = os.statvfs(self._disk).f_bavail
        return f"tmpfs of {DISK_SIZE_BYTES >> 20} MiB, {free} blocks free"

    def free_disk(self) -> None:
        """There is room again; the node has to be restarted to see it."""
        (self._disk / "ballast").unlink(missing_ok=True)

    async def break_syncs(self) -> None:
        """From now on the kernel answers each sync of the node with EIO.

        Raises:
            RuntimeError: strace can't be attached.
        """
        process = await asyncio.create_subprocess_exec(
            *("strace", "-f", "-p", str(self.node.pid), "-e", "trace=fsync,fdatasync"),
            *("-e", "inject=fsync,fdatasync:error=EIO"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        self._tracer = process
        async with asyncio.timeout(ATTACH_TIMEOUT_S):
            line = await process.stderr.readline()
        if b"attached" not in line:
            await self.mend_syncs()
            raise RuntimeError(f"strace: {line.decode(errors='replace').strip()}")

    async def mend_syncs(self) -> int:
        """Syncs work again.

        Returns:
            How many had failed.
        """
        process, self._tracer = self._tracer, None
        if process is None:
            return 0
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
        return said.count(b"(INJECTED)")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
