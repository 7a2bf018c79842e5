"""Message bodies: memberlist's bytes to messages and back, with every limit checked first.

A body is a msgpack map in the dialect of the other implementations: strings and bytes both in the *old raw family*
(never str8, never bin), struct keys sorted. Reading is lenient where the others are (any key order, unknown keys,
missing keys, trailing bytes, wider integers) and strict on types and ranges, so that nothing unchecked reaches the
machine.

Layers around a message are in `packets` (datagrams) and `streams`.
"""

from collections.abc import Callable
from typing import Any

import msgpack

from gossip.errors import DecodeError, RejectReason
from gossip.identity import (
    INCARNATION_MAX,
    META_SIZE_BYTES_MAX,
    NAME_SIZE_BYTES_MAX,
    PORT_MAX,
    NodeName,
    name_bytes,
    name_of,
)
from gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    MemberState,
    Message,
    MessageType,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
    User,
)

SEQUENCE_MAX = 2**32 - 1

CONTAINER_LENGTH_MAX = 64
"""Our messages have at most 7 fields and no arrays longer than the 6 version numbers; more room is for fields that
later versions add. It also bounds what msgpack allocates ahead for arrays nested in arrays."""

PACKET_SIZE_BYTES_MAX = 65_536
"""No datagram is larger; strings inside one can't be longer either."""

STATES_MAX = 1_048_576
"""The largest table that the other implementations accept in one push/pull."""

VERSIONS_SIZE = 6

_ERROR_TEXT_MAX = 256

_UNPACK_ERRORS = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)

Body = dict[bytes, Any]


def pack(value: object) -> bytes:
    """Writes msgpack in the dialect of the wire; dicts keep their order, so build them sorted."""
    packed: bytes = msgpack.packb(value, use_bin_type=False)
    return packed


def unpack_map(data: bytes | memoryview) -> Body:
    """Reads one map at the start of `data`; what follows it is ignored.

    Raises:
        DecodeError: it is no msgpack map, or exceeds a limit.
    """
    try:
        body = msgpack.unpackb(
            data,
            raw=True,
            strict_map_key=True,
            max_array_len=CONTAINER_LENGTH_MAX,
            max_map_len=CONTAINER_LENGTH_MAX,
            max_ext_len=0,
        )
    except msgpack.ExtraData as extra:
        body = extra.unpacked
    except _UNPACK_ERRORS as error:
        raise DecodeError(RejectReason.MALFORMED, f"no msgpack map: {error!r:.64}") from None
    return check_map(body)


def check_map(value: object) -> Body:
    """Passes a map with byte string keys through.

    Raises:
        DecodeError: it is something else.
    """
    if not isinstance(value, dict):
        raise DecodeError(RejectReason.MALFORMED, f"expected a map, got {type(value).__name__}")
    return value


# --- reading fields: a missing key is the zero value, as in Go


def read_uint(body: Body, key: bytes, maximum: int) -> int:
    """A whole number between 0 and `maximum`."""
    value = body.get(key, 0)
    if type(value) is not int or not 0 <= value <= maximum:
        raise DecodeError(RejectReason.MALFORMED, f"expected {key!r} between 0 and {maximum}, got {value!r:.64}")
    return value


def read_bytes(body: Body, key: bytes, maximum: int) -> bytes:
    """At most `maximum` bytes; nil is empty, and an array of small numbers is read as bytes."""
    value = body.get(key)
    if value is None:
        return b""
    if isinstance(value, list):
        try:
            value = bytes(value)
        except (TypeError, ValueError):
            raise DecodeError(RejectReason.MALFORMED, f"expected bytes in {key!r}, got {value!r:.64}") from None
    if not isinstance(value, bytes):
        raise DecodeError(RejectReason.MALFORMED, f"expected bytes in {key!r}, got {value!r:.64}")
    if len(value) > maximum:
        raise DecodeError(RejectReason.TOO_LARGE, f"{key!r} has {len(value)} bytes, at most {maximum} are allowed")
    return value


def read_bool(body: Body, key: bytes) -> bool:
    """A truth value; 0 and 1 are accepted."""
    value = body.get(key, False)
    if value not in (0, 1):
        raise DecodeError(RejectReason.MALFORMED, f"expected a truth value in {key!r}, got {value!r:.64}")
    return bool(value)


