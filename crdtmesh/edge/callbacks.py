"""Where user functions may be called: the addresses that a host may be reached at, and how a name becomes one.

The node connects where a registration or a setting says, so whoever can register could make it speak to anything that
the node reaches: cloud metadata, other services, the node's own ports. Hence: loopback only, unless a network is
allowed by setting; never where no user function has business to be; a name is resolved once, each of its addresses is
checked, and connections go to these addresses, so that a name that changes its mind later changes nothing.

Leaves out how a call is made (`http_client`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from crdtmesh.errors import MeshError
from crdtmesh.networks import Address, AllowedNetwork

# A name of a service has one address for each of its containers; more than these are not tried.
ADDRESSES_MAX: Final = 16
RESOLVE_TIMEOUT_S: Final = 5.0

# RFC 1123; underscores, because compose files have them. What looks like a number is not a name but one of the old
# spellings of an IPv4 address (decimal, octal, hexadecimal), which resolvers accept and people overlook.
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*"
)
_NUMBER: Final = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)\Z")

# Instance metadata of the large clouds where it is not link-local (which is refused as a whole).
_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

HOW_TO_ALLOW: Final = "allow it by --callback-allow NETWORK:PORT or CRDTMESH_CALLBACK_ALLOW"


# (host, port): all addresses.
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[Address]]]


class CallbackRefused(MeshError):
    """A user function may not be called there, or its name can't be resolved; nothing was connected to or changed."""


async def resolve_name(host: str, port: int) -> list[Address]:
    """The addresses of a name, by the system's resolver.

    Raises:
        CallbackRefused: it has none, or the resolver took too long.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except TimeoutError:
        raise CallbackRefused(f"callback host {host!r:.64} was not resolved within {RESOLVE_TIMEOUT_S:.0f} s") from None
    except (OSError, UnicodeError) as error:
        raise CallbackRefused(f"callback host {host!r:.64} can't be resolved: {error}; name another") from None
    addresses = dict.fromkeys(ipaddress.ip_address(item[4][0]) for item in found)
    return list(addresses)[:ADDRESSES_MAX]


@dataclass(frozen=True, slots=True)
class Target:
    """Where one user function is called: addresses that were checked, in the resolver's order."""

    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def authority(self) -> str:
        """`HOST:PORT` as it was given; names the user function in messages and in the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class CallbackPolicy:
    """The rules of one node.

    Args:
        allowed: what is allowed beside loopback.
        own_ports: gives the ports of this node, and so most likely of its peers: never called, wherever they are.
        resolve: gives the addresses of a name.
    """

    def __init__(
        self,
        allowed: Iterable[AllowedNetwork],
        own_ports: Callable[[], Collection[int]],
        *,
        resolve: Resolver = resolve_name,
    ) -> None:
        self._resolve = resolve
        self._allowed = (*map(AllowedNetwork, _LOOPBACK), *allowed)
        self._own_ports = own_ports

    async def target(self, host: str, port: int, *, is_remote: bool = False) -> Target:
        """Resolves a host and checks all of its addresses.

        Args:
            host: an address or a name.
            port: there.
            is_remote: somebody on another machine named it: then loopback is not his to have called.

        Raises:
            CallbackRefused: it may not be called, with what to change.
        """
        if not 1 <= port <= 65_535:
            raise CallbackRefused(f"callback port 1 to 65535 expected, got {port}; name the user function's port")
        self._check_port(port)
        literal = _literal(host)
        if literal is not None:
            self.check(literal, port, is_remote=is_remote)
            return Target(host, port, (str(literal),))
        if _NAME.fullmatch(host) is None or _NUMBER.fullmatch(host.rpartition(".")[2]):
            raise CallbackRefused(
                f"callback host: an IP address or a name expected, got {host[:64]!r}; write IPv4 as 127.0.0.1"
            )
        addresses = await self._resolve(host, port)
        for address in addresses:
            self.check(address, port, is_remote=is_remote)
        return Target(host, port, tuple(map(str, addresses)))

    def check(self, address: Address, port: int, *, is_remote: bool = False) -> None:
        """Refuses an address where no user function may be called; arguments as of `target`.

        Raises:
            CallbackRefused: with what to change.
        """
        real = _unmapped(address)
        self._check_port(port)
        kind = _never(real)
        if kind is not None:
            raise CallbackRefused(
                f"callback address {real} is {kind}: no user function is called there; name the address it listens on"
            )
        if is_remote and real.is_loopback:
            raise CallbackRefused(
                f"callback address {real} is this machine's own, and the registration came from another; register from "
                "here, or leave the callback to --user-function-host and --user-function-port"
            )
        if not any(entry.covers(real, port) for entry in self._allowed):
            raise CallbackRefused(
                f"callback address {real}, port {port}, is neither loopback nor allowed; {HOW_TO_ALLOW}"
            )

    def _check_port(self, port: int) -> None:
        if port in self._own_ports():
            raise CallbackRefused(
                f"callback port {port} is this node's own; let the user function listen on another, and name it by "
                "--user-function-port or CRDTMESH_USER_FUNCTION_PORT"
            )


def _literal(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise CallbackRefused(f"callback address {host[:64]!r} has a zone; name one that is valid without")
    return address


def _unmapped(address: Address) -> Address:
    """The address that a connection goes to in the end."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


def _never(address: Address) -> str | None:
    """Why nobody's setting makes this address a user function; None when it could be one."""
    if address in _METADATA:
        return "a cloud's metadata service"
    if address.is_unspecified:
        return "no address but a place to listen on"
    if address.is_link_local:
        return "link-local, where clouds have their metadata service"
    if address.is_multicast:
        return "multicast"
    if isinstance(address, ipaddress.IPv4Address):
        return "reserved" if address.is_reserved or int(address) >> 24 == 0 else None
    # Other ways to write an IPv4 address: who wants one writes it as one.
    embeds = address.sixtofour or address.teredo or address in _NAT64 or address in _COMPATIBLE
    return "an IPv4 address in disguise" if embeds and not address.is_loopback else None


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
