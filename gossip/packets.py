"""The layers of a datagram.

Outgoing: message or compound, compressed if that is shorter, checksum if the receiver takes it, sealed if there is a
key, label in front. Incoming the reverse; compounds and compressed messages may nest, to a depth and a total size.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gossip import lzw
from gossip.codec import PACKET_SIZE_BYTES_MAX, check_map, decode, pack, read_bytes, read_uint, unpack_map
from gossip.errors import DecodeError, RejectReason
from gossip.messages import Message, MessageType
from gossip.security import (
    NONCE_SIZE_BYTES,
    PADDING_SIZE_BYTES_MAX,
    SEALED_OVERHEAD_BYTES,
    VERSION_PADDED,
    VERSION_PLAIN,
    Keyring,
    add_label,
    strip_label,
)

COMPOUND_PARTS_MAX = 255
"""The count is one byte."""

COMPOUND_OVERHEAD_BYTES = 2
"""Type and count; each part costs as much again for its length."""

_DEPTH_MAX = 4
"""Senders nest twice at most: a compound inside a compressed message. Twice that leaves room for surprises."""

_EXPANDED_SIZE_BYTES_MAX = 4 * PACKET_SIZE_BYTES_MAX
"""All that the layers of one packet may expand to together. An honest packet is 1,400 bytes before compression."""

_PARTS_MAX = 1_024
"""All parts of one packet together: four full compounds. Without it 64 KiB could hold 32,000 empty parts to complain
about."""

_CRC_HEADER = struct.Struct(">BI")

Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in a datagram: its usable messages, and why the other parts were dropped."""

    messages: list[Message]
    rejected: list[DecodeError]


def compound(parts: Sequence[bytes]) -> bytes:
    """Joins messages into one; a single message stays bare.

    Args:
        parts: 1 to 255 messages, none of them empty: old agents crash on an empty part.
    """
    if len(parts) == 1:
        return parts[0]
    head = struct.pack(f">BB{len(parts)}H", MessageType.COMPOUND, len(parts), *map(len, parts))
    return head + b"".join(parts)


def wrap_compressed(message: bytes) -> bytes:
    """The compress message around `message`."""
    return bytes((MessageType.COMPRESS,)) + pack({"Algo": 0, "Buf": lzw.compress(message)})


def unwrap_compressed(body: object, *, size_bytes_max: int) -> bytes:
    """What the map of a compress message expands to.

    Raises:
        DecodeError: an unknown algorithm, bad data, or too much of it.
    """
    fields = check_map(body)
    if read_uint(fields, b"Algo", 255):
        raise DecodeError(RejectReason.NOT_SUPPORTED, "compressed by something other than LZW")
    return lzw.decompress(read_bytes(fields, b"Buf", size_bytes_max), size_bytes_max=size_bytes_max)


