"""Streams of one machine; the other side is played by the test."""

import copy
from dataclasses import replace
from random import Random

from gossip.codec import encode
from gossip.config import LAN, SwimConfig
from gossip.errors import RejectReason
from gossip.identity import Endpoint, NodeName, address_of
from gossip.messages import Ack, ErrorReply, MemberState, Message, NodeState, Ping, PushPull, Suspect, User
from gossip.outputs import (
    CloseStream,
    JoinFinished,
    OpenStream,
    Outgoing,
    PacketRejected,
    SendStream,
    StreamId,
    UserMessage,
    UserState,
)
from gossip.packets import PacketLayers
from gossip.streams import StreamReader, encode_for_stream
from gossip.swim import Swim

SECOND = 1_000_000_000
HOME, PEER = Endpoint("10.0.0.1", 7946), Endpoint("10.0.0.2", 7946)
VERSIONS = bytes([1, 5, 2, 2, 5, 4])


def swim(config: SwimConfig = LAN) -> Swim:
    return Swim(replace(config, push_pull_interval_s=0), name="self", endpoint=HOME, rng=Random(1), now_ns=0)


def entry(
    name: str, state: MemberState, *, incarnation: int = 3, at: Endpoint = PEER, versions: bytes = VERSIONS
) -> NodeState:
    return NodeState(
        node=NodeName(name),
        address=address_of(at.host),
        port=at.port,
        incarnation=3,
        state=state,
        versions=versions,
    )


def read(data: bytes) -> Message | None:
    return StreamReader(PacketLayers(), is_inbound=True, size_bytes_max=1 << 20).feed(data)


def request(machine: Swim, message: Message) -> list[Outgoing]:
    """Plays a peer that sends a request; what the machine answers."""
    stream = machine.accept_stream(PEER, now_ns=0)
    assert stream is not None
    machine.receive_stream(stream, encode_for_stream(message), now_ns=0)
    return machine.take_outgoing()


def rejected(machine: Swim) -> list[RejectReason]:
    return [event.reason for event in machine.take_events() if isinstance(event, PacketRejected)]


def test_a_table_is_answered_with_what_was_known_before() -> None:
    machine = swim()
    answer, close = request(machine, PushPull(True, (entry("peer", MemberState.ALIVE),), b"state"))

    assert isinstance(answer, SendStream)
    table = read(answer.data)
    assert isinstance(table, PushPull)
    assert (True, ["self"]) == (table.is_join, [state.node for state in table.states])
    assert CloseStream(answer.stream) == close
    assert machine.member("peer") is not None
    assert UserState(b"state") in machine.take_events()


def test_the_dead_of_others_are_suspects_first_and_the_left_are_left() -> None:
    machine = swim()
    request(machine, PushPull(False, (entry("a", MemberState.ALIVE), entry("b", MemberState.ALIVE, at=HOME))))
    request(machine, PushPull(False, (entry("a", MemberState.DEAD), entry("b", MemberState.LEFT))))

    a, b = machine.member("a"), machine.member("b")
    assert a is not None
    assert b is not None
    assert (MemberState.SUSPECT, MemberState.LEFT) == (a.state, b.state)


def test_a_newcomer_learns_nothing_of_the_gone() -> None:
    machine = swim()
    request(machine, PushPull(False, tuple(entry(s.name, s) for s in MemberState if s is not MemberState.ALIVE)))

    assert ["self"] == [member.name for member in machine.members()]


def test_one_misfit_does_not_spoil_a_table() -> None:
    machine = swim()
    misfit = entry("misfit", MemberState.ALIVE, versions=bytes([1, 5, 2, 0, 0, 0]), at=HOME)
    request(machine, PushPull(False, (misfit, entry("good", MemberState.ALIVE))))

    assert machine.member("misfit") is None
    assert machine.member("good") is not None
    assert [RejectReason.VERSION] == rejected(machine)


def test_a_cluster_of_misfits_is_a_failed_join() -> None:
    machine = swim()
    machine.join([PEER], now_ns=0)
    opened = machine.take_outgoing()[0]
    assert isinstance(opened, OpenStream)
    misfit = entry("misfit", MemberState.ALIVE, versions=bytes([1, 5, 2, 0, 0, 0]))
    machine.receive_stream(opened.stream, encode_for_stream(PushPull(True, (misfit,))), now_ns=0)

    errors = [event.error for event in machine.take_events() if isinstance(event, JoinFinished)]
    assert 1 == len(errors)
    assert "versions" in (errors[0] or "")


def test_a_join_sends_our_table_and_ends_with_the_answer() -> None:
    machine = swim()
    machine.join([PEER], now_ns=0)
    opened = machine.take_outgoing()[0]
    assert isinstance(opened, OpenStream)
    table = read(opened.data)
    assert isinstance(table, PushPull)
    assert (True, ["self"]) == (table.is_join, [state.node for state in table.states])

    answer = encode_for_stream(PushPull(True, (entry("peer", MemberState.ALIVE),)))
    for byte in answer:
        machine.receive_stream(opened.stream, bytes([byte]), now_ns=0)
    assert [CloseStream(opened.stream)] == machine.take_outgoing()
    assert JoinFinished(PEER, None) in machine.take_events()


