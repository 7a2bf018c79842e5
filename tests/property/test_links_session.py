"""Sessions under hostile bytes and any traffic: they never raise, hold bounded memory, lose and reorder nothing."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import Channel, FrameEncoder
from crdtmesh.links.options import Identity, LinkOptions
from crdtmesh.links.session import Session
from crdtmesh.links.states import Closed, Event, HelloReceived, MessagesReceived, State

OPTIONS = LinkOptions(message_size_bytes_max=16_384, window_size_bytes=4096, queue_size_bytes_max=32_768)
A = Identity(cluster="c", node="a", start_id=b"A" * 16)
B = Identity(cluster="c", node="b", start_id=b"B" * 16)
ENCODER = FrameEncoder()
# What an honest dialler may say, each frame on its own: the raw material of hostile streams.
HELLO = Session(OPTIONS, A, dials=True, now_ns=0).take_outgoing()
HONEST = [
    HELLO,
    ENCODER.ping(1),
    ENCODER.pong(1),
    ENCODER.credit(Channel.INVOKE, 1000),
    ENCODER.goodbye(CloseReason.GOODBYE, "bye"),
    b"".join(ENCODER.batch(Channel.REPLICATION, [b"x" * 50] * 3)),
    b"".join(ENCODER.large(Channel.REPAIR, b"y" * 2000)),
]


def feed(data: bytes, cuts: list[int]) -> tuple[State, Closed]:
    """How an accepting session stood after `data` in pieces, admitting whoever asked, and how it then ended."""
    session = Session(OPTIONS, B, dials=False, now_ns=0)
    events: list[Event] = []
    ends = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(ends):
        session.receive(data[start:end], now_ns=0)
        for event in session.take_events():
            events.append(event)
            if isinstance(event, HelloReceived):
                session.admit(now_ns=0)
        session.take_outgoing()
        assert session._decoder.buffered_bytes < max(OPTIONS.message_size_bytes_max, 128 << 10) + 4
    state = session.state
    session.tick(now_ns=1 << 62)
    events += session.take_events()
    assert isinstance(events[-1], Closed)
    assert 1 == sum(isinstance(event, Closed) for event in events)
    return state, events[-1]


@given(st.binary(max_size=400), st.lists(st.integers(0, 1 << 16), max_size=6), st.booleans())
@example(b"\x00\x00\x00\x00", [], True)
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", [], False)
def test_random_bytes_never_raise_and_never_make_a_link(data: bytes, cuts: list[int], after_hello: bool) -> None:
    state, closed = feed(HELLO + data if after_hello else data, cuts)
    assert after_hello or state in (State.GREETING, State.CLOSED)
    assert closed.was_up <= after_hello
    assert closed.detail.isprintable()


@given(
    st.lists(st.sampled_from(HONEST), max_size=12),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=5),
    st.lists(st.integers(0, 1 << 16), max_size=6),
)
def test_mutated_streams_never_raise(parts: list[bytes], changes: list[tuple[int, int]], cuts: list[int]) -> None:
    data = bytearray(HELLO + b"".join(parts))
    for position, value in changes:
        data[position % len(data)] = value
    _, closed = feed(bytes(data), cuts)
    assert closed.detail.isprintable()


class Link(RuleBasedStateMachine):
    """Two sessions joined by a pipe that carries bytes in arbitrary pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.sides = (Session(OPTIONS, A, dials=True, now_ns=0), Session(OPTIONS, B, dials=False, now_ns=0))
        self.pipes: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self.sent: dict[tuple[int, Channel], list[bytes]] = {(s, c): [] for s in (0, 1) for c in Channel}
        self.received: dict[tuple[int, Channel], list[bytes]] = {(s, c): [] for s in (0, 1) for c in Channel}
        self.number = 0

    def _carry(self, side: int) -> bool:
        if data := self.sides[side].take_outgoing():
            self.pipes[side].append(data)
        if not self.pipes[side]:
            return False
        self.sides[1 - side].receive(self.pipes[side].popleft(), now_ns=self.now_ns)
        return True

    def _take(self, side: int) -> None:
        session = self.sides[side]
        for event in session.take_events():
            if isinstance(event, HelloReceived):
                session.admit(now_ns=self.now_ns)
            elif isinstance(event, MessagesReceived):
                self.received[1 - side, event.channel] += event.payloads

    @rule(
        side=st.integers(0, 1), channel=st.sampled_from(Channel), size=st.integers(0, 16_384), count=st.integers(1, 9)
    )
    def send(self, side: int, channel: Channel, size: int, count: int) -> None:
        for _ in range(count):
            self.number += 1
            payload = (b"%d " % self.number).ljust(size)[:16_384]
            if self.sides[side].send(channel, payload):
                self.sent[side, channel].append(payload)

    @rule(side=st.integers(0, 1))
    def write(self, side: int) -> None:
        if data := self.sides[side].take_outgoing():
            self.pipes[side].append(data)

    @rule(side=st.integers(0, 1), portion=st.floats(0.01, 1))
    def deliver(self, side: int, portion: float) -> None:
        if self.pipes[side]:
            data = self.pipes[side].popleft()
            cut = max(1, int(len(data) * portion))
            if data[cut:]:
                self.pipes[side].appendleft(data[cut:])
            self.sides[1 - side].receive(data[:cut], now_ns=self.now_ns)

    @rule(side=st.integers(0, 1))
    def take(self, side: int) -> None:
        self._take(side)

    @rule(side=st.integers(0, 1), channel=st.sampled_from(Channel), holds=st.booleans())
    def hold_or_release(self, side: int, channel: Channel, holds: bool) -> None:
        (self.sides[side].hold if holds else self.sides[side].release)(channel)

    @rule()
    def exchange_everything(self) -> None:
        for session in self.sides:
            for channel in Channel:
                session.release(channel)
        while self._carry(0) | self._carry(1):
            self._take(0)
            self._take(1)
        self._take(0)
        self._take(1)
        assert self.sent == self.received

    @precondition(lambda self: self.sides[0].state is State.UP and self.sides[1].state is State.UP)
    @rule(seconds=st.floats(0, 2))
    def pass_time(self, seconds: float) -> None:
        self.exchange_everything()
        self.now_ns += int(seconds * 1e9)
        for session in self.sides:
            session.tick(now_ns=self.now_ns)
        self.exchange_everything()

    @invariant()
    def nobody_closes_and_order_holds(self) -> None:
        for session in self.sides:
            assert not session.is_closed
        for key, received in self.received.items():
            assert received == self.sent[key][: len(received)]

    @invariant()
    def unread_messages_stay_within_the_window(self) -> None:
        for side, session in enumerate(self.sides):
            for channel in Channel:
                waiting = sum(len(p) for p in self.sent[1 - side, channel]) - sum(
                    len(p) for p in self.received[1 - side, channel]
                )
                limit = OPTIONS.window_size_bytes + OPTIONS.message_size_bytes_max + OPTIONS.queue_size_bytes_max
                assert waiting <= limit, (session.peer, channel)


TestLink = Link.TestCase
