"""The seam for encrypted channels, and which addresses need them.

A link without certificates proves nothing about its peer, so beyond loopback it needs a word from the operator: the
node sees to that (`crdtmesh.security`).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Protocol

from crdtmesh.links.options import Identity

if TYPE_CHECKING:
    from crdtmesh.links.tls import TlsChannel

__all__ = ["LinkSecurity", "PlainLinks", "is_loopback"]


def is_loopback(bind: str) -> bool:
    """Whether only this machine reaches an address.

    Args:
        bind: an IP address, or `localhost`. Other names may resolve to anything and count as beyond loopback.
    """
    if bind == "localhost":
        return True
    try:
        address = ipaddress.ip_address(bind)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class LinkSecurity(Protocol):
    """How connections are encrypted, and how a hello is bound to what the channel proves."""

    def channel(self, *, dials: bool) -> TlsChannel | None:
        """For a new connection; None for plain TCP."""

    def stranger(self, channel: TlsChannel | None, *, dialled: str | None) -> str | None:
        """Why the other end of a channel may not speak at all; None when it may.

        Args:
            channel: that is up.
            dialled: the node that was dialled; None for an accepted connection.
        """

    def refusal(self, peer: Identity, channel: TlsChannel | None) -> str | None:
        """Why the channel does not prove that its other end is `peer`; None when it does."""


class PlainLinks:
    """No encryption and no proof: loopback, or a network whose operator wrote `--insecure`."""

    def channel(self, *, dials: bool) -> TlsChannel | None:
        """Plain TCP."""
        return None

    def stranger(self, channel: TlsChannel | None, *, dialled: str | None) -> str | None:
        """Everyone may speak."""
        return None

    def refusal(self, peer: Identity, channel: TlsChannel | None) -> str | None:
        """Everyone is believed."""
        return None