def _read_name(body: Body, key: bytes, *, may_be_empty: bool = False) -> NodeName:
    raw = read_bytes(body, key, NAME_SIZE_BYTES_MAX)
    if not raw and not may_be_empty:
        raise DecodeError(RejectReason.MALFORMED, f"expected a node name in {key!r}, got none")
    return name_of(raw)


def _read_address(body: Body, key: bytes, *, may_be_empty: bool = False) -> bytes:
    raw = read_bytes(body, key, 16)
    if len(raw) not in (4, 16) and (raw or not may_be_empty):
        raise DecodeError(RejectReason.MALFORMED, f"expected 4 or 16 address bytes in {key!r}, got {len(raw)}")
    return raw


# --- one reader for each message type


def _read_ping(body: Body) -> Ping:
    return Ping(
        read_uint(body, b"SeqNo", SEQUENCE_MAX),
        _read_name(body, b"Node", may_be_empty=True),
        _read_address(body, b"SourceAddr", may_be_empty=True),
        read_uint(body, b"SourcePort", PORT_MAX),
        _read_name(body, b"SourceNode", may_be_empty=True),
    )


def _read_indirect_ping(body: Body) -> IndirectPing:
    return IndirectPing(
        sequence=read_uint(body, b"SeqNo", SEQUENCE_MAX),
        node=_read_name(body, b"Node"),
        target=_read_address(body, b"Target"),
        port=read_uint(body, b"Port", PORT_MAX),
        nack=read_bool(body, b"Nack"),
        source_address=_read_address(body, b"SourceAddr", may_be_empty=True),
        source_port=read_uint(body, b"SourcePort", PORT_MAX),
        source_node=_read_name(body, b"SourceNode", may_be_empty=True),
    )


def _read_ack(body: Body) -> Ack:
    return Ack(read_uint(body, b"SeqNo", SEQUENCE_MAX), read_bytes(body, b"Payload", PACKET_SIZE_BYTES_MAX))


def _read_nack(body: Body) -> Nack:
    return Nack(read_uint(body, b"SeqNo", SEQUENCE_MAX))


def _read_suspect(body: Body) -> Suspect:
    return Suspect(
        read_uint(body, b"Incarnation", INCARNATION_MAX), _read_name(body, b"Node"), _read_name(body, b"From")
    )


def _read_dead(body: Body) -> Dead:
    return Dead(read_uint(body, b"Incarnation", INCARNATION_MAX), _read_name(body, b"Node"), _read_name(body, b"From"))


def _read_alive(body: Body) -> Alive:
    return Alive(
        incarnation=read_uint(body, b"Incarnation", INCARNATION_MAX),
        node=_read_name(body, b"Node"),
        address=_read_address(body, b"Addr"),
        port=read_uint(body, b"Port", PORT_MAX),
        meta=read_bytes(body, b"Meta", META_SIZE_BYTES_MAX),
        versions=read_bytes(body, b"Vsn", VERSIONS_SIZE),
    )


def read_error(body: Body) -> ErrorReply:
    """The body of an error reply; its text is cut to a size fit for a log line."""
    return ErrorReply(read_bytes(body, b"Error", PACKET_SIZE_BYTES_MAX)[:_ERROR_TEXT_MAX].decode("utf-8", "replace"))


def read_node_state(body: Body) -> NodeState:
    """One entry of a push/pull."""
    return NodeState(
        node=_read_name(body, b"Name"),
        address=_read_address(body, b"Addr"),
        port=read_uint(body, b"Port", PORT_MAX),
        incarnation=read_uint(body, b"Incarnation", INCARNATION_MAX),
        state=MemberState(read_uint(body, b"State", MemberState.LEFT)),
        meta=read_bytes(body, b"Meta", META_SIZE_BYTES_MAX),
        versions=read_bytes(body, b"Vsn", VERSIONS_SIZE),
    )


_READERS: dict[int, Callable[[Body], Message]] = {
    MessageType.PING: _read_ping,
    MessageType.INDIRECT_PING: _read_indirect_ping,
    MessageType.ACK: _read_ack,
    MessageType.NACK: _read_nack,
    MessageType.SUSPECT: _read_suspect,
    MessageType.DEAD: _read_dead,
    MessageType.ALIVE: _read_alive,
}

