"""Networks with ports, as settings write them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

PORT_MAX: Final = 65_535

_ENTRY: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:./]+)\]|(?P<v4>[0-9./]+))(?::(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?)?"
)


@dataclass(frozen=True, slots=True)
class AllowedNetwork:
    """A network, and the ports in it, that may be connected to."""

    network: Network
    port_first: int = 1
    port_last: int = PORT_MAX

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `NETWORK`, `NETWORK:PORT` or `NETWORK:FIRST-LAST`; IPv6 with ports in brackets: `[fd00::/8]:8090`.

        Raises:
            ValueError: it is none of these.
        """
        match = _ENTRY.fullmatch(text)
        if match is None:
            return cls(ipaddress.ip_network(text))
        network = ipaddress.ip_network(match["v6"] or match["v4"])
        if match["first"] is None:
            return cls(network)
        first = int(match["first"])
        last = int(match["last"] or first)
        if not 1 <= first <= last <= PORT_MAX:
            raise ValueError(f"ports 1 to {PORT_MAX} in order expected, got {text!r:.64}")
        return cls(network, first, last)

    def covers(self, address: Address, port: int) -> bool:
        """Whether this entry allows it."""
        return address in self.network and self.port_first <= port <= self.port_last


def joined(host: str, port: int) -> str:
    """`HOST:PORT`, or `[V6]:PORT`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
