"""Discovery from a list: addresses and names that the operator wrote down."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence

from gossip.discovery.base import Announcement, OnCandidate
from gossip.errors import ConfigError
from gossip.identity import Endpoint

_LOG = logging.getLogger("gossip.discovery")

RESOLVE_INTERVAL_S = 30.0
"""Names are looked up again this often, since what is behind them may move."""


async def resolve(endpoint: Endpoint) -> list[Endpoint]:
    """The IP addresses behind an endpoint; an address stays itself, a name that can't be resolved gives none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        _LOG.warning("discovery.unresolved host=%.64r error=%s", endpoint.host, error)
        return []
    return list(dict.fromkeys(Endpoint(str(address[0]), int(address[1])) for *_, address in found))


class StaticDiscovery:
    """Offers the listed endpoints again and again; it announces nothing.

    Args:
        endpoints: where other nodes may listen; hosts may be DNS names.
        interval_s: how often names are looked up again.

    Raises:
        ConfigError: an interval that is not positive.
    """

    def __init__(self, endpoints: Sequence[Endpoint], *, interval_s: float = RESOLVE_INTERVAL_S) -> None:
        if interval_s <= 0:
            raise ConfigError(f"expected interval_s above 0, got {interval_s}")
        self._endpoints = tuple(endpoints)
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None

    async def start(self, announcement: Announcement, on_candidate: OnCandidate) -> None:
        """Begins to offer the endpoints; `announcement` is not used."""
        self._task = asyncio.get_running_loop().create_task(self._run(on_candidate))

    async def close(self) -> None:
        """Stops."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self, on_candidate: OnCandidate) -> None:
        while True:
            for endpoint in self._endpoints:
                for address in await resolve(endpoint):
                    on_candidate(address)
            await asyncio.sleep(self._interval_s)
