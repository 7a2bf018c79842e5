"""Messages on streams: one request per connection, at most one answer, both without length framing unless encrypted.

`StreamReader` takes chunks as they come and gives the message when it is complete. Sizes are checked as soon as they
are announced, before anything is kept.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack

from gossip.codec import (
    CONTAINER_LENGTH_MAX,
    STATES_MAX,
    Body,
    check_map,
    encode,
    pack,
    pack_node_state,
    read_body,
    read_bool,
    read_error,
    read_node_state,
    read_uint,
    unpack_map,
)
from gossip.errors import DecodeError, RejectReason
from gossip.messages import Message, MessageType, NodeState, PushPull, User
from gossip.packets import PacketLayers, unwrap_compressed, wrap_compressed
from gossip.security import NONCE_SIZE_BYTES, add_label

_FRAME_HEADER = struct.Struct(">BI")

_LABEL_BODY = 2

KnownStates = Callable[[], Mapping[bytes, NodeState]]
"""Gives the entries that a node knows, by the bytes that a push/pull shows them with."""

_UNPACK_ERRORS = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)


def encode_push_pull(message: PushPull, *, signed_integers: bool = False) -> bytes:
    """Writes a push/pull with its type byte.

    Args:
        message: what to write.
        signed_integers: write counts above 127 as newer peers do; every reader takes both forms.
    Complexity: O(states).
    """
    packed = [pack_node_state(state) for state in message.states]
    return encode_table(packed, is_join=message.is_join, user_state=message.user_state, signed_integers=signed_integers)


def encode_table(
    packed_states: Sequence[bytes], *, is_join: bool, user_state: bytes, signed_integers: bool = False
) -> bytes:
    """Writes a push/pull of entries that are packed already; otherwise as `encode_push_pull`."""
    head = {"Join": is_join, "Nodes": len(packed_states), "UserStateLen": len(user_state)}
    parts = [bytes((MessageType.PUSH_PULL,)), _pack_header(head, signed_integers=signed_integers)]
    parts.extend(packed_states)
    parts.append(user_state)
    return b"".join(parts)


def encode_user_stream(payload: bytes) -> bytes:
    """Writes an application's message for a stream, where its length goes in front."""
    return bytes((MessageType.USER,)) + pack({"UserMsgLen": len(payload)}) + payload


def _pack_header(fields: dict[str, int], *, signed_integers: bool) -> bytes:
    if not signed_integers:
        return pack(fields)
    packed = bytes((0x80 | len(fields),))
    for key, value in fields.items():
        packed += pack(key) + (b"\xd1" + struct.pack(">h", value) if 127 < value < 2**15 else pack(value))
    return packed


def seal_stream(message: bytes, layers: PacketLayers, *, is_dialler: bool) -> bytes:
    """Puts the layers around a message for a stream; only the side that dialled writes a label header."""
    if layers.compression:
        message = wrap_compressed(message)
    if layers.keyring is not None and layers.verify_outgoing:
        assert layers.entropy is not None
        version = layers.sealing_version
        size = layers.keyring.sealed_size_bytes(len(message), version=version)
        head = _FRAME_HEADER.pack(MessageType.ENCRYPT, size)
        nonce = layers.entropy(NONCE_SIZE_BYTES)
        message = head + layers.keyring.seal(message, nonce=nonce, associated=head + layers.label, version=version)
    return add_label(message, layers.label) if is_dialler else message


def encode_for_stream(message: Message) -> bytes:
    """Writes any message in the form it has on a stream, without layers."""
    if isinstance(message, PushPull):
        return encode_push_pull(message)
    if isinstance(message, User):
        return encode_user_stream(message.payload)
    return encode(message)


