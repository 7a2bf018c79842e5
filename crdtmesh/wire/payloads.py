"""Payloads: the two parts of an Any, and the plain Python values they stand for.

Decides how a plain value travels: as JSON text in Spawn's `JSONType`, in which a dataclass is the object of its
fields; `bytes` as `google.protobuf.BytesValue`; a protobuf message as itself; None as no payload at all (an empty type
URL). Leaves out what a payload means to an action
(`crdtmesh.sdk.binding`). Nodes pass payloads on unread; only the two ends, hosts and clients, come here.

The two wrappers are written and read by hand: one string or bytes field needs no message object, and this runs once per
call on both ends. A test holds the bytes against protobuf's own.
"""

from __future__ import annotations

import dataclasses
import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # documented in its source only; a test holds it
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = [
    "BYTES_TYPE_URL",
    "JSON_TYPE_URL",
    "NO_TYPE_URL",
    "PayloadError",
    "UnreadableAnswer",
    "decode",
    "encode",
    "is_json",
    "is_nothing",
]

NO_TYPE_URL: Final = ""
"""The type URL of a call or an answer without payload."""

JSON_TYPE_URL: Final = "type.googleapis.com/spawn.JSONType"
"""The type URL we write for JSON. Read are all that end in `JSONType`: the released SDKs use three packages for it."""

BYTES_TYPE_URL: Final = "type.googleapis.com/google.protobuf.BytesValue"

_TAG_LENGTH_DELIMITED_1: Final = 0x0A  # field 1, the only field of both wrappers


class PayloadError(ValueError):
    """A value can't be a payload, or a payload can't be read; nothing was sent or changed."""


class UnreadableAnswer(PayloadError):
    """A call was answered, so it has had its effect; its answer can't be read, or is none of the class asked for."""


def encode(value: Any) -> tuple[str, bytes]:
    """Turns a plain value into the two parts of an Any.

    Returns:
        Type URL and bytes; `("", b"")` for None.

    Raises:
        PayloadError: the value, or something in it, has no JSON form: another type, NaN, an infinity, a lone surrogate.
    """
    kind = type(value)
    if kind is str:
        return JSON_TYPE_URL, _json_wrapper(encode_basestring(value))
    if kind is int:
        return JSON_TYPE_URL, _json_wrapper(repr(value))
    if value is None:
        return NO_TYPE_URL, b""
    if isinstance(value, bytes | bytearray | memoryview):
        return BYTES_TYPE_URL, wrap(bytes(value))
    if (descriptor := getattr(kind, "DESCRIPTOR", None)) is not None and hasattr(value, "SerializeToString"):
        return f"type.googleapis.com/{descriptor.full_name}", value.SerializeToString()
    try:
        return JSON_TYPE_URL, _json_wrapper(_encode_json(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(
            f"expected a value with a JSON form, bytes or a protobuf message, got {kind.__name__}: {error!s:.128}"
        ) from None


def decode(type_url: str, payload: bytes) -> Any:
    """Turns the two parts of an Any into a plain value.

    A type that is neither JSON nor bytes comes back as its protobuf message where its class is loaded in this process,
    and as a `google.protobuf.any_pb2.Any` otherwise.

    Raises:
        PayloadError: the bytes don't fit the type, or are JSON with NaN or an infinity.
    """
    if not type_url:
        return None
    if type_url == JSON_TYPE_URL or is_json(type_url):
        return _load_json(payload)
    if type_url == BYTES_TYPE_URL:
        return unwrap(payload)
    if is_nothing(type_url):
        return None
    return _decode_message(type_url, payload)


def is_json(type_url: str) -> bool:
    """Whether a type URL names JSON text, in any of the packages that it has had."""
    return type_url.rpartition("/")[2].rpartition(".")[2] == "JSONType"


def is_nothing(type_url: str) -> bool:
    """Whether there is no payload: none at all, or Spawn's explicit nothing."""
    return not type_url or type_url.rpartition("/")[2].rpartition(".")[2] == "Noop"


def wrap(content: bytes) -> bytes:
    """The bytes of a message whose only field, number 1, is `content`; no bytes if that is empty."""
    return field(1, content)


def field(number: int, content: bytes, *, is_kept: bool = False) -> bytes:
    """The bytes of a length-delimited field; none for empty content, as protobuf leaves out a default.

    Args:
        number: of the field, below 16.
        content: text, bytes or a message.
        is_kept: empty content is written too: it is a member of a oneof, or an element.
    """
    size = len(content)
    if size < 0x80:
        return bytes((number << 3 | 2, size)) + content if size or is_kept else b""
    header = bytearray((number << 3 | 2,))
    while size >= 0x80:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return bytes(header) + content


def unwrap(data: bytes) -> bytes:
    """Field 1 of a wrapper message.

    Raises:
        PayloadError: the bytes are no such message.
    """
    size = len(data)
    # The usual case: one field, shorter than 128 bytes. Whatever else is legal (longer, repeated or unknown fields)
    # goes the long way.
    if size >= 2 and data[0] == _TAG_LENGTH_DELIMITED_1 and data[1] == size - 2 and size < 0x82:
        return data[2:]
    if not size:
        return b""
    from google.protobuf.message import DecodeError
    from google.protobuf.wrappers_pb2 import BytesValue

    try:
        return BytesValue.FromString(data).value
    except DecodeError:
        raise PayloadError(f"expected a message with one field, got {len(data)} bytes that are none") from None


def _json_wrapper(text: str) -> bytes:
    try:
        return wrap(text.encode())
    except UnicodeEncodeError as error:
        raise PayloadError(f"expected text that UTF-8 can carry, got a lone surrogate at {error.start}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, whose own values the encoder comes to next."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_fields_of).encode
_decode_json = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _load_json(payload: bytes) -> Any:
    content = unwrap(payload)
    if not content:
        return None
    try:
        text = content.decode()
        # Half of all payloads are one string or a small number; the general decoder spends most of its time on
        # finding out that nothing surrounds them.
        if text[0] == '"':
            value, end = scanstring(text, 1)
            if end == len(text):
                return value
        elif text.isdecimal() and text.isascii() and (len(text) == 1 or text[0] != "0") and len(text) < 20:
            return int(text)
        return _decode_json(text)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError too
        raise PayloadError(f"expected JSON, got {content[:32]!r}: {error!s:.128}") from None


def _decode_message(type_url: str, payload: bytes) -> Message:
    # The well-known types are known everywhere; each module enters its own.
    from google.protobuf import (  # noqa: F401
        any_pb2,
        duration_pb2,
        empty_pb2,
        struct_pb2,
        symbol_database,
        timestamp_pb2,
        wrappers_pb2,
    )
    from google.protobuf.message import DecodeError

    name = type_url.rpartition("/")[2]
    try:
        message_class = symbol_database.Default().GetSymbol(name)
    except KeyError:
        return any_pb2.Any(type_url=type_url, value=payload)
    try:
        return message_class.FromString(payload)
    except DecodeError:
        raise PayloadError(f"expected a {name}, got {len(payload)} bytes that are none") from None
