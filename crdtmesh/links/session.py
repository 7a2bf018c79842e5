"""The core of one connection between two nodes. No I/O: bytes, commands and the time in; bytes and events out.

Theory of operation
-------------------
Both sides run the same machine. The *dialler* sends its hello at once; the *acceptor* judges it (`handshake`),
tells its owner (`HelloReceived`) and answers with its own hello when the owner admits the peer. Until then a
connection may send one frame of at most 1 KiB, and anything more is a violation: a stranger cannot make us hold
more.

Up, a session carries messages on four channels. Each channel has a bounded queue (`send` refuses, it never blocks)
and its own credit, so a receiver that is slow on one channel stops that channel only. `take_outgoing` writes
protocol frames first and then at most one frame of each channel, lower channels first: control is never behind more
than one frame of data, and no channel starves. What waits shares frames, so the cost of a message falls as load
grows.

A peer that is silent for `keepalive_interval_s` is pinged; silent for `idle_timeout_s`, the session is given up.
Any bytes count as a sign of life, so a long transfer needs no pings. However many pings a peer sends, one pong per
write answers.

`close` is orderly: queued messages go first, for at most `drain_timeout_s`, then a goodbye with the reason. A
violation closes at once, with a goodbye that says what was expected. Messages are delivered at most once and in
order within a channel; what was in flight when a session ends is lost, and the layers above repair.

Left out: who is a peer at all, reconnecting, and which of two connections stays (`peering`, `manager`); encryption
(below the session: its bytes travel inside TLS).

Every permitted move is in the table of `states`.
"""

from typing import Final

from crdtmesh.links.channels import ReceiveWindow, SendQueue
from crdtmesh.links.counters import LinkCounters
from crdtmesh.links.errors import (
    CloseReason,
    LocalProtocolError,
    MessageTooLargeError,
    RemoteProtocolError,
    bounded,
)
from crdtmesh.links.frames import (
    BATCH_SIZE_BYTES_MAX,
    CREDIT_BYTES_MAX,
    HANDSHAKE_FRAME_SIZE_BYTES_MAX,
    MESSAGE_OVERHEAD_BYTES,
    Channel,
    Credit,
    Frame,
    FrameDecoder,
    FrameEncoder,
    Goodbye,
    Hello,
    Messages,
    Ping,
    Pong,
    decode,
    frame_size_bytes_max,
)
from crdtmesh.links.handshake import VERSION, check_hello, hello_of
from crdtmesh.links.options import Identity, LinkOptions
from crdtmesh.links.states import (
    TRANSITIONS,
    Closed,
    Established,
    Event,
    HelloReceived,
    MessagesReceived,
    Signal,
    State,
)

__all__ = ["Session"]


_SECOND_NS: Final = 1_000_000_000


