"""Discovery on the local network by multicast DNS (zeroconf).

The node browses first and registers in the background. A newcomer finds the others within a tenth of a second, while
they hear of it only after its registration has been probed for a second: so whoever finds makes contact, and nobody
waits.

Multicast answers can be forged: records of other clusters, of more than a bounded number of names, and with addresses
outside the networks of our interfaces are ignored.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gossip.discovery.base import Announcement, OnCandidate
from gossip.errors import ConfigError, GossipError
from gossip.identity import Endpoint, address_of

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

_LOG = logging.getLogger("gossip.discovery")

SERVICE_TYPE = "_crdtmesh._tcp.local."

RESOLVING_MAX = 32
"""Names looked up at the same time. A lookup takes up to three seconds if nobody answers, so forged names cost ten a
second."""

NAMES_WAITING_MAX = 256
"""Names that wait for their lookup; as many as there may be candidates."""

RESOLVE_TIMEOUT_MS = 3_000

_INSTANCE_MAX = 63
_PROPERTY_MAX = 255


class MdnsDiscovery:
    """Finds nodes of the same cluster on the local networks, and lets them find this one.

    Args:
        interfaces: IP addresses of the interfaces to use; empty: all. `127.0.0.1` keeps it on this machine.
        service_type: the DNS-SD type.

    Raises:
        ConfigError: an interface that is no IP address.
    """

    def __init__(self, interfaces: Sequence[str] = (), *, service_type: str = SERVICE_TYPE) -> None:
        for interface in interfaces:
            address_of(interface)
        if not re.fullmatch(r"_[a-z0-9-]{1,15}\._(tcp|udp)\.local\.", service_type):
            raise ConfigError(f"expected a service type like {SERVICE_TYPE}, got {service_type[:64]!r}")
        self._interfaces = tuple(interfaces)
        self._type = service_type
        self._loop: asyncio.AbstractEventLoop
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._registration: asyncio.Task[None] | None = None
        self._lookups: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, None] = {}
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._announcement: Announcement | None = None
        self._on_candidate: OnCandidate = lambda endpoint: None

    async def start(self, announcement: Announcement, on_candidate: OnCandidate) -> None:
        """Begins to browse, and registers in the background.

        Raises:
            GossipError: multicast is not possible on these interfaces.
        """
        from zeroconf import InterfaceChoice, IPVersion
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        self._loop = asyncio.get_running_loop()
        self._announcement, self._on_candidate = announcement, on_candidate
        self._networks = _local_networks(self._interfaces)
        choice = list(self._interfaces) if self._interfaces else InterfaceChoice.All
        try:
            self._zeroconf = AsyncZeroconf(interfaces=choice, ip_version=IPVersion.V4Only)
        except OSError as error:
            raise GossipError(
                f"multicast DNS can't be used on {self._interfaces or 'any interface'}: {error.strerror}; "
                "name an interface address, or use static discovery"
            ) from error
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, self._type, handlers=[self._on_change])
        self._registration = self._loop.create_task(self._register(self._zeroconf, announcement))

    async def close(self) -> None:
        """Withdraws the registration and stops; repeating is harmless."""
        tasks = [*self._lookups, *([self._registration] if self._registration else [])]
        self._lookups, self._registration = set(), None
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        browser, zeroconf = self._browser, self._zeroconf
        self._browser = self._zeroconf = None
        if browser is not None:
            await browser.async_cancel()
        if zeroconf is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()

    async def _register(self, zeroconf: "AsyncZeroconf", announcement: Announcement) -> None:
        from zeroconf import Error
        from zeroconf.asyncio import AsyncServiceInfo

        instance = instance_name(announcement.cluster, announcement.node)
        info = AsyncServiceInfo(
            self._type,
            f"{instance}.{self._type}",
            addresses=[address_of(announcement.endpoint.host)],
            port=announcement.endpoint.port,
            properties={"cluster": announcement.cluster, "node": announcement.node, "version": "1"},
            server=f"{instance}.local.",
        )
        try:
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        except (Error, OSError) as error:
            _LOG.warning("discovery.unregistered error=%r", error)

    def _on_change(
        self, zeroconf: "Zeroconf", service_type: str, name: str, state_change: "ServiceStateChange"
    ) -> None:
        from zeroconf import ServiceStateChange

        if state_change is not ServiceStateChange.Removed and len(self._waiting) < NAMES_WAITING_MAX:
            self._waiting[name] = None
            self._look_up(zeroconf)

    def _look_up(self, zeroconf: "Zeroconf") -> None:
        """Starts lookups for the names that wait, up to the limit."""
        while self._waiting and len(self._lookups) < RESOLVING_MAX and self._zeroconf is not None:
            name = next(iter(self._waiting))
            del self._waiting[name]
            task = self._loop.create_task(self._resolve(zeroconf, self._type, name))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
            task.add_done_callback(lambda _: self._look_up(zeroconf))

    async def _resolve(self, zeroconf: "Zeroconf", service_type: str, name: str) -> None:
        from zeroconf import Error
        from zeroconf.asyncio import AsyncServiceInfo

        try:
            info = AsyncServiceInfo(service_type, name)
            if await info.async_request(zeroconf, RESOLVE_TIMEOUT_MS):
                for endpoint in self._candidates_in(info):
                    self._on_candidate(endpoint)
        except (Error, OSError, ValueError) as error:
            _LOG.debug("discovery.unresolved name=%.64r error=%r", name, error)

    def _candidates_in(self, info: "AsyncServiceInfo") -> list[Endpoint]:
        """The endpoints of a record that is of our cluster, is not ours, and points into our networks."""
        own = self._announcement
        if own is None or not info.port:
            return []
        cluster = (info.properties.get(b"cluster") or b"")[:_PROPERTY_MAX]
        if cluster != own.cluster.encode()[:_PROPERTY_MAX]:
            return []
        endpoints = (Endpoint(host, info.port) for host in info.parsed_addresses())
        return [e for e in endpoints if e != own.endpoint and self._is_local(e.host)]

    def _is_local(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        return any(address in network for network in self._networks)


def instance_name(cluster: str, node: str) -> str:
    """A DNS label for a node: readable, and different for equal names in different clusters."""
    digest = hashlib.sha256(f"{cluster}\0{node}".encode()).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9-]", "-", node)[: _INSTANCE_MAX - len(digest) - 1]
    return f"{readable}-{digest}"


def _local_networks(interfaces: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks of the interfaces in use, from which candidates may come."""
    import ifaddr

    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            if not interfaces or address in interfaces:
                networks.append(ipaddress.ip_network(f"{address}/{ip.network_prefix}", strict=False))
    return networks