def test_a_join_fails_with_the_reason() -> None:
    for play, reason in (
        (lambda m, s: m.close_stream(s, error="connection refused", now_ns=0), "connection refused"),
        (lambda m, s: m.close_stream(s, now_ns=0), "closed without an answer"),
        (lambda m, s: m.receive_stream(s, encode_for_stream(ErrorReply("no")), now_ns=0), "the peer refused: 'no'"),
        (lambda m, s: m.receive_stream(s, encode_for_stream(Ack(1)), now_ns=0), "Ack is no answer"),
        (lambda m, s: m.tick(now_ns=10 * SECOND), "no complete answer within 10.0 s"),
    ):
        machine = swim(replace(LAN, probe_interval_s=1_000.0))
        machine.join([PEER], now_ns=0)
        opened = machine.take_outgoing()[0]
        assert isinstance(opened, OpenStream)
        play(machine, opened.stream)  # type: ignore[no-untyped-call]

        assert [reason] == [e.error for e in machine.take_events() if isinstance(e, JoinFinished)]


def test_a_ping_on_a_stream_is_answered_if_it_is_for_us() -> None:
    machine = swim()
    answer, _ = request(machine, Ping(5, NodeName("self")))
    assert isinstance(answer, SendStream)
    assert Ack(5) == read(answer.data)

    outgoing = request(machine, Ping(5, NodeName("other")))
    assert [CloseStream] == [type(out) for out in outgoing]
    assert [RejectReason.WRONG_NAME] == rejected(machine)


def test_a_user_message_of_a_stream_is_an_event() -> None:
    machine = swim()
    request(machine, User(b"x" * 5_000))

    assert UserMessage(b"x" * 5_000) in machine.take_events()


def test_bytes_that_are_no_message_are_answered_with_an_error_and_closed() -> None:
    machine = swim()
    stream = machine.accept_stream(PEER, now_ns=0)
    assert stream is not None
    machine.receive_stream(stream, b"GET / HTTP/1.1\r\n\r\n", now_ns=0)
    answer, close = machine.take_outgoing()

    assert isinstance(answer, SendStream)
    assert isinstance(read(answer.data), ErrorReply)
    assert CloseStream(stream) == close
    assert 1 == len(rejected(machine))


def test_inbound_streams_are_bounded_and_places_come_free() -> None:
    machine = swim(replace(LAN, streams_max=3))
    streams = [machine.accept_stream(PEER, now_ns=0) for _ in range(4)]
    assert streams[3] is None
    assert [RejectReason.STREAMS_FULL] == rejected(machine)

    machine.close_stream(StreamId(streams[0] or 0), now_ns=0)
    assert machine.accept_stream(PEER, now_ns=0) is not None


def test_all_inbound_streams_share_one_budget_that_comes_free() -> None:
    machine = swim()
    unfinished = b"\x08\x81\xaaUserMsgLen\xce\x00\x31\x00\x00"
    streams = [machine.accept_stream(PEER, now_ns=0) for _ in range(20)]
    for stream in streams:
        assert stream is not None
        machine.receive_stream(stream, unfinished, now_ns=0)
        machine.receive_stream(stream, bytes(3 << 20), now_ns=0)
    closed = {out.stream for out in machine.take_outgoing() if isinstance(out, CloseStream)}
    assert 10 == len(set(streams) - closed)

    for stream in streams:
        machine.close_stream(StreamId(stream or 0), now_ns=0)
    answer, _ = request(machine, Ping(5, NodeName("self")))
    assert isinstance(answer, SendStream)


def test_an_inbound_stream_that_says_nothing_is_closed_in_time() -> None:
    machine = swim()
    stream = machine.accept_stream(PEER, now_ns=0)
    assert stream is not None
    machine.receive_stream(stream, b"\x06", now_ns=0)
    machine.tick(now_ns=10 * SECOND)

    assert CloseStream(stream) in machine.take_outgoing()
    assert [RejectReason.STREAM_TIMEOUT] == rejected(machine)


def test_stream_numbers_are_never_used_again() -> None:
    machine = swim()
    numbers = []
    for _ in range(5):
        stream = machine.accept_stream(PEER, now_ns=0)
        assert stream is not None
        numbers.append(stream)
        machine.close_stream(stream, now_ns=0)

    assert 5 == len(set(numbers))


def test_a_table_that_holds_what_we_hold_is_no_news() -> None:
    machine = swim()
    table = PushPull(False, (entry("a", MemberState.ALIVE), entry("b", MemberState.LEFT, at=HOME)))
    request(machine, table)
    before = machine.members()
    machine.take_events()
    request(machine, table)

    assert before == machine.members()
    assert [] == machine.take_events()


def test_a_suspicion_that_we_share_is_confirmed_by_the_table_of_a_peer() -> None:
    machine = swim()
    others = tuple(
        entry(name, MemberState.ALIVE, at=Endpoint(f"10.0.1.{number}", 7946)) for number, name in enumerate("abcdef")
    )
    request(machine, PushPull(False, others))
    machine.receive(encode(Suspect(3, NodeName("a"), NodeName("b"))), PEER, now_ns=0)
    before_s = seconds_to_death(machine, "a")
    request(machine, PushPull(False, (replace(others[0], state=MemberState.SUSPECT),)))

    assert before_s > seconds_to_death(machine, "a")


def seconds_to_death(machine: Swim, name: str) -> int:
    """When a suspect is declared dead, as things stand: found by letting time pass for copies of the machine."""
    for seconds in range(1, 100):
        later = copy.deepcopy(machine)
        later.tick(now_ns=seconds * SECOND)
        member = later.member(name)
        if member is not None and member.state is MemberState.DEAD:
            return seconds
    raise AssertionError(f"{name} is never declared dead")
