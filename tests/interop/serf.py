"""Real Serf agents on loopback, and what their own tools say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gossip import Endpoint

PROGRAM = shutil.which("serf")
RPC_PORT = 7373


class SerfAgent:
    """One `serf agent` process on an address of its own.

    Args:
        name: of the node.
        address: a loopback address that nobody else uses.
        folder: for its log and the events that it hands to its script.
    """

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.endpoint = Endpoint(address, 7946)
        self._rpc = f"-rpc-addr={address}:{RPC_PORT}"
        self.log = folder / f"{name}.log"
        self.events = folder / f"{name}.events"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *, join: Endpoint | None = None, key: str | None = None) -> None:
        """Starts it and waits until its tools can talk to it."""
        arguments = [f"-node={self.name}", f"-bind={self.endpoint}", self._rpc, f"-tag=role={self.name}"]
        arguments += ["-log-level=debug", "-event-handler=query:load=echo 42"]
        arguments += [f"-event-handler=user=cat >> {self.events}; echo $SERF_USER_EVENT >> {self.events}"]
        arguments += [f"-join={join}"] if join else []
        arguments += [f"-encrypt={key}"] if key else []
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(PROGRAM), "agent", *arguments, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL
            )
        await until(lambda: "Agent: " in self.log.read_text() or "Serf agent running" in self.log.read_text())

    async def run(self, command: str, *arguments: str) -> tuple[int, str]:
        """Runs one of its tools; its exit code and its output."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM),
            command,
            self._rpc,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode or 0, out.decode()

    async def members(self) -> dict[str, dict[str, Any]]:
        """What `serf members` shows, by name."""
        _, out = await self.run("members", "-format=json")
        return {member["name"]: member for member in json.loads(out)["members"]}

    async def status(self, name: str) -> str | None:
        """The status of one member."""
        return (await self.members()).get(name, {}).get("status")

    async def until_status(self, name: str, status: str, *, seconds: float = 20.0) -> bool:
        """Whether it shows a member like that in time."""
        async with asyncio.timeout(seconds):
            while await self.status(name) != status:  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.2)
        return True

    def suspicions(self, name: str) -> list[str]:
        """Lines of its log that doubt a member."""
        pattern = re.compile(rf"(?i)(suspect {name}\b|marking {name}\b|EventMemberFailed: {name}\b)")
        return [line for line in self.log.read_text().splitlines() if pattern.search(line)]

    def kill(self) -> None:
        """Takes it away without a word."""
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Ends it, whatever state it is in."""
        self.kill()
        if self._process is not None:
            await self._process.wait()


async def until(claim: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Waits for something that happens in another process."""
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.05)