class StreamReader:
    """Reads the one message that a side of a connection sends.

    Args:
        layers: label and keys of this node.
        is_inbound: whether the peer dialled: then it writes a label header first.
        size_bytes_max: the most that may be kept, before and after decompression.
        known: entries that need no decoding; called once for each table. In a cluster at rest they are all of it.
    """

    def __init__(
        self, layers: PacketLayers, *, is_inbound: bool, size_bytes_max: int, known: KnownStates = dict
    ) -> None:
        self._layers = layers
        self._known = known
        self._wants_label = is_inbound
        self._size_max = size_bytes_max
        self._buffer = bytearray()
        self._plain: _PlainReader | None = None

    def feed(self, data: bytes) -> Message | None:
        """Takes the next chunk; the message once it is complete.

        Raises:
            DecodeError: the stream can't be used; close it.
        Complexity: O(chunk) except when the message completes.
        """
        if self._plain is not None:
            return self._plain.feed(data)
        self._buffer += data
        if len(self._buffer) > self._size_max:
            raise DecodeError(RejectReason.TOO_LARGE, f"a stream of more than {self._size_max} bytes")
        if not self._buffer or (self._wants_label and not self._take_label()) or not self._buffer:
            return None
        if self._buffer[0] == MessageType.ENCRYPT:
            return self._read_sealed()
        if self._layers.keyring is not None and self._layers.verify_incoming:
            raise DecodeError(RejectReason.DECRYPTION, "expected an encrypted stream")
        self._plain = _PlainReader(self._size_max, known=self._known)
        return self._plain.feed(bytes(self._buffer))

    def _take_label(self) -> bool:
        """Removes the label header if all of it is here."""
        label = b""
        if self._buffer[0] == MessageType.LABEL:
            if len(self._buffer) < _LABEL_BODY:
                return False
            end = _LABEL_BODY + self._buffer[1]
            if len(self._buffer) < end:
                return False
            label = bytes(self._buffer[_LABEL_BODY:end])
            del self._buffer[:end]
        if label != self._layers.label:
            raise DecodeError(RejectReason.LABEL, f"expected label {self._layers.label!r:.64}, got {label!r:.64}")
        self._wants_label = False
        return True

    def _read_sealed(self) -> Message | None:
        if len(self._buffer) < _FRAME_HEADER.size:
            return None
        size = _FRAME_HEADER.unpack_from(self._buffer)[1]
        if size > self._size_max:
            raise DecodeError(RejectReason.TOO_LARGE, f"a frame of {size} bytes, at most {self._size_max} are allowed")
        if self._layers.keyring is None:
            raise DecodeError(RejectReason.DECRYPTION, "an encrypted stream, but encryption is not configured")
        end = _FRAME_HEADER.size + size
        if len(self._buffer) < end:
            return None
        head, sealed = bytes(self._buffer[: _FRAME_HEADER.size]), bytes(self._buffer[_FRAME_HEADER.size : end])
        plain = self._layers.keyring.open(sealed, associated=head + self._layers.label)
        message = _PlainReader(self._size_max, known=self._known).feed(plain)
        if message is None:
            raise DecodeError(RejectReason.MALFORMED, "an encrypted stream that ends early")
        return message