def add_crc(message: bytes) -> bytes:
    """Puts the checksum header in front."""
    return _CRC_HEADER.pack(MessageType.HAS_CRC, zlib.crc32(message)) + message


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketLayers:
    """Applies and removes the layers for one node.

    `entropy(n)` gives n bytes for nonces: `secrets.token_bytes` in production, a seeded source in simulation.
    """

    label: bytes = b""
    keyring: Keyring | None = None
    entropy: Entropy | None = None
    compression: bool = False
    verify_incoming: bool = True
    verify_outgoing: bool = True
    sealing_version: int = VERSION_PLAIN
    overhead_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        label_size = 2 + len(self.label) if self.label else 0
        sealing = SEALED_OVERHEAD_BYTES if self.keyring else 0
        if self.keyring and self.sealing_version == VERSION_PADDED:
            sealing += PADDING_SIZE_BYTES_MAX
        object.__setattr__(self, "overhead_bytes", label_size + sealing)

    def seal(self, parts: Sequence[bytes], *, crc: bool) -> bytes:
        """One datagram that holds all `parts`.

        Args:
            parts: 1 to 255 encoded messages.
            crc: whether the receiver is known to check it.
        """
        packet = compound(parts)
        if self.compression:
            smaller = wrap_compressed(packet)
            packet = smaller if len(smaller) < len(packet) else packet
        if crc:
            packet = add_crc(packet)
        if self.keyring is not None and self.verify_outgoing:
            assert self.entropy is not None
            nonce = self.entropy(NONCE_SIZE_BYTES)
            packet = self.keyring.seal(packet, nonce=nonce, associated=self.label, version=self.sealing_version)
        return add_label(packet, self.label)

    def open(self, datagram: bytes) -> Opened:
        """The messages of a datagram; a part of a compound that can't be used does not spoil the others.

        Raises:
            DecodeError: nothing of it can be used.
        """
        if len(datagram) > PACKET_SIZE_BYTES_MAX:
            raise DecodeError(RejectReason.TOO_LARGE, f"a datagram of {len(datagram)} bytes")
        label, packet = strip_label(datagram)
        if label != self.label:
            raise DecodeError(RejectReason.LABEL, f"expected label {self.label!r:.64}, got {label!r:.64}")
        packet = self._decrypt(packet)
        if len(packet) >= _CRC_HEADER.size and packet[0] == MessageType.HAS_CRC:
            checksum = _CRC_HEADER.unpack_from(packet)[1]
            packet = packet[_CRC_HEADER.size :]
            if zlib.crc32(packet) != checksum:
                raise DecodeError(RejectReason.CHECKSUM, "the checksum does not match")
        if packet and packet[0] not in (MessageType.COMPOUND, MessageType.COMPRESS):
            return Opened([decode(packet)], [])
        return _unfold(packet)

    def _decrypt(self, packet: bytes) -> bytes:
        if self.keyring is None:
            return packet
        try:
            return self.keyring.open(packet, associated=self.label)
        except DecodeError:
            if self.verify_incoming:
                raise
            return packet


def _unfold(packet: bytes) -> Opened:
    """Takes compounds and compressed messages apart, in order, without recursion."""
    opened = Opened([], [])
    room = _EXPANDED_SIZE_BYTES_MAX
    stack = [(packet, 0)]
    for _ in range(_PARTS_MAX):
        if not stack:
            return opened
        data, depth = stack.pop()
        try:
            if not data or data[0] not in (MessageType.COMPOUND, MessageType.COMPRESS):
                opened.messages.append(decode(data))
                continue
            if depth >= _DEPTH_MAX:
                opened.rejected.append(DecodeError(RejectReason.DEPTH, f"nested more than {_DEPTH_MAX} deep"))
            elif data[0] == MessageType.COMPRESS:
                limit = min(room, PACKET_SIZE_BYTES_MAX)
                inner = unwrap_compressed(unpack_map(memoryview(data)[1:]), size_bytes_max=limit)
                room -= len(inner)
                stack.append((inner, depth + 1))
            else:
                stack.extend((part, depth + 1) for part in reversed(_split(data, opened.rejected)))
        except DecodeError as error:
            opened.rejected.append(error)
    opened.rejected.append(DecodeError(RejectReason.TOO_LARGE, f"a packet of more than {_PARTS_MAX} parts"))
    return opened


def _split(data: bytes, rejected: list[DecodeError]) -> list[bytes]:
    """The parts of a compound; those that fit if the data ends early."""
    count = data[1] if len(data) > 1 else 0
    body = COMPOUND_OVERHEAD_BYTES + 2 * count
    if not count or body > len(data):
        raise DecodeError(RejectReason.MALFORMED, "a compound whose lengths are missing")
    parts = []
    for size in struct.unpack_from(f">{count}H", data, COMPOUND_OVERHEAD_BYTES):
        if body + size > len(data):
            rejected.append(DecodeError(RejectReason.MALFORMED, "a compound that ends early"))
            break
        parts.append(data[body : body + size])
        body += size
    return parts
