"""Streams: whole-table exchanges, pings over TCP, and user messages too long for a packet.

Each stream carries one request and at most one answer. The machine numbers them; the driver connects, writes, reports
what comes in and when it ends. A stream that takes too long is closed by a timer of its own.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from gossip.config import to_ns
from gossip.errors import DecodeError, RejectReason
from gossip.identity import Endpoint
from gossip.kernel import Kernel, TimerKind
from gossip.members import Member
from gossip.messages import Ack, ErrorReply, Message, Ping, PushPull, User
from gossip.outputs import CloseStream, JoinFinished, OpenStream, SendStream, StreamId, UserMessage, UserState
from gossip.streams import StreamReader, encode_for_stream, encode_table, seal_stream

OUTBOUND_MAX = 128
"""Streams that we opened and that still run: joins of a long list, one probe, one exchange."""

INBOUND_SIZE_BYTES_MAX = 32 * 1024 * 1024
"""What all inbound streams together may have sent us before they are complete: a dozen tables of 10,000 members at
once."""


class Purpose(enum.Enum):
    """Why a stream exists."""

    INBOUND = enum.auto()
    JOIN = enum.auto()
    SYNC = enum.auto()
    PING = enum.auto()


@dataclass(slots=True)
class _Stream:
    purpose: Purpose
    peer: Endpoint
    reader: StreamReader
    size_bytes: int = 0


class Exchanges:
    """All streams of one node.

    Args:
        kernel: shared state.
        merge: takes a peer's table; returns why it was refused, or None.
        stream_acked: takes the sequence number of a ping that was answered on a stream.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        merge: Callable[[PushPull, Endpoint], str | None],
        stream_acked: Callable[[int], None],
    ) -> None:
        self._kernel = kernel
        self._merge = merge
        self._stream_acked = stream_acked
        self._streams: dict[StreamId, _Stream] = {}
        self._inbound = 0
        self._inbound_size_bytes = 0

    # --- opening

    def push_pull(self, endpoint: Endpoint, *, purpose: Purpose) -> None:
        """Exchanges tables with whoever listens there."""
        table = self._own_table(is_join=purpose is Purpose.JOIN)
        if not self._open(purpose, endpoint, table) and purpose is Purpose.JOIN:
            self._kernel.emit(JoinFinished(endpoint, f"more than {OUTBOUND_MAX} streams are open; try again later"))

    def ping(self, member: Member, ping: Ping) -> None:
        """Pings over a stream."""
        self._open(Purpose.PING, member.endpoint, encode_for_stream(ping))

    def _open(self, purpose: Purpose, endpoint: Endpoint, message: bytes) -> bool:
        if len(self._streams) - self._inbound >= OUTBOUND_MAX:
            return False
        stream = self._add(purpose, endpoint)
        data = seal_stream(message, self._kernel.layers, is_dialler=True)
        self._kernel.outgoing.append(OpenStream(stream, endpoint, data))
        return True

    def accept(self, source: Endpoint) -> StreamId | None:
        """Takes a connection that a peer opened; None if there are too many: close it."""
        if self._inbound >= self._kernel.config.streams_max:
            self._kernel.reject(RejectReason.STREAMS_FULL, source, f"{self._inbound} inbound streams are open")
            return None
        self._inbound += 1
        return self._add(Purpose.INBOUND, source)

    def _add(self, purpose: Purpose, peer: Endpoint) -> StreamId:
        kernel = self._kernel
        reader = StreamReader(
            kernel.layers,
            is_inbound=purpose is Purpose.INBOUND,
            size_bytes_max=kernel.config.stream_size_bytes_max,
            known=kernel.members.packed_entries,
        )
        stream = kernel.next_stream()
        self._streams[stream] = _Stream(purpose, peer, reader)
        kernel.timers.arm((TimerKind.STREAM, stream), kernel.now_ns + to_ns(kernel.config.stream_timeout_s))
        return stream

    # --- input

    def receive(self, stream: StreamId, data: bytes) -> None:
        """Takes a chunk; chunks of a stream that is over are ignored."""
        entry = self._streams.get(stream)
        if entry is None:
            return
        try:
            self._count(entry, len(data))
            message = entry.reader.feed(data)
        except DecodeError as error:
            self._kernel.reject_error(error, entry.peer)
            if entry.purpose is Purpose.INBOUND:
                self._answer(stream, encode_for_stream(ErrorReply(error.reason.value)))
            self._end(stream, str(error))
            return
        if message is None:
            return
        if entry.purpose is Purpose.INBOUND:
            self._on_request(stream, entry, message)
        else:
            self._on_answer(stream, entry, message)

    def _count(self, entry: _Stream, size_bytes: int) -> None:
        if entry.purpose is Purpose.INBOUND:
            entry.size_bytes += size_bytes
            self._inbound_size_bytes += size_bytes
            if self._inbound_size_bytes > INBOUND_SIZE_BYTES_MAX:
                raise DecodeError(
                    RejectReason.TOO_LARGE, f"inbound streams hold more than {INBOUND_SIZE_BYTES_MAX} bytes"
                )

    def closed(self, stream: StreamId, error: str | None) -> None:
        """The connection ended or never came about."""
        if stream in self._streams:
            self._end(stream, error or "closed without an answer", tell_driver=False)

    def on_timeout(self, stream: StreamId) -> None:
        """The stream took too long."""
        entry = self._streams.get(stream)
        if entry is None:
            return
        if entry.purpose is Purpose.INBOUND:
            self._kernel.reject(RejectReason.STREAM_TIMEOUT, entry.peer)
        self._end(stream, f"no complete answer within {self._kernel.config.stream_timeout_s} s")

    def _on_request(self, stream: StreamId, entry: _Stream, message: Message) -> None:
        kernel = self._kernel
        if isinstance(message, PushPull):
            # Our answer leaves before the merge: the peer is to see what we knew, not its own table again.
            self._answer(stream, self._own_table(is_join=message.is_join))
            self._take_table(message, entry)
        elif isinstance(message, Ping):
            if message.node and message.node != kernel.name:
                kernel.reject(RejectReason.WRONG_NAME, entry.peer, f"a ping for {message.node[:64]!r}")
            else:
                self._answer(stream, encode_for_stream(Ack(message.sequence)))
        elif isinstance(message, User):
            kernel.emit(UserMessage(message.payload))
        else:
            kernel.reject(RejectReason.UNEXPECTED, entry.peer, f"{type(message).__name__} as a request")
        self._end(stream, None)

    def _on_answer(self, stream: StreamId, entry: _Stream, message: Message) -> None:
        error: str | None = None
        if isinstance(message, ErrorReply):
            error = f"the peer refused: {message.text[:128]!r}"
        elif isinstance(message, PushPull) and entry.purpose in (Purpose.JOIN, Purpose.SYNC):
            error = self._take_table(message, entry)
        elif isinstance(message, Ack) and entry.purpose is Purpose.PING:
            self._stream_acked(message.sequence)
        else:
            error = f"{type(message).__name__} is no answer"
            self._kernel.reject(RejectReason.UNEXPECTED, entry.peer, error)
        self._end(stream, error)

    def _take_table(self, table: PushPull, entry: _Stream) -> str | None:
        error = self._merge(table, entry.peer)
        if error is None and table.user_state:
            self._kernel.emit(UserState(table.user_state, is_join=entry.purpose is Purpose.JOIN))
        return error

    # --- ending

    def _answer(self, stream: StreamId, message: bytes) -> None:
        data = seal_stream(message, self._kernel.layers, is_dialler=False)
        self._kernel.outgoing.append(SendStream(stream, data))

    def _end(self, stream: StreamId, error: str | None, *, tell_driver: bool = True) -> None:
        entry = self._streams.pop(stream)
        self._kernel.timers.cancel((TimerKind.STREAM, stream))
        self._inbound -= entry.purpose is Purpose.INBOUND
        self._inbound_size_bytes -= entry.size_bytes
        if tell_driver:
            self._kernel.outgoing.append(CloseStream(stream))
        if entry.purpose is Purpose.JOIN:
            self._kernel.emit(JoinFinished(entry.peer, error))

    def _own_table(self, *, is_join: bool) -> bytes:
        kernel = self._kernel
        packed = [member.packed_entry for member in kernel.members]
        return encode_table(packed, is_join=is_join, user_state=kernel.user_state())
