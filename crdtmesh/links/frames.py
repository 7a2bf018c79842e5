"""Frames: the bytes of a peer link.

A frame is a big-endian u32 length and that many bytes of msgpack, an array whose first element is the kind:

| kind | frame | what it is |
|---|---|---|
| 0 | `[0, magic, version, version_min, cluster, node, start_id, window, capabilities]` | hello: first of each side |
| 1 | `[1, token]` | ping |
| 2 | `[2, token]` | pong: the token of the newest ping |
| 3 | `[3, channel, bytes]` | credit: so much more may be sent on the channel |
| 4 | `[4, reason, detail]` | goodbye: last frame of a side |
| 5 | `[5, channel, [message, ...]]` | several small messages of one channel |
| 6 | `[6, channel, message]` | one message too large for a batch |

Hostile input. A length is checked before anything is allocated for it, and bytes are kept only as they arrive. A
msgpack array of empty arrays is 64 times larger in memory than on the wire, so no frame above 128 KiB ever reaches
the general decoder: the kind is read from its fixed place first, each kind has its own size limit, and a kind-6
frame must show a `bin` header where its message belongs. Maps and extension types are refused everywhere.

What a frame means is decided in `session`; what a hello must say, in `handshake`.
"""

import enum
import struct
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from crdtmesh.links.errors import CloseReason, RemoteProtocolError, bounded

__all__ = [
    "BATCH_SIZE_BYTES_MAX",
    "CREDIT_BYTES_MAX",
    "HANDSHAKE_FRAME_SIZE_BYTES_MAX",
    "MESSAGE_OVERHEAD_BYTES",
    "Channel",
    "Credit",
    "Frame",
    "FrameDecoder",
    "FrameEncoder",
    "Goodbye",
    "Hello",
    "Messages",
    "Ping",
    "Pong",
    "decode",
    "frame_size_bytes_max",
]


class Channel(enum.IntEnum):
    """The channels of a link; a lower number goes first."""

    CONTROL = 0
    INVOKE = 1
    REPLICATION = 2
    REPAIR = 3


class _Kind(enum.IntEnum):
    HELLO = 0
    PING = 1
    PONG = 2
    CREDIT = 3
    GOODBYE = 4
    BATCH = 5
    LARGE = 6


# What a message costs in queues, windows and batches beyond its length: a Python bytes object takes 33 bytes and its
# slot in a list or deque 8 to 16, so a flood of empty messages is bounded like one of large ones.
MESSAGE_OVERHEAD_BYTES: Final = 64

# All limits below are part of the protocol: both sides must agree, so they are no options.
#
# The whole gain of batching is reached at about 128 messages; 128 KiB holds 800 of 100 bytes. It also bounds what the
# general decoder may be made to build: 128 Ki empty lists of 64 bytes, or its 1,024 levels of nested arrays with room
# for 2,048 elements each; 16 MiB at worst, and dropped at once.
BATCH_SIZE_BYTES_MAX: Final = 128 << 10
_BATCH_MESSAGES_MAX: Final = BATCH_SIZE_BYTES_MAX // MESSAGE_OVERHEAD_BYTES
# The largest hello is 860 bytes (see `options`); a goodbye carries at most 200 characters.
HANDSHAKE_FRAME_SIZE_BYTES_MAX: Final = 1024
_GOODBYE_DETAIL_CHARS_MAX: Final = 200  # at most 800 bytes of UTF-8
# Elements of an array in a small frame: a hello has 9 and its capabilities 16; the rest is room for later versions.
_SMALL_ARRAY_MAX: Final = 32
_INTEGER_MAX: Final = (1 << 32) - 1
CREDIT_BYTES_MAX: Final = _INTEGER_MAX  # of one credit frame

_LENGTH: Final = struct.Struct(">I")
_LARGE_HEADER_BYTES: Final = 8  # array, kind, channel, bin32 with its length
_BIN_MARKERS: Final = (0xC4, 0xC5, 0xC6)
_CHANNELS: Final = tuple(Channel)
_BYTES_ONLY: Final = frozenset({bytes})


@dataclass(frozen=True, slots=True)
class Hello:
    """First frame of each side, not yet judged: fields have the right types and nothing more."""

    magic: str
    version: int
    version_min: int
    cluster: str
    node: str
    start_id: bytes
    window_size_bytes: int
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong with the same token."""

    token: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers the newest ping."""

    token: int


