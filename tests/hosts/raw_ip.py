"""Bytes in a UDP/IPv4 header, so that what proxies carried can be looked at with the tools for captures."""

from __future__ import annotations

import socket
import struct


def datagram(source: str, target: str, data: bytes, *, port: int = 7946) -> bytes:
    """An IPv4 packet; no checksums, which readers take for left to the hardware.

    Args:
        source, target: addresses.
        data: at most 65,507 bytes; what is longer is cut.
        port: on both sides.
    """
    kept = data[:65_507]
    transport = struct.pack(">HHHH", port, port, len(kept) + 8, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    header = struct.pack(">BBHHHBBH", 0x45, 0, len(kept) + 28, 0, 0, 64, socket.IPPROTO_UDP, 0)
    return header + addresses + transport + kept