class Session:
    """One connection, seen from one side."""

    def __init__(
        self,
        options: LinkOptions,
        local: Identity,
        *,
        dials: bool,
        now_ns: int,
        expected_node: str | None = None,
        counters: LinkCounters | None = None,
    ) -> None:
        """Start the handshake.

        Args:
            options: limits and times.
            local: who we are.
            dials: whether this side opened the connection, and so speaks first.
            now_ns: monotonic time.
            expected_node: who was dialled; any other node that answers is refused.
            counters: where to count; a fresh set when None.
        """
        self.counters = LinkCounters() if counters is None else counters
        self.state = State.GREETING
        self.dials = dials
        self.peer: Identity | None = None
        self.version: int | None = None
        """Of the protocol, as both sides speak it; None before a good hello."""
        self.round_trip_ns: int | None = None
        """Of the last answered ping; None before the first."""
        self._options = options
        self._local = local
        self._expected_node = expected_node
        self._decoder = FrameDecoder(HANDSHAKE_FRAME_SIZE_BYTES_MAX)
        self._encoder = FrameEncoder()
        # Bounded while the peer does not read: a hello, a goodbye, and pings for one idle timeout. What answers the
        # peer is kept as one value of each kind instead, so that no amount of input makes a list of output.
        self._protocol_frames: list[bytes] = []
        self._pong_token: int | None = None
        self._credit_due = [0, 0, 0, 0]
        self._answers_due = False
        self._messages_due = False  # whether a queue may have something to write
        self._ping_token = 0
        self._ping_sent_ns: int | None = None
        self._events: list[Event] = []
        self._queues = tuple(SendQueue(channel, options.queue_size_bytes_max) for channel in Channel)
        self._windows = tuple(ReceiveWindow(channel, options.window_size_bytes) for channel in Channel)
        self._untaken = [0, 0, 0, 0]  # cost of messages among the events, by channel
        self._held: dict[Channel, list[list[bytes]]] = {}  # bounded by the windows
        self._held_cost = [0, 0, 0, 0]
        self._heard_ns = now_ns
        self._deadline_ns: int | None = now_ns + int(options.handshake_timeout_s * _SECOND_NS)
        self._keepalive_ns = int(options.keepalive_interval_s * _SECOND_NS)
        self._idle_ns = int(options.idle_timeout_s * _SECOND_NS)
        self._close_reason = CloseReason.GOODBYE
        self._close_detail = ""
        if dials:
            self._say_hello()

    # --- the five verbs

    def receive(self, data: bytes, *, now_ns: int) -> None:
        """Take bytes from the peer. Never raises for what they are; O(len(data))."""
        if self.state is State.CLOSED:
            return
        self._heard_ns = now_ns
        counters = self.counters
        counters.bytes_in += len(data)
        decoder = self._decoder
        decoder.feed(data)
        try:
            while (body := decoder.next_frame()) is not None:
                counters.frames_in += 1
                self._receive_frame(decode(body), now_ns)
                if self.is_closed:
                    return
        except RemoteProtocolError as error:
            self._end(error.reason, error.detail, says_goodbye=True)

    def tick(self, *, now_ns: int) -> None:
        """Do what is due at or before `now_ns`: pings and timeouts."""
        state = self.state
        if state is State.CLOSED:
            return
        if self._deadline_ns is not None and now_ns >= self._deadline_ns:
            reason = CloseReason.DRAIN_TIMEOUT if state is State.DRAINING else CloseReason.HANDSHAKE_TIMEOUT
            self._end(reason, f"{state.value} not finished in time", says_goodbye=True)
        elif state in (State.UP, State.DRAINING):
            silent_ns = now_ns - self._heard_ns
            if silent_ns >= self._idle_ns:
                detail = f"nothing heard for {silent_ns / _SECOND_NS:.1f} s; idle_timeout_s decides"
                self._end(CloseReason.IDLE_TIMEOUT, detail, says_goodbye=True)
            elif now_ns >= self._ping_due_ns():
                self._ping_token = (self._ping_token + 1) & 0xFFFFFFFF
                self._ping_sent_ns = now_ns
                self._protocol_frames.append(self._encoder.ping(self._ping_token))

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted again; None when closed. Hearing from the peer only moves it later."""
        if self.state is State.CLOSED:
            return None
        if self.state in (State.UP, State.DRAINING):
            due = min(self._ping_due_ns(), self._heard_ns + self._idle_ns)
            return due if self._deadline_ns is None else min(due, self._deadline_ns)
        return self._deadline_ns

    def take_outgoing(self) -> bytes:
        """Bytes to write: protocol frames, then at most one frame of each channel, lower first.

        At most 4 batches or large messages, so call it again until it is empty, and not while the transport is full.
        """
        if not (self._protocol_frames or self._messages_due or self._answers_due):
            return b""
        out, self._protocol_frames = self._protocol_frames, []
        frames = len(out)
        if self.state is State.UP or self.state is State.DRAINING:
            frames += self._write_answers(out) + self._write_messages(out)
            if self.state is State.DRAINING and not any(self._queues):
                self._end(self._close_reason, self._close_detail, signal=Signal.DRAINED, says_goodbye=True)
                out += self._protocol_frames
                self._protocol_frames = []
                frames += 1
        if not frames:
            return b""
        data = b"".join(out)
        self.counters.frames_out += frames
        self.counters.bytes_out += len(data)
        return data

    def take_events(self) -> list[Event]:
        """What happened, in order, emptied. Taking messages is what grants the peer new credit."""
        if not self._events:
            return []
        events, self._events = self._events, []
        for channel, cost in enumerate(self._untaken):
            if cost:
                self._untaken[channel] = 0
                granted = self._windows[channel].consume(cost)
                if granted:
                    self._credit_due[channel] += granted
                    self._answers_due = True
        return events

    @property
    def is_closed(self) -> bool:
        """Whether the session has ended; `take_outgoing` may still hold its goodbye."""
        return self.state is State.CLOSED

    @property
    def has_events(self) -> bool:
        """Whether `take_events` would return something."""
        return bool(self._events)

    # --- commands

    def send(self, channel: Channel, payload: bytes) -> bool:
        """Queue a message.

        Returns:
            False when nothing was queued: the session is not up, or the channel's queue is full.

        Raises:
            MessageTooLargeError: `payload` exceeds `message_size_bytes_max`. Nothing was queued.
        """
        if self.state is not State.UP:
            return False
        if len(payload) > self._options.message_size_bytes_max:
            raise MessageTooLargeError(
                f"message of {len(payload)} bytes exceeds message_size_bytes_max="
                f"{self._options.message_size_bytes_max}; raise it on every node or send less at once"
            )
        if self._queues[channel].offer(payload):
            self._messages_due = True
            return True
        self.counters.queue_refusals[channel] += 1
        return False

    def queued_bytes(self, channel: Channel) -> int:
        """Cost of what waits on a channel: the lengths, and 64 bytes for each message."""
        return self._queues[channel].size_bytes

    def hold(self, channel: Channel) -> None:
        """Keep messages of a channel from the events, and so stop its sender when the window is full."""
        self._held.setdefault(channel, [])

    def release(self, channel: Channel) -> None:
        """Undo `hold`: what was held is among the next events."""
        for payloads in self._held.pop(channel, ()):
            self._events.append(MessagesReceived(channel, payloads))
        self._untaken[channel] += self._held_cost[channel]
        self._held_cost[channel] = 0

    def admit(self, *, now_ns: int) -> None:
        """Acceptor: take the peer of `HelloReceived`. The session is up at once.

        Does nothing when the session is closed: a peer may end it before its hello is judged.

        Raises:
            LocalProtocolError: no hello is waiting for an answer. Nothing changed.
        """
        if self.is_closed:
            return
        if (self.state, Signal.ADMIT) not in TRANSITIONS:
            raise LocalProtocolError(f"admit expects state admitting, got {self.state.value}")
        self._say_hello()
        self._establish(Signal.ADMIT, now_ns)

    def close(
        self, *, now_ns: int, reason: CloseReason = CloseReason.GOODBYE, detail: str = "", drains: bool = True
    ) -> None:
        """End the session: an up one drains its queues first unless told otherwise. Does nothing when closed."""
        if self.state is State.CLOSED:
            return
        if self.state is State.UP and drains:
            self._move(Signal.CLOSE)
            self._close_reason, self._close_detail = reason, detail
            self._messages_due = True  # so that the goodbye is written even when nothing waits
            self._deadline_ns = now_ns + int(self._options.drain_timeout_s * _SECOND_NS)
        elif self.state is not State.DRAINING or not drains:
            self._end(reason, detail, says_goodbye=True)

    def lost(self, detail: str) -> None:
        """The transport ended. Does nothing when closed."""
        if self.state is not State.CLOSED:
            self._end(CloseReason.LOST, detail, by_peer=True)

    def refuse(self, detail: str) -> None:
        """The peer is not who it has to be: end without a word to it. Does nothing when closed."""
        if self.state is not State.CLOSED:
            self._end(CloseReason.IDENTITY_UNPROVEN, detail)

    # --- inside

    def _receive_frame(self, frame: Frame, now_ns: int) -> None:
        if type(frame) is Messages:
            if self.state is not State.UP:  # the table again, without its price on the busiest path
                self._expect(Signal.TRAFFIC, "messages")
            channel = frame.channel
            cost = self._windows[channel].receive(frame.payloads)
            self.counters.messages_in += len(frame.payloads)
            if channel in self._held:
                self._held[channel].append(frame.payloads)
                self._held_cost[channel] += cost
            else:
                self._events.append(MessagesReceived(channel, frame.payloads))
                self._untaken[channel] += cost
            return
        match frame:
            case Credit(channel, size_bytes):
                self._expect(Signal.TRAFFIC, "credit")
                self._queues[channel].grant(size_bytes)
                self._messages_due = True
            case Ping(token):
                self._expect(Signal.TRAFFIC, "ping")
                self._pong_token = token
                self._answers_due = True
            case Pong(token):
                self._expect(Signal.TRAFFIC, "pong")
                if self._ping_sent_ns is not None and token == self._ping_token:
                    self.round_trip_ns = now_ns - self._ping_sent_ns
                    self._ping_sent_ns = None
            case Goodbye(reason, detail):
                self._receive_goodbye(reason, detail)
            case Hello():
                self._receive_hello(frame, now_ns)

    def _receive_hello(self, hello: Hello, now_ns: int) -> None:
        signal = Signal.HELLO_ANSWER if self.dials else Signal.HELLO_REQUEST
        self._expect(signal, "hello")
        self.peer = check_hello(hello, local=self._local, expected_node=self._expected_node)
        self.version = min(VERSION, hello.version)
        for queue in self._queues:
            queue.grant(hello.window_size_bytes)
        if self.dials:
            self._establish(signal, now_ns)
        else:
            self._move(signal)
            self._events.append(HelloReceived(self.peer))

    def _receive_goodbye(self, reason: str, detail: str) -> None:
        try:
            known = CloseReason(reason)
        except ValueError:  # a reason of a later version
            known = CloseReason.GOODBYE
        text = f"peer said goodbye: {bounded(reason)}"
        # The detail is the one text of a peer that an operator needs in full: it names the setting that differs.
        # `ascii` escapes it; the frame bounds it to 1 KiB.
        text += f" {detail!a}" if detail else ""
        self._end(known, text, signal=Signal.GOODBYE, by_peer=True)

    def _expect(self, signal: Signal, what: str) -> None:
        if (self.state, signal) not in TRANSITIONS:
            raise RemoteProtocolError(
                CloseReason.OUT_OF_TURN, f"no {what} expected in state {self.state.value}, got one"
            )

    def _move(self, signal: Signal) -> None:
        self.state = TRANSITIONS[self.state, signal]

    def _establish(self, signal: Signal, now_ns: int) -> None:
        assert self.peer is not None
        self._move(signal)
        self._deadline_ns = None
        self._heard_ns = now_ns
        self._decoder.limit_bytes = frame_size_bytes_max(self._options.message_size_bytes_max)
        self._events.append(Established(self.peer))

    def _say_hello(self) -> None:
        hello = hello_of(self._local, window_size_bytes=self._options.window_size_bytes)
        self._protocol_frames.append(self._encoder.hello(hello))

    def _ping_due_ns(self) -> int:
        # One ping per interval of silence, however often `tick` is called.
        last_ns = self._heard_ns if self._ping_sent_ns is None else max(self._heard_ns, self._ping_sent_ns)
        return last_ns + self._keepalive_ns

    def _write_answers(self, out: list[bytes]) -> int:
        if not self._answers_due:
            return 0
        self._answers_due = False
        before = len(out)
        if self._pong_token is not None:
            out.append(self._encoder.pong(self._pong_token))
            self._pong_token = None
        for channel, due in zip(_CHANNELS, self._credit_due, strict=True):
            if due:
                granted = min(due, CREDIT_BYTES_MAX)
                self._credit_due[channel] -= granted
                self._answers_due |= granted < due
                out.append(self._encoder.credit(channel, granted))
        return len(out) - before

    def _write_messages(self, out: list[bytes]) -> int:
        if not self._messages_due:
            return 0
        self._messages_due = False
        frames = 0
        for queue in self._queues:
            if queue.size_bytes > 0 and queue.credit_bytes > 0:
                payloads = queue.take()
                self.counters.messages_out += len(payloads)
                frames += 1
                if len(payloads) == 1 and len(payloads[0]) + MESSAGE_OVERHEAD_BYTES > BATCH_SIZE_BYTES_MAX:
                    out += self._encoder.large(queue.channel, payloads[0])
                else:
                    out += self._encoder.batch(queue.channel, payloads)
                if queue.size_bytes:  # without credit it costs one look, and new credit says so again
                    self._messages_due = True
        return frames

    def _end(
        self,
        reason: CloseReason,
        detail: str,
        *,
        signal: Signal = Signal.FAULT,
        says_goodbye: bool = False,
        by_peer: bool = False,
    ) -> None:
        was_up = self.state in (State.UP, State.DRAINING)
        self._move(signal)
        self._deadline_ns = None
        self._protocol_frames = [self._encoder.goodbye(reason, detail)] if says_goodbye else []
        self._answers_due = False
        self._decoder.clear()
        for queue in self._queues:
            queue.clear()
        # What the peer had sent before the end is delivered, also what was held: nothing follows `Closed`.
        for channel in list(self._held):
            self.release(channel)
        self._events.append(Closed(reason, detail, was_up, by_peer))
        self.counters.closed[reason] += 1


_CHANNELS: Final = tuple(Channel)
