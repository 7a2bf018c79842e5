"""What joins the hosts, as the rest of the library sees it: a process that carries their traffic and takes orders.

Two of them: the switch between network namespaces, and proxies on loopback where namespaces are not allowed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from tests.hosts.proxies import GOSSIP_PORT, LINK_PORT, inner_address, outer_address
from tests.hosts.shape import Weather
from tests.hosts.switch import address_of

Means = Literal["namespaces", "proxies"]

# It answers within a turn of its loop; a loaded machine may hold it up for seconds.
ANSWER_TIMEOUT_S: Final = 20.0


class Wire:
    """The traffic between some hosts.

    Args:
        means: how hosts are kept apart.
        hosts: how many.
        seed: of what happens to their frames.
    """

    def __init__(self, means: Means, hosts: int, seed: int) -> None:
        self.means = means
        self._hosts = hosts
        self._seed = seed
        self._process: asyncio.subprocess.Process | None = None
        self._namespaces: list[int] = []
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Starts the process."""
        module = {"namespaces": "tests.hosts.switch", "proxies": "tests.hosts.proxies"}[self.means]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, str(self._hosts), str(self._seed)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._namespaces = (await self._answer())["namespaces"]

    async def close(self) -> None:
        """Ends the process; it takes devices and sockets with it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), ANSWER_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def become(self, weather: Weather) -> None:
        """From now on links are so."""
        await self._order({"weather": weather.to_json()})

    async def counts(self) -> Mapping[str, int]:
        """What happened to frames since the start, by kind."""
        return await self._order({})

    async def capture(self, path: Path | None) -> int:
        """Writes everything to another file from now on, or to none.

        Returns:
            How many frames are in the file before.
        """
        frames = (await self._order({"capture": str(path) if path else ""}))["frames"]
        assert isinstance(frames, int)
        return frames

    def launcher(self, number: int) -> tuple[str, ...]:
        """What stands in front of a command that is to run on a host."""
        if self.means == "proxies":
            return ()
        assert self._process is not None
        return ("nsenter", f"--net=/proc/{self._process.pid}/fd/{self._namespaces[number]}", "--")

    def arguments(self, number: int) -> tuple[str, ...]:
        """How a node on a host is told where it is, and how it finds the others."""
        if self.means == "namespaces":
            return ("--bind", address_of(number), "--discovery", "mdns")
        # Proxies carry no multicast, and their ports have to be known beforehand.
        joins = [("--join", f"{outer_address(other)}:{GOSSIP_PORT}") for other in range(self._hosts) if other != number]
        return (
            *("--bind", inner_address(number), "--advertise", outer_address(number), "--discovery", "static"),
            *("--gossip-port", str(GOSSIP_PORT), "--link-port", str(LINK_PORT), "--api-bind", inner_address(number)),
            *(argument for join in joins for argument in join),
        )

    async def _order(self, order: Mapping[str, Any]) -> dict[str, Any]:
        async with self._lock:
            assert self._process is not None
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_TIMEOUT_S)
        if not line:
            raise RuntimeError(f"the process that joins the hosts by {self.means} has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