@dataclass(frozen=True, slots=True)
class Credit:
    """Permits `size_bytes` more on `channel`."""

    channel: Channel
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Ends the session; `detail` is the peer's text and must be quoted with `bounded`."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Messages:
    """One or more messages of one channel, in the order in which they were sent."""

    channel: Channel
    payloads: list[bytes]


Frame = Hello | Ping | Pong | Credit | Goodbye | Messages


class FrameDecoder:
    """Cuts a byte stream into frames, in whatever chunks it comes.

    Attributes:
        limit_bytes: frames above it are refused when their length is read. May be raised between two frames.
    """

    __slots__ = ("_buffer", "_offset", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._buffer: bytes | bytearray = b""
        self._offset = 0
        self.limit_bytes = limit_bytes

    @property
    def buffered_bytes(self) -> int:
        """Bytes received and not yet taken; below `limit_bytes` + 4 once `next_frame` has returned None."""
        return len(self._buffer) - self._offset

    def feed(self, data: bytes) -> None:
        """Add received bytes. Frames are then taken with `next_frame` until it returns None."""
        if self._offset >= len(self._buffer):
            self._buffer = data  # the usual case: whole frames, parsed where they are
        elif self._offset or isinstance(self._buffer, bytes):
            rest = bytearray(memoryview(self._buffer)[self._offset :])
            rest += data
            self._buffer = rest
        else:
            self._buffer += data  # a large frame arriving piece by piece: amortised
        self._offset = 0

    def next_frame(self) -> bytes | bytearray | None:
        """The body of the next complete frame, or None.

        Raises:
            RemoteProtocolError: the length is 0 or above the limit. The stream cannot be read any further.
        """
        start = self._offset + 4
        buffer = self._buffer
        if len(buffer) < start:
            return None
        (size,) = _LENGTH.unpack_from(buffer, self._offset)
        if size > self.limit_bytes:
            raise RemoteProtocolError(
                CloseReason.FRAME_TOO_LARGE,
                f"frame of {size} bytes exceeds the limit of {self.limit_bytes} bytes; message_size_bytes_max "
                "must be the same on every node",
            )
        if not size:
            raise RemoteProtocolError(CloseReason.MALFORMED, "frame of at least 1 byte expected, got 0")
        end = start + size
        if len(buffer) < end:
            return None
        self._offset = end
        return buffer[start:end]

    def clear(self) -> None:
        """Forget what is buffered."""
        self._buffer = b""
        self._offset = 0


def decode(body: bytes | bytearray) -> Frame:
    """The frame in `body`.

    Raises:
        RemoteProtocolError: with reason `malformed`, for everything that is not exactly a frame of the table above.

    Complexity: O(len(body)) time; memory at most 16 MiB besides the payload, see BATCH_SIZE_BYTES_MAX.
    """
    kind = body[1] if len(body) > 1 else -1
    if kind == _Kind.BATCH:
        return _decode_batch(body)
    if kind == _Kind.LARGE:
        return _decode_large(body)
    if len(body) > HANDSHAKE_FRAME_SIZE_BYTES_MAX:
        raise _malformed(f"frame kind {kind} of at most {HANDSHAKE_FRAME_SIZE_BYTES_MAX} bytes", len(body))
    fields = _unpack(body, _SMALL_ARRAY_MAX)
    if type(fields) is not list or not fields or fields[0] != kind:  # so that True and 1.0 are no kinds
        raise _malformed("a known frame", fields)
    match fields:
        case [_Kind.PING, token] if _is_integer(token, 0):
            return Ping(token)
        case [_Kind.PONG, token] if _is_integer(token, 0):
            return Pong(token)
        case [_Kind.CREDIT, channel, size] if _is_channel(channel) and _is_integer(size, 1):
            return Credit(_CHANNELS[channel], size)
        case [_Kind.GOODBYE, str(reason), str(detail)]:
            return Goodbye(reason, detail)
        case [_Kind.HELLO, *rest]:
            return _decode_hello(rest)
        case _:
            raise _malformed("a known frame", fields)


def _unpack(body: bytes | bytearray, array_max: int) -> Any:
    try:
        return msgpack.unpackb(body, max_array_len=array_max, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        # Everything msgpack raises for bad bytes; str(error) holds lengths and offsets, never more than a line.
        raise RemoteProtocolError(CloseReason.MALFORMED, f"msgpack expected: {bounded(str(error))}") from error


def _decode_batch(body: bytes | bytearray) -> Messages:
    if len(body) > BATCH_SIZE_BYTES_MAX:
        raise _malformed(f"batch of at most {BATCH_SIZE_BYTES_MAX} bytes", len(body))
    fields = _unpack(body, _BATCH_MESSAGES_MAX)
    if type(fields) is list and len(fields) == 3:
        _, channel, payloads = fields
        # One pass in C over the types: a loop in Python would cost more than the decoding.
        if _is_channel(channel) and type(payloads) is list and set(map(type, payloads)) == _BYTES_ONLY:
            return Messages(_CHANNELS[channel], payloads)
    raise _malformed("[5, channel, [bytes, ...]]", type(fields).__name__)


def _decode_large(body: bytes | bytearray) -> Messages:
    # With a `bin` header in its place the rest is that one byte string or an error: nothing can be nested in it.
    if len(body) < 5 or body[0] != 0x93 or body[2] >= len(_CHANNELS) or body[3] not in _BIN_MARKERS:
        raise _malformed("[6, channel, bytes]", bytes(body[:8]))
    _, channel, payload = _unpack(body, 3)
    return Messages(_CHANNELS[channel], [payload])


def _decode_hello(rest: list[Any]) -> Hello:
    # Later versions may append fields; they are ignored here, so that the version check can give the better answer.
    if len(rest) >= 8:
        magic, version, version_min, cluster, node, start_id, window, capabilities = rest[:8]
        if (
            all(type(text) is str for text in (magic, cluster, node))
            and all(_is_integer(number, 0) for number in (version, version_min, window))
            and type(start_id) is bytes
            and type(capabilities) is list
            and all(type(name) is str for name in capabilities)
        ):
            return Hello(magic, version, version_min, cluster, node, start_id, window, tuple(capabilities))
    raise _malformed("a hello of 8 typed fields", rest)


def _is_integer(value: object, minimum: int) -> bool:
    return type(value) is int and minimum <= value <= _INTEGER_MAX


def _is_channel(value: object) -> bool:
    return type(value) is int and 0 <= value < len(_CHANNELS)


def _malformed(expected: str, came: object) -> RemoteProtocolError:
    return RemoteProtocolError(CloseReason.MALFORMED, f"{expected} expected, got {bounded(came)}")


class FrameEncoder:
    """Writes frames. Holds one msgpack packer, because making one costs more than most frames."""

    __slots__ = ("_packer",)

    def __init__(self) -> None:
        self._packer = msgpack.Packer(buf_size=1024)

    def _frame(self, fields: object) -> bytes:
        body: bytes = self._packer.pack(fields)
        return _LENGTH.pack(len(body)) + body

    def hello(self, hello: Hello) -> bytes:
        """A hello frame."""
        return self._frame(
            (
                int(_Kind.HELLO),
                hello.magic,
                hello.version,
                hello.version_min,
                hello.cluster,
                hello.node,
                hello.start_id,
                hello.window_size_bytes,
                hello.capabilities,
            )
        )

    def ping(self, token: int) -> bytes:
        """A ping frame; `token` is 0 to 2^32 - 1."""
        return self._frame((int(_Kind.PING), token))

    def pong(self, token: int) -> bytes:
        """A pong frame."""
        return self._frame((int(_Kind.PONG), token))

    def credit(self, channel: Channel, size_bytes: int) -> bytes:
        """A credit frame; `size_bytes` is 1 to 2^32 - 1."""
        return self._frame((int(_Kind.CREDIT), int(channel), size_bytes))

    def goodbye(self, reason: CloseReason, detail: str) -> bytes:
        """A goodbye frame; `detail` is cut to 200 characters."""
        return self._frame((int(_Kind.GOODBYE), str(reason), detail[:_GOODBYE_DETAIL_CHARS_MAX]))

    def batch(self, channel: Channel, payloads: list[bytes]) -> list[bytes]:
        """A frame with several messages, as pieces to join. Their cost is at most BATCH_SIZE_BYTES_MAX."""
        body: bytes = self._packer.pack((_BATCH, int(channel), payloads))
        return [_LENGTH.pack(len(body)), body]

    def large(self, channel: Channel, payload: bytes) -> list[bytes]:
        """A frame with one message of any permitted size, as pieces to join; the payload is not copied."""
        header = bytes((0x93, int(_Kind.LARGE), int(channel), 0xC6)) + _LENGTH.pack(len(payload))
        return [_LENGTH.pack(len(header) + len(payload)), header, payload]


_BATCH: Final = int(_Kind.BATCH)


def frame_size_bytes_max(message_size_bytes_max: int) -> int:
    """The largest frame body that may come once a session is up."""
    return max(message_size_bytes_max + _LARGE_HEADER_BYTES, BATCH_SIZE_BYTES_MAX)
