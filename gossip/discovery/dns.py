"""Discovery by DNS: names that an operator or an orchestrator keeps up to date.

A plain name (`mesh.example`) gives its A and AAAA records with the port that stands beside it; a name that begins with
an underscore (`_crdtmesh._udp.mesh.example`) is a service: its SRV records give names and ports. Names are looked up
again and again, since what is behind them moves.

Whoever can forge answers can only cause a bounded number of contacts: candidates give no trust.
"""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from gossip.discovery.base import Announcement, OnCandidate
from gossip.discovery.dns_packets import ServiceRecord, decode_answer, encode_question
from gossip.discovery.static import RESOLVE_INTERVAL_S, resolve
from gossip.errors import ConfigError, DecodeError
from gossip.identity import Endpoint

_LOG = logging.getLogger("gossip.discovery")

ADDRESSES_MAX = 256
"""Candidates of one round; as many as the agent remembers. Of more, a random choice is offered."""

NAMES_MAX = 32
"""Names that one agent may be told; each costs a lookup per round."""

INTERVAL_MIN_S = 0.1
"""Rounds that follow each other faster would only load the name server."""

LOOKUP_TIMEOUT_S = 3.0

_RESOLVER_FILE = Path("/etc/resolv.conf")
_DNS_PORT = 53

Lookup = Callable[[str], Awaitable[list[Endpoint]]]


class DnsDiscovery:
    """Offers what is behind names, again and again; it announces nothing.

    Args:
        names: plain names with their port, or services; the port beside a service is not used.
        interval_s: time between rounds, in seconds.
        server: name server for services; None takes the first of `/etc/resolv.conf`. Plain names go through the
            system's resolver.

    Raises:
        ConfigError: no names, too many, or an interval that is too short.
    """

    def __init__(
        self, names: Sequence[Endpoint], *, interval_s: float = RESOLVE_INTERVAL_S, server: Endpoint | None = None
    ) -> None:
        if not 1 <= len(names) <= NAMES_MAX:
            raise ConfigError(f"expected 1 to {NAMES_MAX} names to look up, got {len(names)}")
        if interval_s < INTERVAL_MIN_S:
            raise ConfigError(f"expected interval_s of at least {INTERVAL_MIN_S}, got {interval_s}")
        self._names = tuple(names)
        self._interval_s = interval_s
        self._server = server
        self._rng = random.Random(secrets.randbits(64))  # noqa: S311 - picks candidates, no secrets
        self._task: asyncio.Task[None] | None = None

    async def start(self, announcement: Announcement, on_candidate: OnCandidate) -> None:
        """Begins to look up; `announcement` is not used."""
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
            rounds = await asyncio.gather(*(self._look_up(name) for name in self._names))
            found = list(dict.fromkeys(endpoint for endpoints in rounds for endpoint in endpoints))
            for endpoint in self._rng.sample(found, min(len(found), ADDRESSES_MAX)):
                on_candidate(endpoint)
            await asyncio.sleep(self._interval_s)

    async def _look_up(self, name: Endpoint) -> list[Endpoint]:
        if not name.host.startswith("_"):
            return await resolve(name)
        try:
            records = await look_up_service(name.host, server=self._server)
        except (OSError, TimeoutError, DecodeError) as error:
            _LOG.warning("discovery.unresolved host=%.64r error=%.128r", name.host, error)
            return []
        targets = await asyncio.gather(*(resolve(Endpoint(record.target, record.port)) for record in records))
        return [endpoint for endpoints in targets for endpoint in endpoints]


async def look_up_service(
    name: str, *, server: Endpoint | None = None, timeout_s: float = LOOKUP_TIMEOUT_S
) -> list[ServiceRecord]:
    """The SRV records of a service.

    The answer has to come from the server that was asked, to a port and with a number that were chosen at random.

    Args:
        name: of the service.
        server: to ask; None takes the first of `/etc/resolv.conf`.
        timeout_s: how long to wait; the question is sent twice in that time.

    Raises:
        TimeoutError: no answer.
        OSError: the server can't be reached.
        DecodeError: the answer can't be used.
    """
    loop = asyncio.get_running_loop()
    address = await loop.run_in_executor(None, _system_server) if server is None else server
    number = secrets.randbits(16)
    question = encode_question(name, number=number)
    client = _Client(question)
    transport, _ = await loop.create_datagram_endpoint(lambda: client, remote_addr=(address.host, address.port))
    try:
        for attempt in (1, 2):
            transport.sendto(question)
            try:
                answer = await asyncio.wait_for(asyncio.shield(client.answer), timeout_s / 2)
                break
            except TimeoutError:
                if attempt == 2:
                    raise
    finally:
        transport.close()
    return decode_answer(answer, name=name, number=number)


def _system_server() -> Endpoint:
    for line in _RESOLVER_FILE.read_text().splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return Endpoint(words[1], _DNS_PORT)
    raise OSError(f"no nameserver in {_RESOLVER_FILE}")


class _Client(asyncio.DatagramProtocol):
    """Waits for one answer; the socket is connected, so only the server's packets arrive."""

    def __init__(self, question: bytes) -> None:
        self._number = question[:2]
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Takes the packet whose number is that of the question."""
        if data[:2] == self._number and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """The server's port is closed."""
        if not self.answer.done():
            self.answer.set_exception(exc)
