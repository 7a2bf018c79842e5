"""Calls to actors of other nodes: where they go, and what is told when they don't come back."""

import pytest

from crdtmesh.runtime.definition import ActorAddress, StateKind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import Call, CallExtra
from crdtmesh.runtime.placement import Place, Placement, Site
from tests.unit.crdtmesh.runtime.mesh import CALLER, ECHO, LIST, STOCK, STOCK_KEY, Node, deliver, link, unlink

NOT_APPLIED, UNKNOWN = Outcome.NOT_APPLIED, Outcome.UNKNOWN


def test_call_without_local_host_runs_where_one_is() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect()
    link(a, b)
    calls = [a.call(STOCK, "increment", str(number).encode()) for number in (1, 20, 300)]
    deliver(a, b)
    host.run_all()
    deliver(a, b)
    assert [b"0", b"1", b"21"] == [a.reply(call).payload for call in calls]
    assert 321 == a.value(STOCK_KEY) == b.value(STOCK_KEY)


def test_call_with_a_local_host_stays() -> None:
    a, b = Node("a"), Node("b")
    host = a.connect()
    b.connect()
    link(a, b)
    call = a.call(STOCK, "increment")
    assert [] == a.calls_to_peers
    host.run_all()
    assert a.reply(call)


def test_failure_at_the_peer_comes_back_as_it_is() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect()
    link(a, b)
    calls = [a.call(STOCK, "fail"), a.call(STOCK, "explode")]
    deliver(a, b)
    host.run_all()
    deliver(a, b)
    assert (ErrorCode.HANDLER_ERROR, NOT_APPLIED, "it broke") == a.failure(calls[0])[1:]
    assert (ErrorCode.UNKNOWN_ACTION, NOT_APPLIED) == a.failure(calls[1])[1:3]


def test_extra_and_remaining_time_travel_with_the_call() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect()
    link(a, b)
    extra = CallExtra({"trace": "1"}, ECHO)
    a.runtime.invoke(CALLER, [Call(1, ECHO, "echo", "", b"", 500, extra)], now_ns=a.now_ns)
    deliver(a, b)
    ((columns,),) = b.turns.values()
    assert [(columns.turns[0], extra)] == columns.extras
    assert [500] == columns.timeouts_ms
    host.run_all()
    deliver(a, b)
    assert a.reply(1)


def test_call_that_came_from_a_peer_is_not_passed_on() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    c.connect()
    link(b, c)
    # What `a` believes of `b` is out of date: `b` has no host, and knows that `c` has one.
    link(a, b)
    a.runtime.directory_changed({"b": c.runtime.offers()})
    b.runtime.directory_changed({"c": c.runtime.offers()})
    call = a.call(STOCK, "increment")
    deliver(a, b)
    assert [] == b.calls_to_peers
    assert (ErrorCode.NO_HOST, NOT_APPLIED) == a.failure(call)[1:3]


def test_call_that_a_peer_could_not_run_is_tried_at_another() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    host = c.connect()
    link(a, b)
    link(a, c)
    offers = c.runtime.offers()
    a.runtime.directory_changed({"b": offers, "c": offers})
    calls = [a.call(actor, "echo") for actor in (STOCK, LIST, ECHO)]
    assert {"b", "c"} == {message.peer for message in a.calls_to_peers}
    for _ in range(2):
        messages, a.calls_to_peers = a.calls_to_peers, []
        for message in messages:
            other = {"b": b, "c": c}[message.peer]
            other.runtime.peer_message("a", message.payload, now_ns=other.now_ns)
            other.flush()
        host.run_all()
        for other in (b, c):
            for message in other.calls_to_peers:
                a.runtime.peer_message(other.name, message.payload, now_ns=a.now_ns)
            other.calls_to_peers.clear()
        a.flush()
    assert all(a.reply(call) for call in calls)


def test_lost_link_leaves_what_was_sent_unknown() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect()
    link(a, b)
    call = a.call(STOCK, "increment")
    deliver(a, b)
    unlink(a, b)
    assert (ErrorCode.PEER_LOST, UNKNOWN) == a.failure(call)[1:3]
    # The other side was told of nobody who waits, and applies the turn all the same.
    host.run_all()
    assert 1 == b.value(STOCK_KEY)
    assert [] == b.calls_to_peers


def test_calls_not_sent_when_the_link_is_lost_go_elsewhere() -> None:
    a, b, c = Node("a"), Node("b"), Node("c")
    offers = b.connect().node.runtime.offers()
    host = c.connect()
    link(a, b)
    call = 1
    a.runtime.invoke(CALLER, [Call(call, STOCK, "increment")], now_ns=a.now_ns)
    link_without_delivery(a, c)
    a.runtime.directory_changed({"b": offers, "c": offers})
    a.runtime.peer_down("b", now_ns=a.now_ns)
    deliver(a, c)
    host.run_all()
    deliver(a, c)
    assert a.reply(call)


def link_without_delivery(a: Node, b: Node) -> None:
    for node, other in ((a, b), (b, a)):
        node.replica.peer_up(other.name, now_ns=node.now_ns)
        node.runtime.peer_up(other.name)


