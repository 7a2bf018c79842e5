"""Queues, credits and priorities of a session's channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import MESSAGE_OVERHEAD_BYTES, Channel, FrameDecoder, FrameEncoder, Messages, decode

if TYPE_CHECKING:
    from tests.unit.crdtmesh.links.conftest import MakePair

ENCODER = FrameEncoder()
WINDOW = 1 << 16


def channels_of(data: bytes) -> list[Channel | None]:
    """The channel of each frame in `data`; None for a protocol frame."""
    decoder = FrameDecoder(1 << 30)
    decoder.feed(data)
    found: list[Channel | None] = []
    while (body := decoder.next_frame()) is not None:
        frame = decode(body)
        found.append(frame.channel if isinstance(frame, Messages) else None)
    return found


def test_small_messages_share_a_frame(make_pair: MakePair) -> None:
    pair = make_pair()
    for _ in range(100):
        pair.dialler.send(Channel.INVOKE, b"x" * 70)
    assert [Channel.INVOKE] == channels_of(pair.dialler.take_outgoing())


def test_control_goes_before_data_that_was_queued_earlier(make_pair: MakePair) -> None:
    pair = make_pair()
    for channel in (Channel.REPAIR, Channel.REPLICATION, Channel.INVOKE, Channel.CONTROL):
        pair.dialler.send(channel, b"x" * 100_000)
    pair.dialler.receive(ENCODER.ping(1), now_ns=0)
    assert [None, *Channel] == channels_of(pair.dialler.take_outgoing())


def test_control_waits_for_no_backlog(make_pair: MakePair) -> None:
    pair = make_pair()
    for _ in range(20_000):
        pair.dialler.send(Channel.REPAIR, b"x" * 100)
    pair.dialler.take_outgoing()
    pair.dialler.send(Channel.CONTROL, b"urgent")
    assert [Channel.CONTROL, Channel.REPAIR] == channels_of(pair.dialler.take_outgoing())


def test_no_channel_starves_under_a_backlog_of_a_lower_one(make_pair: MakePair) -> None:
    pair = make_pair()
    for _ in range(20_000):
        pair.dialler.send(Channel.INVOKE, b"x" * 100)
    pair.dialler.send(Channel.REPAIR, b"patient")
    assert [Channel.INVOKE, Channel.REPAIR] == channels_of(pair.dialler.take_outgoing())


def test_full_queue_refuses_and_counts_and_leaves_other_channels_alone(make_pair: MakePair) -> None:
    pair = make_pair(queue_size_bytes_max=100_000, message_size_bytes_max=10_000)
    accepted = 0
    while pair.dialler.send(Channel.INVOKE, b"x" * 936):
        accepted += 1
    assert 100 == accepted
    assert 100_000 == pair.dialler.queued_bytes(Channel.INVOKE)
    assert [0, 1, 0, 0] == pair.dialler.counters.queue_refusals
    assert pair.dialler.send(Channel.CONTROL, b"still")
    pair.exchange()
    assert accepted + 1 == len(pair.messages(pair.acceptor))


def test_empty_messages_cost_their_overhead(make_pair: MakePair) -> None:
    pair = make_pair(queue_size_bytes_max=100_000, message_size_bytes_max=10_000)
    accepted = 0
    while pair.dialler.send(Channel.INVOKE, b""):
        accepted += 1
    assert 100_000 // MESSAGE_OVERHEAD_BYTES == accepted


def test_held_channel_stops_its_sender_and_no_other(make_pair: MakePair) -> None:
    pair = make_pair(window_size_bytes=WINDOW)
    pair.acceptor.hold(Channel.REPAIR)
    for number in range(1000):
        pair.dialler.send(Channel.REPAIR, b"%0936d" % number)
        pair.dialler.send(Channel.INVOKE, b"%0936d" % number)
    pair.exchange()
    assert [] == pair.messages(pair.acceptor, Channel.REPAIR)
    assert 1000 == len(pair.messages(pair.acceptor, Channel.INVOKE))
    # What arrived is one window, and at most one message beyond it.
    sent = 1000 * 1000 - pair.dialler.queued_bytes(Channel.REPAIR)
    assert WINDOW <= sent < WINDOW + 1000

    pair.acceptor.release(Channel.REPAIR)
    pair.exchange()
    assert [b"%0936d" % number for number in range(1000)] == pair.messages(pair.acceptor, Channel.REPAIR)


def test_untaken_events_stop_the_sender_as_well(make_pair: MakePair) -> None:
    pair = make_pair(window_size_bytes=WINDOW)
    for _ in range(1000):
        pair.dialler.send(Channel.INVOKE, b"x" * 936)
    while data := pair.dialler.take_outgoing():
        pair.acceptor.receive(data, now_ns=0)
        pair.dialler.receive(pair.acceptor.take_outgoing(), now_ns=0)
    assert pair.dialler.queued_bytes(Channel.INVOKE) > 1000 * 1000 - WINDOW - 1000
    pair.exchange()
    assert 1000 == len(pair.messages(pair.acceptor))


def test_message_larger_than_the_window_passes(make_pair: MakePair) -> None:
    pair = make_pair(window_size_bytes=WINDOW)
    large = [bytes([number]) * (3 * WINDOW) for number in range(5)]
    for payload in large:
        pair.dialler.send(Channel.REPAIR, payload)
    pair.exchange()
    assert large == pair.messages(pair.acceptor)


def test_peer_that_sends_without_credit_is_closed(make_pair: MakePair) -> None:
    pair = make_pair(window_size_bytes=WINDOW)
    pair.acceptor.hold(Channel.REPAIR)
    frame = b"".join(ENCODER.batch(Channel.REPAIR, [b"x" * 936]))
    for number in range(66):
        pair.acceptor.receive(frame, now_ns=0)
        assert not pair.acceptor.is_closed, number
    pair.acceptor.receive(frame, now_ns=0)
    assert 1 == pair.acceptor.counters.closed[CloseReason.CREDIT_EXCEEDED]


def test_credit_beyond_any_window_is_a_violation(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.acceptor.receive(ENCODER.credit(Channel.INVOKE, (1 << 32) - 1), now_ns=0)
    assert 1 == pair.acceptor.counters.closed[CloseReason.CREDIT_EXCEEDED]


def test_peer_that_reads_nothing_makes_no_list_of_answers_grow(make_pair: MakePair) -> None:
    pair = make_pair(window_size_bytes=WINDOW)
    frame = b"".join(ENCODER.batch(Channel.REPAIR, [b"x" * 936] * 60))
    for _ in range(1000):
        pair.acceptor.receive(frame + ENCODER.ping(7), now_ns=0)
        pair.acceptor.take_events()
    assert not pair.acceptor.is_closed
    assert len(pair.acceptor.take_outgoing()) < 64
