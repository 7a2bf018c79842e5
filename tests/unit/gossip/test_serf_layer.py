"""The Serf layer over machines under virtual time."""

from random import Random
from typing import Any

import pytest

from gossip.codec import encode as encode_packet
from gossip.errors import BroadcastTooLarge, GossipError, RejectReason
from gossip.identity import Endpoint, NodeName
from gossip.messages import User
from gossip.outputs import (
    Event,
    LeaveFinished,
    PacketRejected,
    Query,
    QueryFinished,
    QueryResponse,
    UserEvent,
    UserState,
)
from gossip.security import Keyring
from gossip.serf import filters, keys
from gossip.serf.config import SerfConfig
from gossip.serf.intents import Status
from gossip.serf.layer import Serf
from gossip.serf.messages import (
    EventMessage,
    Intent,
    QueryMessage,
    RelayMessage,
    ResponseMessage,
    State,
    decode_state,
    encode_state,
)
from gossip.serf.messages import decode as decode_message
from gossip.serf.messages import encode as encode_message
from gossip.swim import Swim
from tests.unit.gossip.harness import World, present

STRANGER = Endpoint("10.9.9.9", 7946)


class SerfWorld(World):
    """A world whose nodes have the layer."""

    def make(self, size: int) -> list[Serf]:
        serfs: list[Serf] = []
        for number in range(1, size + 1):
            swim = self.add(f"n{number}", number=number)
            serf = Serf(swim, SerfConfig(), swim_config=self.config, rng=Random(number))
            self.nodes[swim.local.endpoint] = serf  # type: ignore[assignment]
            serfs.append(serf)
        for serf in serfs[1:]:
            self.join(serf, serfs[0])  # type: ignore[arg-type]
        self.run_until(lambda: all(len(present(s)) == size for s in serfs), within=30)  # type: ignore[arg-type]
        return serfs

    def of(self, serf: Serf, kind: type[Event]) -> list[Event]:
        self._flush(serf.local.endpoint)
        return [event for event in self.events[serf.local.name] if isinstance(event, kind)]


def test_an_event_reaches_everybody_once() -> None:
    world = SerfWorld(loss=0.1)
    serfs = world.make(5)
    serfs[0].user_event("deploy", b"12", can_coalesce=False, now_ns=world.now_ns)
    world.run(40)

    assert [[UserEvent("deploy", b"12", 1, can_coalesce=False)]] * 5 == [world.of(s, UserEvent)[:1] for s in serfs]
    assert [1] * 5 == [len(world.of(s, UserEvent)) for s in serfs]


def test_who_joins_later_is_spared_the_past() -> None:
    world = SerfWorld()
    serfs = world.make(2)
    serfs[0].user_event("old", b"", can_coalesce=False, now_ns=world.now_ns)
    world.run(5)
    swim = world.add("late", number=9)
    late = Serf(swim, SerfConfig(), swim_config=world.config, rng=Random(9))
    world.nodes[swim.local.endpoint] = late  # type: ignore[assignment]
    world.join(late, serfs[0])  # type: ignore[arg-type]
    world.run(5)
    serfs[1].user_event("new", b"", can_coalesce=False, now_ns=world.now_ns)
    world.run(5)

    assert ["new"] == [e.name for e in world.of(late, UserEvent) if isinstance(e, UserEvent)]


def test_a_leave_is_told_apart_from_a_failure() -> None:
    world = SerfWorld()
    a, b, c = world.make(3)
    b.leave(now_ns=world.now_ns)
    world.run(3)
    world.kill(b)  # type: ignore[arg-type]
    world.kill(c)  # type: ignore[arg-type]
    world.run(60)

    assert [LeaveFinished(is_complete=True)] == world.of(b, LeaveFinished)
    assert (Status.LEFT, Status.FAILED) == (a.status("n2"), a.status("n3"))


def test_a_failed_member_that_is_said_to_have_left_is_not_tried_again() -> None:
    world = SerfWorld()
    a, b = world.make(2)
    world.kill(b)  # type: ignore[arg-type]
    world.run(45)
    assert Status.FAILED is a.status("n2")
    assert ["n2"] == list(a._swim._synchronizer._lost)
    a.receive(b"\x08" + encode_message(Intent(True, 50, NodeName("n2"))), STRANGER, now_ns=world.now_ns)

    assert Status.LEFT is a.status("n2")
    assert [] == list(a._swim._synchronizer._lost)


def test_a_false_intent_about_this_node_is_contradicted() -> None:
    world = SerfWorld()
    a, b = world.make(2)
    intent = encode_message(Intent(True, 50, NodeName("n1")))
    a._swim.receive(b"\x08" + intent, STRANGER, now_ns=world.now_ns)
    b._swim.receive(b"\x08" + intent, STRANGER, now_ns=world.now_ns)
    world.run(3)

    assert Status.ALIVE is b.status("n1")