def test_actor_offered_out_of_reach_has_no_host_and_can_be_read() -> None:
    a, b = Node("a"), Node("b")
    b.connect()
    link(a, b)
    b.update(STOCK_KEY, "increment", 4)
    deliver(a, b)
    unlink(a, b)
    failure = a.failure(a.call(STOCK, "increment"))
    assert (ErrorCode.NO_HOST, NOT_APPLIED) == failure[1:3]
    assert failure.message.endswith("offered by b, out of reach")
    assert b'["PNCounter", 4]' == a.reply(a.call(STOCK, "get")).payload


def test_known_names_of_other_nodes_are_suggested() -> None:
    a, b = Node("a"), Node("b")
    b.connect()
    link(a, b)
    assert a.failure(a.call(ActorAddress("shop", "lisst"), "add")).message.endswith("did you mean 'list'?")
    a.runtime.directory_changed({})
    assert not a.failure(a.call(ActorAddress("shop", "lisst"), "add")).message.endswith("?")


def test_link_that_takes_no_more_leaves_calls_not_applied() -> None:
    a, b = Node("a"), Node("b")
    b.connect()
    link(a, b)
    calls = [a.call(STOCK, "increment") for _ in range(2)]
    for message in a.calls_to_peers:
        a.runtime.peer_refused(message, now_ns=a.now_ns)
    a.flush()
    assert [(ErrorCode.MAILBOX_FULL, NOT_APPLIED)] * 2 == [a.failure(call)[1:3] for call in calls]


def test_too_many_calls_for_one_peer_are_refused() -> None:
    a, b = Node("a", peer_calls_max=2), Node("b")
    host = b.connect()
    link(a, b)
    calls = [a.call(STOCK, "increment") for _ in range(3)]
    assert (ErrorCode.MAILBOX_FULL, NOT_APPLIED) == a.failure(calls[2])[1:3]
    deliver(a, b)
    host.run_all()
    deliver(a, b)
    assert all(a.reply(call) for call in calls[:2])


def test_deadline_of_a_sent_call_is_unknown_and_the_peer_is_told() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect()
    link(a, b)
    call = a.call(STOCK, "increment", timeout_ms=50)
    deliver(a, b)
    (turn,) = host.take()
    a.advance(50)
    assert (ErrorCode.TIMEOUT, UNKNOWN) == a.failure(call)[1:3]
    deliver(a, b)
    host.run_all()
    assert [turn.number] == host.cancelled
    deliver(a, b)
    assert ErrorCode.TIMEOUT == a.failure(call).code


def test_deadline_before_a_call_was_sent_is_not_applied() -> None:
    a, b = Node("a"), Node("b")
    b.connect()
    link(a, b)
    a.runtime.invoke(CALLER, [Call(1, STOCK, "increment", "", b"", 50)], now_ns=a.now_ns)
    a.advance(50)
    assert (ErrorCode.TIMEOUT, NOT_APPLIED) == a.failure(1)[1:3]
    assert [] == a.calls_to_peers


def test_cancelled_call_is_cancelled_at_the_peer() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect(*())
    link(a, b)
    call = a.call(STOCK, "increment")
    deliver(a, b)
    (turn,) = host.take()
    a.cancel(call)
    deliver(a, b)
    host.run_all()
    deliver(a, b)
    assert [turn.number] == host.cancelled
    assert a.outcome(call) is None


def test_large_payloads_are_spread_over_messages() -> None:
    a, b = Node("a"), Node("b")
    host = b.connect()
    link(a, b)
    calls = [Call(number, ECHO, "echo", "", bytes(100_000)) for number in range(10)]
    a.runtime.invoke(CALLER, calls, now_ns=a.now_ns)
    a.flush()
    assert [2, 2, 2, 2, 2] == [len(message.calls) for message in a.calls_to_peers]
    deliver(a, b)
    turns = host.take()
    host.answer([(turn.number, "", bytes(200_000), ()) for turn in turns], [])
    assert 10 == len(b.calls_to_peers)
    deliver(a, b)
    assert all(len(a.reply(call.id).payload) == 200_000 for call in calls)


@pytest.mark.parametrize(
    "payload", [b"", b"\xc1", b"\x92\x01\x00", b"\x92\x02\x00", bytes(100), b"\xdd\xff\xff\xff\xff"]
)
def test_message_that_is_none_is_counted_and_changes_nothing(payload: bytes) -> None:
    node = Node()
    host = node.connect()
    node.runtime.peer_message("evil", payload, now_ns=node.now_ns)
    node.flush()
    assert 1 == len([event for event in node.events if hasattr(event, "reason")])
    assert [] == host.take()


def test_one_actor_goes_to_one_peer_and_many_are_spread() -> None:
    peers = ["b", "c", "d"]
    placement = Placement("a", b"key")
    chosen = []
    for number in range(60):
        address = ActorAddress("shop", f"actor-{number}")
        places = {
            placement.where(
                address,
                state=StateKind.MERGED,
                is_available=False,
                has_local_host=False,
                offering=peers,
                reachable=frozenset(peers),
            )
            for _ in range(3)
        }
        (place,) = places
        chosen.append(place.peer)
    assert all(10 <= chosen.count(peer) <= 30 for peer in peers)


def test_actor_without_host_and_reachable_peer_is_placed_nowhere() -> None:
    place = Placement("a", b"key").where(
        STOCK,
        state=StateKind.NONE,
        is_available=False,
        has_local_host=False,
        offering=["b"],
        reachable=frozenset({"c"}),
    )
    assert Place(Site.NOWHERE) == place
