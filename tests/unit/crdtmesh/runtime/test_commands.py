"""What nodes ask of each other beside calls: stopping an actor, and passing a channel's messages on."""

from typing import Any

import pytest

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome, RegistrationRefused, SubscriptionRefused
from crdtmesh.runtime.events import OffersChanged
from crdtmesh.runtime.messages import MESSAGE, STATE_CHANGED, STATE_UNCHANGED, STOP, CallerId, TurnEffects
from crdtmesh.runtime.subscribers import SUBSCRIBERS_MAX, Topic
from crdtmesh.runtime.workflow import Broadcast, Workflow
from tests.unit.crdtmesh.runtime.mesh import (
    CALLER,
    ECHO,
    STOCK,
    SYSTEM,
    TYPE_URL,
    Host,
    Node,
    definition,
    deliver,
    link,
    unlink,
)

NEWS = Topic(SYSTEM, "news")


def stop(node: Node, actor: ActorAddress = STOCK) -> int:
    call = 1_000 + node.calls
    node.runtime.stop(CALLER, call, actor, now_ns=node.now_ns)
    node.flush()
    return call


def test_stopped_actor_is_put_out_of_memory_and_its_next_call_finds_the_state_as_it_was() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    host.run_all()
    assert STATE_CHANGED == node.reply(stop(node)).type_url
    assert 0 == node.runtime.active
    host.take()
    assert [STOCK] == host.released
    call = node.call(STOCK, "increment")
    host.run_all()
    assert b"1" == node.reply(call).payload


def test_actor_that_is_not_in_memory_was_not_stopped() -> None:
    node = Node()
    node.connect()
    assert STATE_UNCHANGED == node.reply(stop(node)).type_url


def test_stop_waits_for_the_turns_before_it_and_what_comes_behind_runs_in_a_new_activation() -> None:
    node = Node()
    host = node.connect()
    first = node.call(STOCK, "increment")
    stopped = stop(node)
    second = node.call(STOCK, "increment")
    assert node.outcome(stopped) is None
    host.run()
    assert node.reply(first)
    assert STATE_CHANGED == node.reply(stopped).type_url
    assert node.outcome(second) is None
    host.run_all()
    assert b"1" == node.reply(second).payload
    assert [STOCK] == host.released


def test_stop_of_an_actor_that_nobody_knows_says_so() -> None:
    node = Node()
    node.connect()
    failure = node.failure(stop(node, ActorAddress(SYSTEM, "stoc")))
    assert (ErrorCode.UNKNOWN_ACTOR, Outcome.NOT_APPLIED) == (failure.code, failure.outcome)
    assert "'stock'" in failure.message


def test_stop_reaches_the_actor_on_every_node_that_has_it() -> None:
    a, b = Node("a"), Node("b")
    hosts = [node.connect() for node in (a, b)]
    link(a, b)
    for node, host in zip((a, b), hosts, strict=True):
        node.call(STOCK, "increment")
        host.run_all()
    call = stop(a)
    deliver(a, b)
    assert STATE_CHANGED == a.reply(call).type_url
    assert [0, 0] == [a.runtime.active, b.runtime.active]


def test_stop_that_a_node_can_not_be_told_has_an_unknown_outcome() -> None:
    a, b = Node("a"), Node("b")
    b.connect()
    a.connect()
    offers = b.runtime.offers()
    a.runtime.directory_changed({"b": offers})
    failure = a.failure(stop(a))
    assert (ErrorCode.PEER_LOST, Outcome.UNKNOWN) == (failure.code, failure.outcome)
    assert "b is out of reach" in failure.message


def test_timers_of_a_stopped_actor_rest_until_it_is_called_again() -> None:
    node = Node()
    host = node.connect(definition(ECHO, timers=(("echo", 100),)))
    node.call(ECHO, "echo")
    host.run_all()
    node.advance(100)
    host.run_all()
    node.reply(stop(node, ECHO))
    node.advance(1_000)
    assert [] == host.take()
    node.call(ECHO, "echo")
    host.run_all()
    node.advance(100)
    assert 1 == len(host.take())


@pytest.mark.parametrize("command", [STOP, MESSAGE])
def test_client_can_not_give_a_command_by_calling_its_name(command: str) -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    host.run_all()
    assert ErrorCode.UNKNOWN_ACTION is node.failure(node.call(STOCK, command)).code
    assert 1 == node.runtime.active


# --- channels


def publish(node: Node, host: Host, payload: bytes) -> None:
    """Has an actor broadcast."""
    node.call(ECHO, "echo")
    broadcast = Workflow(broadcast=Broadcast(NEWS.name, "", TYPE_URL, payload), effects=(), route=None)
    did: Any = TurnEffects(workflow=broadcast)
    host.answer([(turn.number, TYPE_URL, b"", did) for turn in host.take()], [])


def test_listener_gets_what_is_published_on_its_own_node_and_nothing_of_other_topics() -> None:
    node = Node()
    host = node.connect(definition(ECHO))
    node.runtime.subscribe(CallerId(7), NEWS)
    node.runtime.subscribe(CallerId(8), Topic(SYSTEM, "weather"))
    publish(node, host, b"1")
    assert [(7, TYPE_URL, b"1", ECHO)] == [(number, *message) for number, message in node.messages]
    node.runtime.unsubscribe(CallerId(7))
    publish(node, host, b"2")
    assert 1 == len(node.messages)


def test_listener_on_another_node_is_reached_by_one_message_for_all_of_them() -> None:
    a, b = Node("a"), Node("b")
    host = a.connect(definition(ECHO))
    b.runtime.subscribe(CallerId(7), NEWS)
    b.runtime.subscribe(CallerId(8), NEWS)
    link(a, b)
    a.runtime.directory_changed({}, {"b": b.runtime.topics()})
    publish(a, host, b"1")
    assert 1 == len(a.calls_to_peers)
    deliver(a, b)
    told = [(to, message.payload, message.publisher) for to, message in b.messages]
    assert [(7, b"1", ECHO), (8, b"1", ECHO)] == told
    unlink(a, b)
    publish(a, host, b"2")
    assert [] == a.calls_to_peers


def test_first_and_last_listener_of_a_topic_are_announced() -> None:
    node = Node()
    runtime = node.runtime
    changes = []
    for number, listens in ((7, True), (8, True), (7, False), (8, False)):
        if listens:
            runtime.subscribe(CallerId(number), NEWS)
        else:
            runtime.unsubscribe(CallerId(number))
        changes.append((runtime.take_events() == [OffersChanged()], list(runtime.topics())))
    assert [(True, [NEWS]), (False, [NEWS]), (False, [NEWS]), (True, [])] == changes


@pytest.mark.parametrize("topic", ["", "new\nline", "x" * 10_000])
def test_name_that_can_not_be_a_topic_is_refused(topic: str) -> None:
    runtime = Node().runtime
    with pytest.raises(RegistrationRefused, match="topic"):
        runtime.subscribe(CallerId(7), Topic(SYSTEM, topic))
    assert [] == list(runtime.topics())


def test_one_listener_too_many_is_refused() -> None:
    runtime = Node().runtime
    for number in range(SUBSCRIBERS_MAX):
        runtime.subscribe(CallerId(number), NEWS)
    with pytest.raises(SubscriptionRefused, match="ask another node"):
        runtime.subscribe(CallerId(SUBSCRIBERS_MAX), NEWS)
