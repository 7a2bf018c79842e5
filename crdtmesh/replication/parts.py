"""Cuts messages above the payload limit into parts, and puts them together again.

A message is applied whole or not at all, so a part means nothing alone: this is how an entry above the payload limit,
or the keys of one event, stay atomic. Parts may be lost, repeated and reordered; a message that misses one is forgotten
when the sender's next one begins, and repair asks again.
"""

import struct
from typing import Final

from crdtmesh.replication.options import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX

WHOLE: Final = b"\x00"
PART: Final = b"\x01"

_HEADER: Final = struct.Struct(">BIHH")
"""PART, number of the message, index of the part, count of parts."""

_PART_BYTES: Final = PAYLOAD_BYTES_MAX - _HEADER.size
_PARTS_MAX: Final = -(-MESSAGE_BYTES_MAX // _PART_BYTES)


class MalformedPart(Exception):
    """A payload that is no part of anything; `args[0]` says why."""


def split(message: bytes, number: int) -> list[bytes]:
    """The payloads that carry a message: one, unless it is above the payload limit.

    Args:
        message: at most MESSAGE_BYTES_MAX.
        number: differs from that of the messages before; modulo 2**32.
    """
    if len(message) < PAYLOAD_BYTES_MAX:
        return [WHOLE + message]
    count = -(-len(message) // _PART_BYTES)
    assert count <= _PARTS_MAX
    number &= 0xFFFF_FFFF
    return [
        _HEADER.pack(PART[0], number, index, count) + message[index * _PART_BYTES : (index + 1) * _PART_BYTES]
        for index in range(count)
    ]


class Assembler:
    """Puts together the messages of one peer; holds at most one unfinished message of MESSAGE_BYTES_MAX."""

    __slots__ = ("_count", "_number", "_parts")

    def __init__(self) -> None:
        self._number = -1
        self._count = 0
        self._parts: dict[int, bytes] = {}

    def receive(self, payload: bytes) -> bytes | None:
        """The message that this payload carries or completes, or None while parts are missing.

        Raises:
            MalformedPart: the payload is dropped, an unfinished message stays.
        """
        kind = payload[:1]
        if kind == WHOLE:
            return payload[1:]
        if kind != PART or len(payload) <= _HEADER.size or len(payload) > PAYLOAD_BYTES_MAX:
            raise MalformedPart(f"payload of {len(payload)} bytes is neither whole nor a part")
        _, number, index, count = _HEADER.unpack_from(payload)
        if not index < count <= _PARTS_MAX:
            raise MalformedPart(f"part {index} of {count}, at most {_PARTS_MAX} expected")
        if number != self._number or count != self._count:
            self._number, self._count = number, count
            self._parts.clear()
        self._parts[index] = payload[_HEADER.size :]
        if len(self._parts) < count:
            return None
        message = b"".join(self._parts[position] for position in range(count))
        self._number = -1
        self._parts.clear()
        return message
