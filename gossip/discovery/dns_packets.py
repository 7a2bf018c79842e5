"""Questions and answers of DNS, as far as SRV records need them.

The standard library asks for addresses only; a full resolver is a large dependency for one record type.

Source: RFC 1035, section 4; RFC 2782.
"""

import struct
from dataclasses import dataclass

from gossip.errors import ConfigError, DecodeError, RejectReason

_TYPE_SRV = 33
_CLASS_IN = 1
_HEADER = struct.Struct(">6H")
_RECORD = struct.Struct(">HHIH")
_SERVICE = struct.Struct(">3H")

_FLAG_ANSWER = 0x8000
_FLAG_RECURSE = 0x0100
_CODE_MASK = 0x000F

RECORDS_MAX = 128
"""Records read from one answer; a packet of 4 KiB holds about as many."""

_LABEL_MAX = 63
_NAME_MAX = 255
_JUMPS_MAX = 16
"""Pointers in one name. Honest names have one; a pointer to itself would never end."""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """Where a service is offered. Priority and weight are left out: every node is as good as the next."""

    target: str
    port: int


def encode_question(name: str, *, number: int) -> bytes:
    """A packet that asks for the SRV records of a name.

    Raises:
        ConfigError: it is no name of DNS.
    """
    labels = name.rstrip(".").encode("ascii", "replace").split(b".")
    if not all(1 <= len(label) <= _LABEL_MAX for label in labels) or len(name) >= _NAME_MAX:
        raise ConfigError(f"expected a name of DNS, got {name[:64]!r}")
    packed = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return _HEADER.pack(number, _FLAG_RECURSE, 1, 0, 0, 0) + packed + struct.pack(">HH", _TYPE_SRV, _CLASS_IN)


def decode_answer(packet: bytes, *, name: str, number: int) -> list[ServiceRecord]:
    """The SRV records in an answer.

    Raises:
        DecodeError: it is not the answer to that question, or it is broken.
    """
    try:
        return _read(packet, name.rstrip(".").lower(), number)
    except (struct.error, IndexError):
        raise DecodeError(RejectReason.MALFORMED, "an answer of DNS that ends early") from None


def _read(packet: bytes, name: str, number: int) -> list[ServiceRecord]:
    seen, flags, questions, answers, _, _ = _HEADER.unpack_from(packet)
    if seen != number or not flags & _FLAG_ANSWER or questions != 1:
        raise DecodeError(RejectReason.UNEXPECTED, "no answer to the question that was asked")
    asked, index = _read_name(packet, _HEADER.size)
    if asked.lower() != name:
        raise DecodeError(RejectReason.UNEXPECTED, f"an answer about {asked[:64]!r}")
    if flags & _CODE_MASK:
        raise DecodeError(RejectReason.UNEXPECTED, f"the name server answered with error {flags & _CODE_MASK}")
    index += 4
    records = []
    for _ in range(min(answers, RECORDS_MAX)):
        _, index = _read_name(packet, index)
        kind, group, _, size = _RECORD.unpack_from(packet, index)
        index += _RECORD.size
        if kind == _TYPE_SRV and group == _CLASS_IN:
            _, _, port = _SERVICE.unpack_from(packet, index)
            target, _ = _read_name(packet, index + _SERVICE.size)
            # A lone dot says that the service is not offered.
            if target and port:
                records.append(ServiceRecord(target, port))
        index += size
    return records


def _read_name(packet: bytes, index: int) -> tuple[str, int]:
    """The name at `index`, and where the packet goes on behind it."""
    labels: list[str] = []
    end = size = jumps = 0
    while (length := packet[index]) != 0:
        if length >= 0xC0:
            end = end or index + 2
            jumps += 1
            index = (length & 0x3F) << 8 | packet[index + 1]
        elif length > _LABEL_MAX:
            raise DecodeError(RejectReason.MALFORMED, "a label of DNS that is too long")
        else:
            size += length + 1
            labels.append(packet[index + 1 : index + 1 + length].decode("ascii", "replace"))
            index += 1 + length
        if jumps > _JUMPS_MAX or size > _NAME_MAX:
            raise DecodeError(RejectReason.MALFORMED, "a name of DNS without an end")
    return ".".join(labels), end or index + 1