_STREAM_ONLY = frozenset({MessageType.PUSH_PULL, MessageType.ENCRYPT, MessageType.ERROR, MessageType.LABEL})


def read_body(kind: int, body: Body) -> Message:
    """The message of a type whose body is one map.

    Raises:
        DecodeError: a field of a wrong type or range.
        KeyError: `kind` is none of those types.
    """
    return _READERS[kind](body)


def decode(data: bytes) -> Message:
    """Reads one message as it stands in a datagram: its type byte and its body.

    Raises:
        DecodeError: with the reason; nothing that fails a check is returned.
    """
    if not data:
        raise DecodeError(RejectReason.MALFORMED, "an empty message")
    if data[0] in _READERS:
        return read_body(data[0], unpack_map(memoryview(data)[1:]))
    if data[0] == MessageType.USER:
        return User(data[1:])
    if data[0] in _STREAM_ONLY:
        raise DecodeError(RejectReason.NOT_SUPPORTED, f"message type {data[0]} in a datagram")
    raise DecodeError(RejectReason.UNKNOWN_TYPE, f"message type {data[0]}")


# --- writing: keys in byte order


def _source_fields(message: Ping | IndirectPing) -> dict[str, Any]:
    """The three optional keys that name the sender; empty ones are left out, as the others do."""
    fields: dict[str, Any] = {}
    if message.source_address:
        fields["SourceAddr"] = message.source_address
    if message.source_node:
        fields["SourceNode"] = name_bytes(message.source_node)
    if message.source_port:
        fields["SourcePort"] = message.source_port
    return fields


def _ping_body(m: Ping) -> dict[str, Any]:
    return {"Node": name_bytes(m.node), "SeqNo": m.sequence, **_source_fields(m)}


def _indirect_ping_body(m: IndirectPing) -> dict[str, Any]:
    head = {"Nack": m.nack, "Node": name_bytes(m.node), "Port": m.port, "SeqNo": m.sequence}
    return {**head, **_source_fields(m), "Target": m.target}


def _claim_body(m: Suspect | Dead) -> dict[str, Any]:
    return {"From": name_bytes(m.accuser), "Incarnation": m.incarnation, "Node": name_bytes(m.node)}


def _alive_body(m: Alive) -> dict[str, Any]:
    return {
        "Addr": m.address,
        "Incarnation": m.incarnation,
        "Meta": m.meta or None,
        "Node": name_bytes(m.node),
        "Port": m.port,
        "Vsn": m.versions or None,
    }


def _node_state_body(m: NodeState) -> dict[str, Any]:
    return {
        "Addr": m.address,
        "Incarnation": m.incarnation,
        "Meta": m.meta or None,
        "Name": name_bytes(m.node),
        "Port": m.port,
        "State": int(m.state),
        "Vsn": m.versions or None,
    }


def pack_node_state(m: NodeState) -> bytes:
    """The bytes of one push/pull entry."""
    return pack(_node_state_body(m))


_WRITERS: dict[type[Any], tuple[int, Callable[[Any], dict[str, Any]]]] = {
    Ping: (MessageType.PING, _ping_body),
    IndirectPing: (MessageType.INDIRECT_PING, _indirect_ping_body),
    Ack: (MessageType.ACK, lambda m: {"Payload": m.payload or None, "SeqNo": m.sequence}),
    Nack: (MessageType.NACK, lambda m: {"SeqNo": m.sequence}),
    Suspect: (MessageType.SUSPECT, _claim_body),
    Dead: (MessageType.DEAD, _claim_body),
    Alive: (MessageType.ALIVE, _alive_body),
    ErrorReply: (MessageType.ERROR, lambda m: {"Error": m.text}),
}


def encode(message: Message) -> bytes:
    """Writes one message with its type byte. Push/pull is written by `streams`.

    Raises:
        TypeError: a message type that has no form of its own in a datagram.
    """
    if isinstance(message, User):
        return bytes((MessageType.USER,)) + message.payload
    if isinstance(message, PushPull):
        raise TypeError("a push/pull travels in a stream; use streams.encode_push_pull")
    kind, body = _WRITERS[type(message)]
    return bytes((kind,)) + pack(body(message))
