"""Who may bind where, and the seam for encrypted channels.

A link without certificates proves nothing about its peer, so beyond loopback it needs a word from the operator.
Membership has the same rule and the node calls `require_secure` for both.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Protocol

from crdtmesh.links.errors import InsecureBindError, bounded
from crdtmesh.links.options import Identity

if TYPE_CHECKING:
    from crdtmesh.links.tls import TlsChannel

__all__ = ["LinkSecurity", "PlainLinks", "require_secure"]


def require_secure(bind: str, *, insecure: bool) -> bool:
    """Refuse an address beyond loopback unless the operator wrote `--insecure`.

    Args:
        bind: an IP address, or `localhost`. Other names may resolve to anything and count as beyond loopback.
        insecure: whether `--insecure` was given.

    Returns:
        True when the address is exposed, so that the node says so at each start; False on loopback.

    Raises:
        InsecureBindError: the address is beyond loopback and `insecure` is False.
    """
    if _is_loopback(bind):
        return False
    if not insecure:
        raise InsecureBindError(
            f"loopback address expected without certificates, got --bind {bounded(bind)}; bind to 127.0.0.1, or "
            "write --insecure to let anyone who reaches this address join, read and change everything"
        )
    return True


def _is_loopback(bind: str) -> bool:
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