class _PlainReader:
    """Reads a message that is not encrypted, or no longer."""

    def __init__(self, size_bytes_max: int, *, known: KnownStates, may_be_compressed: bool = True) -> None:
        self._size_max = size_bytes_max
        self._known = known
        self._may_be_compressed = may_be_compressed
        self._kind = -1
        self._header: Body | None = None
        self._table: _TableReader | None = None
        self._raw: list[bytes] = []
        self._raw_size = 0
        self._fed = 0
        self._unpacker: Any = msgpack.Unpacker(
            raw=True,
            strict_map_key=True,
            max_buffer_size=size_bytes_max,
            max_str_len=size_bytes_max,
            max_array_len=CONTAINER_LENGTH_MAX,
            max_map_len=CONTAINER_LENGTH_MAX,
            max_ext_len=0,
        )

    def feed(self, data: bytes) -> Message | None:
        if self._kind < 0 and data:
            self._kind, data = data[0], data[1:]
        self._fed += len(data)
        if self._fed > self._size_max:
            raise DecodeError(RejectReason.TOO_LARGE, f"a stream of more than {self._size_max} bytes")
        try:
            self._unpacker.feed(data)
            if self._table is not None:
                self._table.feed(data)
            return self._advance(data)
        except msgpack.OutOfData:
            return None
        except _UNPACK_ERRORS as error:
            raise DecodeError(RejectReason.MALFORMED, f"no msgpack map: {error!r:.64}") from None

    def _advance(self, data: bytes) -> Message | None:
        """Reads on from where the last chunk ended; `OutOfData` passes through."""
        if self._header is None:
            self._header = check_map(self._unpacker.unpack())
            if self._kind == MessageType.PUSH_PULL:
                self._table = self._begin_table(self._header, data)
        if self._table is not None:
            return self._read_push_pull(self._header, self._table)
        if self._kind == MessageType.USER:
            payload = self._read_raw(read_uint(self._header, b"UserMsgLen", self._size_max))
            return None if payload is None else User(payload)
        if self._kind == MessageType.COMPRESS and self._may_be_compressed:
            inner = unwrap_compressed(self._header, size_bytes_max=self._size_max)
            return self._read_inner(inner)
        if self._kind == MessageType.ERROR:
            return read_error(self._header)
        if self._kind in (MessageType.PING, MessageType.ACK):
            return read_body(self._kind, self._header)
        raise DecodeError(RejectReason.NOT_SUPPORTED, f"message type {self._kind} on a stream")

    def _read_inner(self, inner: bytes) -> Message:
        message = _PlainReader(self._size_max, known=self._known, may_be_compressed=False).feed(inner)
        if message is None:
            raise DecodeError(RejectReason.MALFORMED, "a compressed stream that ends early")
        return message

    def _begin_table(self, header: Body, data: bytes) -> "_TableReader":
        """The reader of the entries; those in the last chunk, `data`, begin behind the header."""
        count = read_uint(header, b"Nodes", STATES_MAX)
        at = self._unpacker.tell()
        return _TableReader(self._unpacker, self._known(), count=count, at=at, data=data[len(data) - self._fed + at :])

    def _read_push_pull(self, header: Body, table: "_TableReader") -> PushPull | None:
        size = read_uint(header, b"UserStateLen", self._size_max)
        table.read()
        user_state = self._read_raw(size)
        if user_state is None:
            return None
        return PushPull(read_bool(header, b"Join"), tuple(table.states), user_state)

    def _read_raw(self, size: int) -> bytes | None:
        """Exactly `size` bytes after the maps, or nothing while they have not all come."""
        chunk = self._unpacker.read_bytes(size - self._raw_size)
        self._raw.append(chunk)
        self._raw_size += len(chunk)
        return b"".join(self._raw) if self._raw_size == size else None


class _TableReader:
    """Reads the entries of a push/pull one by one, from a stream that an unpacker reads along.

    Args:
        unpacker: stands where the entries begin; it finds where each one ends.
        known: entries that need no decoding.
        count: how many there are.
        at: the place in the stream where they begin.
        data: what has come from there on.
    """

    def __init__(self, unpacker: Any, known: Mapping[bytes, NodeState], *, count: int, at: int, data: bytes) -> None:
        self._unpacker = unpacker
        self._known = known
        self._count = count
        self._at = at
        self._window = bytearray(data)
        self.states: list[NodeState] = []

    def feed(self, data: bytes) -> None:
        """Takes the next chunk, which the unpacker got too."""
        if len(self.states) < self._count:
            self._window += data

    def read(self) -> None:
        """Reads on until all entries are there; `OutOfData` passes through."""
        window_at = self._at
        try:
            while len(self.states) < self._count:
                self._unpacker.skip()
                end = self._unpacker.tell()
                packed = bytes(self._window[self._at - window_at : end - window_at])
                self._at = end
                state = self._known.get(packed)
                self.states.append(read_node_state(unpack_map(packed)) if state is None else state)
        finally:
            del self._window[: self._at - window_at]
