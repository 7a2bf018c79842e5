"""Names, endpoints and the limits of incarnations.

A node is known by its name; its address and port may change between runs. The *start id* that tells two runs of one
node apart travels inside the metadata and is the application's: gossip carries metadata unread.
"""

import ipaddress
from typing import NamedTuple, NewType

from gossip.errors import ConfigError, DecodeError, RejectReason

NodeName = NewType("NodeName", str)
"""A node's name: unique in the cluster, at most 255 bytes of UTF-8. Bytes that are no UTF-8 become surrogate
escapes."""

NO_NAME = NodeName("")

NAME_SIZE_BYTES_MAX = 255
"""Names end up in every suspicion and death notice; longer ones would leave a packet no room for anything else."""

META_SIZE_BYTES_MAX = 512
"""The wire protocol's constant: every agent refuses an announcement with more."""

INCARNATION_MAX = 2**32 - 1
"""Incarnations are u32 on the wire and must not wrap: other implementations wrap silently and then lose every
comparison."""

INCARNATION_CLAIM_MAX = INCARNATION_MAX - 2**16
"""The highest incarnation accepted from anyone. The room above it stays free for refutations, so that a forged claim at
this height can still be refuted 65,535 times."""

PORT_MAX = 65_535


class Endpoint(NamedTuple):
    """An IP address (a DNS name only before it is resolved) with a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str, *, default_port: int) -> Endpoint:
    """Reads `host`, `host:port`, `[v6]` or `[v6]:port`.

    Raises:
        ConfigError: the text is none of these; nothing was changed.
    """
    host, port_text = text, ""
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise ConfigError(f"expected [address]:port, got {text[:64]!r}")
        port_text = rest[1:]
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
    if not host:
        raise ConfigError(f"expected host:port, got {text[:64]!r}")
    if not port_text:
        return Endpoint(host, default_port)
    if not port_text.isascii() or not port_text.isdigit() or not 0 < int(port_text) <= PORT_MAX:
        raise ConfigError(f"expected a port between 1 and {PORT_MAX} after the host, got {text[:64]!r}")
    return Endpoint(host, int(port_text))


def address_of(host: str) -> bytes:
    """The 4 or 16 bytes that announce `host` on the wire.

    Raises:
        ConfigError: `host` is no IP address; nothing was changed.
    """
    try:
        return ipaddress.ip_address(host).packed
    except ValueError:
        raise ConfigError(f"expected an IP address to announce, got {host[:64]!r}") from None


def host_of(address: bytes) -> str:
    """The text of 4 or 16 address bytes; IPv4 mapped into IPv6 becomes plain IPv4.

    Raises:
        DecodeError: any other number of bytes.
    """
    if len(address) == 4:
        return f"{address[0]}.{address[1]}.{address[2]}.{address[3]}"
    if len(address) == 16:
        v6 = ipaddress.IPv6Address(address)
        return str(v6.ipv4_mapped or v6)
    raise DecodeError(RejectReason.MALFORMED, f"expected an address of 4 or 16 bytes, got {len(address)}")


def name_bytes(name: NodeName) -> bytes:
    """The bytes of a name on the wire."""
    return name.encode("utf-8", "surrogateescape")


def name_of(raw: bytes) -> NodeName:
    """The name in bytes from the wire; any bytes survive the round trip."""
    return NodeName(raw.decode("utf-8", "surrogateescape"))


def check_name(name: str) -> NodeName:
    """A name that can be announced.

    Raises:
        ConfigError: it is empty or longer than 255 bytes.
    """
    node = NodeName(name)
    if not 1 <= len(name_bytes(node)) <= NAME_SIZE_BYTES_MAX:
        raise ConfigError(f"expected a node name of 1 to {NAME_SIZE_BYTES_MAX} bytes, got {name[:64]!r}")
    return node


def check_meta(meta: bytes) -> bytes:
    """Metadata that can be announced.

    Raises:
        ConfigError: it is longer than 512 bytes.
    """
    if len(meta) > META_SIZE_BYTES_MAX:
        raise ConfigError(f"metadata takes {len(meta)} bytes, at most {META_SIZE_BYTES_MAX} fit; shorten the tags")
    return meta
