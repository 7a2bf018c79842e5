"""The session core: handshake, keep-alive, goodbye, violations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from crdtmesh.links import states
from crdtmesh.links.errors import CloseReason, LocalProtocolError, MessageTooLargeError
from crdtmesh.links.frames import Channel, FrameEncoder, Hello
from crdtmesh.links.handshake import MAGIC
from crdtmesh.links.options import Identity, LinkOptions
from crdtmesh.links.session import Session
from crdtmesh.links.states import TRANSITIONS, Established, HelloReceived, State

if TYPE_CHECKING:
    from tests.unit.crdtmesh.links.conftest import MakePair

ENCODER = FrameEncoder()


def test_drawing_in_the_docstring_is_the_transition_table() -> None:
    drawn = re.findall(r"^(\w+) +--(\w+)--> (\w+)$", states.__doc__ or "", re.MULTILINE)
    table = [(state.value, signal.value, target.value) for (state, signal), target in TRANSITIONS.items()]
    assert sorted(table) == sorted(drawn)


def test_handshake_establishes_both_sides_with_each_others_identity(make_pair: MakePair) -> None:
    pair = make_pair()
    assert (State.UP, State.UP) == (pair.dialler.state, pair.acceptor.state)
    assert [Established(Identity(cluster="c", node="b", start_id=b"B" * 16))] == pair.events[pair.dialler]
    peer = Identity(cluster="c", node="a", start_id=b"A" * 16)
    assert [HelloReceived(peer), Established(peer)] == pair.events[pair.acceptor]


def test_messages_of_each_channel_arrive_in_order(make_pair: MakePair) -> None:
    pair = make_pair()
    for number in range(500):
        assert pair.dialler.send(Channel(number % 4), b"%d" % number)
    pair.exchange()
    for channel in Channel:
        expected = [b"%d" % number for number in range(500) if number % 4 == channel]
        assert expected == pair.messages(pair.acceptor, channel)


def test_acceptor_says_nothing_before_its_owner_admits_the_peer(make_pair: MakePair) -> None:
    pair = make_pair(admits=False)
    assert bytearray() == pair.written[pair.acceptor]
    assert State.ADMITTING is pair.acceptor.state
    assert not pair.dialler.send(Channel.CONTROL, b"too early")
    pair.acceptor.admit(now_ns=0)
    pair.exchange()
    assert State.UP is pair.dialler.state


def test_refused_peer_learns_the_reason(make_pair: MakePair) -> None:
    pair = make_pair(admits=False)
    pair.acceptor.close(now_ns=0, reason=CloseReason.NOT_A_PEER, detail="unknown here")
    pair.exchange()
    closed = pair.closed(pair.dialler)
    assert (CloseReason.NOT_A_PEER, True, False) == (closed.reason, closed.by_peer, closed.was_up)
    assert "unknown here" in closed.detail


@pytest.mark.parametrize(
    ("dialler", "reason", "expected", "came"),
    [
        ({"cluster": "other"}, CloseReason.CLUSTER, "'c'", "'other'"),
        ({"start_id": b"B" * 16}, CloseReason.SELF_CONNECTION, "another node", "'a'"),
        ({"node": "b"}, CloseReason.NAME_CONFLICT, "other than 'b'", "'b'"),
    ],
)
def test_hello_that_does_not_fit_is_refused_naming_what_was_expected_and_what_came(
    make_pair: MakePair, dialler: dict[str, Any], reason: CloseReason, expected: str, came: str
) -> None:
    pair = make_pair(dialler=dialler)
    closed = pair.closed(pair.acceptor)
    assert reason is closed.reason
    assert expected in closed.detail
    assert came in closed.detail
    # The side that dialled is told the same, so either operator finds the cause.
    assert reason is pair.closed(pair.dialler).reason
    assert closed.detail[:20] in pair.closed(pair.dialler).detail.replace('\\"', '"')


def test_answer_of_another_node_than_the_dialled_one_is_refused(make_pair: MakePair) -> None:
    pair = make_pair(acceptor={"node": "z"})
    assert CloseReason.UNEXPECTED_PEER is pair.closed(pair.dialler).reason


def hello(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "magic": MAGIC,
        "version": 1,
        "version_min": 1,
        "cluster": "c",
        "node": "a",
        "start_id": b"A" * 16,
        "window_size_bytes": 1 << 20,
        "capabilities": (),
    }
    return ENCODER.hello(Hello(**{**fields, **changes}))


def acceptor(**options: Any) -> Session:
    identity = Identity(cluster="c", node="b", start_id=b"B" * 16)
    return Session(LinkOptions(**options), identity, dials=False, now_ns=0)


@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (3, 2)])
def test_version_without_overlap_is_refused_naming_both_ranges(newest: int, oldest: int) -> None:
    side = acceptor()
    side.receive(hello(version=newest, version_min=oldest), now_ns=0)
    [closed] = side.take_events()
    assert isinstance(closed, states.Closed)
    assert CloseReason.PROTOCOL_VERSION is closed.reason
    assert "from 1 to 1" in closed.detail
    assert f"{oldest} to {newest}" in closed.detail


def test_newer_peer_that_still_speaks_our_version_is_welcome() -> None:
    side = acceptor()
    side.receive(hello(version=7, version_min=1), now_ns=0)
    assert State.ADMITTING is side.state
    assert 1 == side.version


@pytest.mark.parametrize(
    "changes",
    [
        {"magic": "http"},
        {"node": ""},
        {"node": "x" * 129},
        {"start_id": b""},
        {"start_id": b"x" * 33},
        {"window_size_bytes": 0},
        {"capabilities": ("x" * 33,)},
        {"capabilities": ("x",) * 17},
    ],
)
def test_hello_beyond_its_limits_is_malformed(changes: dict[str, Any]) -> None:
    side = acceptor()
    side.receive(hello(**changes), now_ns=0)
    assert 1 == side.counters.closed[CloseReason.MALFORMED]


def test_largest_permitted_hello_fits_the_handshake_limit() -> None:
    side = acceptor()
    side.receive(hello(cluster="c", node="n" * 128, start_id=b"s" * 32, capabilities=("x" * 32,) * 16), now_ns=0)
    assert State.ADMITTING is side.state
    largest = hello(cluster="c" * 128, node="n" * 128, start_id=b"s" * 32, capabilities=("x" * 32,) * 16)
    assert len(largest) <= 1024


@pytest.mark.parametrize(
    "early", [ENCODER.ping(1), ENCODER.credit(Channel.INVOKE, 9), b"".join(ENCODER.batch(Channel.INVOKE, [b"x"]))]
)
def test_anything_but_a_hello_is_out_of_turn_before_admission(early: bytes) -> None:
    for data in (early, hello() + early, hello() + hello()):
        side = acceptor()
        side.receive(data, now_ns=0)
        assert 1 == side.counters.closed[CloseReason.OUT_OF_TURN]


def test_stranger_may_not_announce_a_frame_above_one_kilobyte() -> None:
    side = acceptor()
    side.receive((1025).to_bytes(4, "big"), now_ns=0)
    assert 1 == side.counters.closed[CloseReason.FRAME_TOO_LARGE]


def test_frame_above_the_message_limit_ends_an_established_session_before_it_arrives(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.acceptor.receive((64 << 20).to_bytes(4, "big"), now_ns=0)
    pair.exchange()
    assert CloseReason.FRAME_TOO_LARGE is pair.closed(pair.acceptor).reason
    assert CloseReason.FRAME_TOO_LARGE is pair.closed(pair.dialler).reason


def test_silent_stranger_is_dropped_at_the_handshake_timeout() -> None:
    side = acceptor(handshake_timeout_s=5)
    assert 5_000_000_000 == side.next_deadline_ns()
    side.tick(now_ns=4_999_999_999)
    assert not side.is_closed
    side.tick(now_ns=5_000_000_000)
    assert 1 == side.counters.closed[CloseReason.HANDSHAKE_TIMEOUT]
    assert side.next_deadline_ns() is None


def test_parked_peer_that_is_never_admitted_is_dropped_at_the_handshake_timeout(make_pair: MakePair) -> None:
    pair = make_pair(admits=False)
    pair.advance(5.1)
    assert CloseReason.HANDSHAKE_TIMEOUT is pair.closed(pair.acceptor).reason


def test_idle_link_stays_up_for_an_hour_and_measures_the_round_trip(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.advance(3600)
    assert (State.UP, State.UP) == (pair.dialler.state, pair.acceptor.state)
    assert 0 == pair.dialler.round_trip_ns
    # A ping per interval of silence and side at most: nothing here grows with anything but time.
    assert pair.dialler.counters.frames_out <= 2 * 3600 / 3 + 2


def test_dead_peer_is_noticed_at_the_idle_timeout(make_pair: MakePair) -> None:
    pair = make_pair(idle_timeout_s=10)
    pair.advance(9.9, connected=False)
    assert State.UP is pair.dialler.state
    pair.advance(0.2, connected=False)
    closed = pair.closed(pair.dialler)
    assert (CloseReason.IDLE_TIMEOUT, True) == (closed.reason, closed.was_up)


def test_trickle_of_a_large_message_counts_as_life(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.dialler.send(Channel.REPAIR, b"x" * 1000)
    data = pair.dialler.take_outgoing()
    for index in range(len(data)):
        pair.now_ns += 9_000_000_000
        pair.acceptor.receive(data[index : index + 1], now_ns=pair.now_ns)
        pair.acceptor.tick(now_ns=pair.now_ns)
    assert State.UP is pair.acceptor.state
    assert [b"x" * 1000] == [payload for event in pair.acceptor.take_events() for payload in event.payloads]  # type: ignore[union-attr]


def test_flood_of_pings_gets_one_pong_per_write(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.acceptor.receive(b"".join(ENCODER.ping(number) for number in range(10_000)), now_ns=0)
    assert ENCODER.pong(9999) == pair.acceptor.take_outgoing()


def test_goodbye_comes_after_what_was_queued(make_pair: MakePair) -> None:
    pair = make_pair()
    for number in range(3000):
        pair.dialler.send(Channel.REPLICATION, b"%0999d" % number)
    pair.dialler.close(now_ns=0, detail="maintenance")
    assert not pair.dialler.send(Channel.CONTROL, b"too late")
    pair.exchange()
    assert [b"%0999d" % number for number in range(3000)] == pair.messages(pair.acceptor)
    here, there = pair.closed(pair.dialler), pair.closed(pair.acceptor)
    assert (CloseReason.GOODBYE, False) == (here.reason, here.by_peer)
    assert (CloseReason.GOODBYE, True) == (there.reason, there.by_peer)
    assert "maintenance" in there.detail


def test_goodbye_does_not_wait_for_ever_on_a_receiver_that_takes_nothing(make_pair: MakePair) -> None:
    pair = make_pair(drain_timeout_s=2, window_size_bytes=4096)
    pair.acceptor.hold(Channel.REPLICATION)
    for _ in range(100):
        pair.dialler.send(Channel.REPLICATION, b"x" * 1000)
    pair.dialler.close(now_ns=0)
    pair.advance(1.9)
    assert State.DRAINING is pair.dialler.state
    pair.advance(0.2)
    assert CloseReason.DRAIN_TIMEOUT is pair.closed(pair.dialler).reason


def test_text_of_a_peer_is_escaped_in_what_we_log(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.acceptor.receive(ENCODER.goodbye(CloseReason.GOODBYE, "bye\nERROR forged\x1b[31m"), now_ns=0)
    pair.collect(pair.acceptor)
    assert pair.closed(pair.acceptor).detail.isprintable()


def test_lost_transport_ends_the_session_once(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.dialler.lost("reset")
    pair.dialler.lost("again")
    pair.dialler.receive(b"late", now_ns=0)
    pair.dialler.tick(now_ns=1 << 60)
    pair.dialler.close(now_ns=0)
    pair.collect(pair.dialler)
    assert 1 == sum(isinstance(event, states.Closed) for event in pair.events[pair.dialler])
    assert b"" == pair.dialler.take_outgoing()


def test_message_above_the_limit_is_our_callers_mistake(make_pair: MakePair) -> None:
    pair = make_pair(message_size_bytes_max=2000)
    with pytest.raises(MessageTooLargeError, match="message_size_bytes_max=2000"):
        pair.dialler.send(Channel.REPAIR, b"x" * 2001)
    assert pair.dialler.send(Channel.REPAIR, b"x" * 2000)
    pair.exchange()
    assert [b"x" * 2000] == pair.messages(pair.acceptor)


def test_admitting_what_did_not_ask_is_our_callers_mistake(make_pair: MakePair) -> None:
    pair = make_pair()
    with pytest.raises(LocalProtocolError, match="state admitting"):
        pair.acceptor.admit(now_ns=0)
    assert State.UP is pair.acceptor.state


def test_equal_inputs_give_equal_bytes(make_pair: MakePair) -> None:
    def run() -> tuple[bytes, bytes]:
        pair = make_pair()
        for number in range(100):
            pair.dialler.send(Channel(number % 4), bytes(number))
            pair.advance(0.5)
        return bytes(pair.written[pair.dialler]), bytes(pair.written[pair.acceptor])

    assert run() == run()