def test_a_query_is_answered_by_those_it_asks() -> None:
    world = SerfWorld()
    a, b, c = world.make(3)
    query = a.query("load", b"?", filters=(filters.by_node("n2"),), now_ns=world.now_ns)
    world.run(1)
    for serf in (b, c):
        for question in world.of(serf, Query):
            assert isinstance(question, Query)
            assert serf.respond(question, b"0.5", now_ns=world.now_ns)
    world.run(10)

    answers = [(r.node, r.payload, r.is_ack) for r in world.of(a, QueryResponse) if isinstance(r, QueryResponse)]
    assert [("n2", b"", True), ("n2", b"0.5", False)] == answers
    assert [QueryFinished(query)] == world.of(a, QueryFinished)


def test_a_query_that_names_a_stranger_as_its_asker_is_not_answered() -> None:
    world = SerfWorld()
    a, _ = world.make(2)
    message = QueryMessage(
        time=9,
        number=1,
        asker=STRANGER,
        asker_name=NodeName("x"),
        timeout_ns=10**9,
        name="q",
        payload=b"",
        wants_ack=True,
    )
    a.take_outgoing()
    a.receive(b"\x08" + encode_message(message), STRANGER, now_ns=world.now_ns)
    a.receive(b"\x08" + encode_message(RelayMessage(STRANGER, b"\x05x")), STRANGER, now_ns=world.now_ns)

    assert [] == a.take_outgoing()
    reasons = [e.reason for e in a.take_events() if isinstance(e, PacketRejected)]
    assert [RejectReason.UNKNOWN_TARGET] * 2 == reasons


def test_state_of_the_application_rides_along_with_the_tables() -> None:
    world = SerfWorld()
    a, b = world.make(2)
    a.set_state(lambda: b"extra")
    world.join(b, a)  # type: ignore[arg-type]
    world.run(2)

    assert UserState(b"extra") in world.of(b, UserState)


def test_what_can_never_be_sent_is_refused_at_once() -> None:
    world = SerfWorld()
    (a,) = world.make(1)
    with pytest.raises(BroadcastTooLarge, match="512"):
        a.user_event("big", bytes(600), can_coalesce=True, now_ns=0)
    with pytest.raises(BroadcastTooLarge, match="1024"):
        a.query("big", bytes(1_100), now_ns=0)
    with pytest.raises(GossipError, match="128"):
        a.broadcast(b"\x03taken", now_ns=0)


@pytest.mark.parametrize(
    "message",
    [
        Intent(True, 7, NodeName("x"), is_prune=True),
        Intent(False, 300, NodeName("x")),
        EventMessage(2, "deploy", b"\x00" * 40),
        ResponseMessage(1, 2**31, NodeName("x"), is_ack=True),
        RelayMessage(Endpoint("::1", 7946), b"\x05\x80"),
        QueryMessage(
            time=3,
            number=4,
            asker=STRANGER,
            asker_name=NodeName("x"),
            filters=(filters.by_node("a", "b"),),
            relay_factor=2,
            timeout_ns=15 * 10**9,
            name="q",
            payload=b"p",
        ),
    ],
)
def test_messages_survive_their_bytes(
    message: Intent | EventMessage | ResponseMessage | RelayMessage | QueryMessage,
) -> None:
    assert message == decode_message(encode_message(message))


def test_a_state_survives_its_bytes() -> None:
    state = State(
        time=3,
        event_time=4,
        query_time=5,
        statuses={NodeName(f"n{i}"): i for i in range(200)},
        left=(NodeName("n3"),),
        events=(EventMessage(2, "a", b"1"), EventMessage(2, "b", b""), EventMessage(3, "a", b"2")),
        extra=b"mine",
    )

    decoded = decode_state(encode_state(state))
    assert state == decoded


