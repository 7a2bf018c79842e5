"""Some hosts that are joined: started together, watched together, ended together."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crdtmesh.replication.outputs import EntryKey
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError
from tests.hosts.host import Host
from tests.hosts.shape import Weather
from tests.hosts.trust import make_identity
from tests.hosts.wire import Means, Wire
from tests.hosts.witnesses import Holding

# Nine processes that import everything at once, on two cores that others use too.
MEET_TIMEOUT_S: Final = 90.0
POLL_S: Final = 0.1
QUIET_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How a mesh came together again; seconds since the question, None: not in time.

    Attributes:
        data_s: until all nodes had equal bytes of the system, and nothing waited on their links.
        members_s: until each node took all nodes for alive.
    """

    data_s: float | None
    members_s: float | None


class Mesh:
    """All hosts and what joins them."""

    def __init__(self, size: int, folder: Path, *, means: Means, seed: int, has_disks: bool, bug: str = "") -> None:
        self.means = means
        self.folder = folder
        self.wire = Wire(means, size, seed)
        self.hosts: list[Host] = []
        self._size = size
        self._has_disks = has_disks
        self._bug = bug
        self._cluster = f"hosts-{secrets.token_hex(4)}"

    async def start(self) -> float:
        """Starts everything.

        Returns:
            Seconds until each node had found all others.

        Raises:
            RuntimeError: they did not in time.
        """
        started_s = time.monotonic()
        await self.wire.start()
        names = [f"h{number}" for number in range(self._size)]
        trust = await make_identity(self.folder / "identity", self._cluster, names)
        for number in range(self._size):
            host = Host(
                number, self.folder, wire=self.wire, cluster=self._cluster, trust=trust, has_disk=self._has_disks,
                bug=self._bug,
            )  # fmt: skip
            self.hosts.append(host)
        await asyncio.gather(*(host.start() for host in self.hosts))
        await self.meet()
        return time.monotonic() - started_s

    async def close(self) -> None:
        """Ends everything, whatever state it is in."""
        await asyncio.gather(*(host.close() for host in self.hosts), return_exceptions=True)
        await self.wire.close()

    @property
    def clients(self) -> dict[str, Client]:
        """Of all nodes, by name."""
        return {host.name: host.client for host in self.hosts}

    async def become(self, weather: Weather) -> None:
        """From now on links are so."""
        await self.wire.become(weather)

    async def agree(self, system: str, timeout_s: float) -> Agreement:
        """Waits until all nodes hold the same and know each other."""
        started_s = time.monotonic()

        async def timed(check: Callable[[], Awaitable[bool]]) -> float | None:
            return time.monotonic() - started_s if await _within(timeout_s, check) else None

        data_s, members_s = await asyncio.gather(timed(lambda: self._is_equal(system)), timed(self._all_alive))
        return Agreement(data_s=data_s, members_s=members_s)

    async def meet(self) -> None:
        """Waits until each node takes all others for alive.

        Raises:
            RuntimeError: it did not in time.
        """
        if not await _within(MEET_TIMEOUT_S, self._all_alive):
            raise RuntimeError(f"{self._size} hosts did not find each other in {MEET_TIMEOUT_S:.0f} s")

    async def holdings(self, system: str) -> list[Holding]:
        """What each node holds of a system."""
        return list(await asyncio.gather(*(_holding(host, system) for host in self.hosts)))

    async def deaths(self, *, without: Host | None) -> int:
        """How often nodes have declared another one dead, since their starts."""
        found = [await host.client.status() for host in self.hosts if host is not without]
        return sum(status.counters.get("gossip.member.died", 0) for status in found)

    async def alarms(self) -> dict[str, int]:
        """What nodes reported that an operator should look at, by kind; since their starts."""
        found: dict[str, int] = {}
        for host in self.hosts:
            for name, count in (await host.client.status()).counters.items():
                if name.startswith("replication.alarm.") and count:
                    kind = name.removeprefix("replication.")
                    found[kind] = found.get(kind, 0) + count
        return found

    async def _is_equal(self, system: str) -> bool:
        found = await asyncio.gather(*(host.client.status(digests=True) for host in self.hosts))
        digests = {item.digest for status in found for item in status.systems if item.system == system}
        have = sum(1 for status in found for item in status.systems if item.system == system)
        queued = sum(peer.queued_bytes for status in found for peer in status.peers)
        return len(digests) == 1 and have == self._size and queued == 0

    async def _all_alive(self) -> bool:
        names = {host.name for host in self.hosts}
        tables = await asyncio.gather(*(host.client.members() for host in self.hosts))
        return all({member.name for member in table if member.state == "alive"} == names for table in tables)


async def _holding(host: Host, system: str) -> Holding:
    async def nothing_waits() -> bool:
        return not any(peer.queued_bytes for peer in (await host.client.status()).peers)

    # Nodes compare notes all the time: something on its way at one instant is not something that stays.
    is_quiet = await _within(QUIET_TIMEOUT_S, nothing_waits)
    status = await host.client.status(digests=True)
    digest = next((item.digest for item in status.systems if item.system == system), "")
    values = {
        EntryKey(entry.system, entry.key, entry.type_name): entry.value
        async for entry in host.client.state.list(system)
    }
    queued = 0 if is_quiet else sum(peer.queued_bytes for peer in status.peers)
    return Holding(host.name, digest, values, queued)


async def _within(timeout_s: float, check: Callable[[], Awaitable[bool]]) -> bool:
    """Repeats a check until it holds; a node that does not answer counts as no."""
    give_up_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(CallError):
            if await check():
                return True
        if time.monotonic() > give_up_s:
            return False
        await asyncio.sleep(POLL_S)


def logs_of(hosts: Sequence[Host]) -> list[Path]:
    """The files that nodes wrote to."""
    return [host.node.log_path for host in hosts if host.node.log_path.exists()]