def test_broken_messages_of_the_layer_are_reported_and_change_nothing() -> None:
    world = SerfWorld()
    (a,) = world.make(1)
    rng = Random(5)
    a.take_events()
    before = a._state()
    for _ in range(2_000):
        kind = rng.choice([1, 3, 4, 5, 9])
        a.receive(bytes((8, kind)) + rng.randbytes(rng.randrange(40)), STRANGER, now_ns=0)

    assert {PacketRejected} == {type(event) for event in a.take_events()}
    assert before == a._state()


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|b)*c", "a*b*c*", r"(a)\1", "(?=a)", "["])
def test_expressions_that_could_take_for_ever_are_not_run(expression: str) -> None:
    world = SerfWorld()
    a, b = world.make(2)
    a.query("q", b"", filters=(filters.by_tag("role", expression),), now_ns=world.now_ns)
    world.run(3)

    assert [] == world.of(b, Query)
    assert world.of(b, PacketRejected)


def test_filters_by_tag_search_the_value() -> None:
    item = filters.by_tag("role", "^we.$")

    assert filters.matches(item, name=NodeName("x"), tags={"role": "web"})
    assert not filters.matches(item, name=NodeName("x"), tags={})


def test_keys_are_rotated_by_queries() -> None:
    ring = Keyring([bytes(16)])
    request = b"\x07" + bytes.fromhex("81a34b6579b0") + b"n" * 16

    for name in ("install", "use"):
        answer, is_changed = keys.answer(f"_serf_{name}-key", request, ring, size_bytes_max=900)
        assert is_changed
        assert b"Result\xc3" in answer
    assert (b"n" * 16, bytes(16)) == ring.keys
    refused, is_changed = keys.answer("_serf_remove-key", request, ring, size_bytes_max=900)
    assert not is_changed
    assert b"Result\xc2" in refused


def test_a_list_of_keys_that_does_not_fit_says_so() -> None:
    ring = Keyring([bytes((number,)) * 32 for number in range(16)])
    answer, _ = keys.answer("_serf_list-keys", b"", ring, size_bytes_max=400)

    assert len(answer) <= 400
    assert b"of 16 keys fit" in answer


def test_user_messages_get_a_share_while_members_news_floods() -> None:
    world = World()
    swim: Swim = world.cluster(2)[0]
    kernel = swim._kernel
    for number in range(500):
        kernel.updates.put(bytes(100), key=f"m{number}")
    swim.broadcast(b"\x80" + bytes(900), now_ns=0)
    packets = [kernel.pick_updates(1_300) for _ in range(8)]

    assert any(len(part) == 902 for packet in packets for part in packet)
    assert all(any(len(part) == 100 for part in packet) for packet in packets)


FAR = 2**61
FORGED = [
    Intent(False, FAR, NodeName("n2")),
    Intent(True, FAR, NodeName("n1")),
    EventMessage(FAR, "forged", b""),
    QueryMessage(time=FAR, number=1, asker=STRANGER, asker_name=NodeName("x"), timeout_ns=1, name="q", payload=b""),
]


@pytest.mark.parametrize("message", FORGED)
def test_a_message_of_a_far_time_moves_no_clock_and_goes_no_further(message: Any) -> None:
    world = SerfWorld()
    a, _b = world.make(2)
    world.run(20)
    before = decode_state(a._state())
    a._swim._kernel.user_messages.take_finished()
    tell(world, a, encode_message(message))

    assert [RejectReason.CLOCK] == [e.reason for e in world.of(a, PacketRejected) if isinstance(e, PacketRejected)]
    assert before == decode_state(a._state())
    assert not a._swim._kernel.user_messages


def test_a_state_of_far_times_moves_no_clock_and_events_go_on() -> None:
    world = SerfWorld()
    a, b = world.make(2)
    forged = State(time=FAR, event_time=FAR, query_time=FAR, statuses={NodeName("n1"): FAR}, left=(), events=())
    a._swim._kernel.emit(UserState(encode_state(forged)))
    a._digest(world.now_ns)
    b.user_event("deploy", b"", can_coalesce=False, now_ns=world.now_ns)
    world.run(5)

    assert RejectReason.CLOCK in [e.reason for e in world.of(a, PacketRejected) if isinstance(e, PacketRejected)]
    assert ["deploy"] == [e.name for e in world.of(a, UserEvent) if isinstance(e, UserEvent)]
    assert max(decode_state(a._state()).statuses.values()) < 100


def test_far_times_inside_a_plausible_state_are_left_out() -> None:
    world = SerfWorld()
    a, _b = world.make(2)
    statuses = {NodeName("n2"): FAR, NodeName("n1"): 3}
    forged = State(
        time=9, event_time=9, query_time=9, statuses=statuses, left=(), events=(EventMessage(FAR, "forged", b""),)
    )
    a._swim._kernel.emit(UserState(encode_state(forged)))
    a._digest(world.now_ns)

    assert [] == world.of(a, UserEvent)
    assert decode_state(a._state()).statuses[NodeName("n2")] < 100


def test_who_comes_to_us_does_not_decide_which_events_are_past() -> None:
    world = SerfWorld()
    a, _b = world.make(2)
    visitor = State(time=900, event_time=900, query_time=900, statuses={}, left=(), events=())
    a._swim._kernel.emit(UserState(encode_state(visitor)))
    a._digest(world.now_ns)
    early = EventMessage(850, "early", b"")
    tell(world, a, encode_message(early))

    assert ["early"] == [e.name for e in world.of(a, UserEvent) if isinstance(e, UserEvent)]


def test_a_newcomer_takes_the_times_of_an_old_cluster() -> None:
    world = SerfWorld()
    a, _b = world.make(2)
    a._event_clock.witness(2**40)
    swim = world.add("late", number=9)
    late = Serf(swim, SerfConfig(), swim_config=world.config, rng=Random(9))
    world.nodes[swim.local.endpoint] = late  # type: ignore[assignment]
    world.join(late, a)  # type: ignore[arg-type]
    world.run(5)
    late.user_event("here", b"", can_coalesce=False, now_ns=world.now_ns)
    world.run(5)

    assert ["here"] == [e.name for e in world.of(a, UserEvent) if isinstance(e, UserEvent)]


def tell(world: SerfWorld, serf: Serf, payload: bytes) -> None:
    """Has a stranger send a message of the layer."""
    serf.receive(encode_packet(User(payload)), STRANGER, now_ns=world.now_ns)
