"""What a turn asks to be done next: effects, broadcasts, pipes and forwards."""

from typing import Any

from crdtmesh.crdts.operations import Operation
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition, Channel, Kind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.flows import HOPS_MAX
from crdtmesh.runtime.messages import CallExtra, TurnEffects
from crdtmesh.runtime.workflow import Broadcast, Invocation, Route, RouteKind, Workflow
from tests.unit.crdtmesh.runtime.mesh import (
    ECHO,
    STOCK,
    STOCK_KEY,
    SYSTEM,
    TYPE_URL,
    Host,
    Node,
    SeenTurn,
    definition,
    deliver,
    link,
)

NEXT = ActorAddress(SYSTEM, "next")
LAST = ActorAddress(SYSTEM, "last")
ACTORS = (definition(ECHO), definition(NEXT), definition(LAST), definition(STOCK, "PNCounter"))


def workflow(**parts: Any) -> Workflow:
    return Workflow(**{"effects": (), "broadcast": None, "route": None, **parts})


def route(kind: RouteKind, actor: ActorAddress) -> Workflow:
    return workflow(route=Route(kind, actor.name, "echo", ()))


def effect(actor: ActorAddress, payload: bytes = b"", **changes: Any) -> Invocation:
    fields: dict[str, Any] = {
        "actor": actor,
        "action": "echo",
        "type_url": TYPE_URL,
        "payload": payload,
        "is_async": True,
        "caller": None,
        "metadata": {},
        "scheduled_ms": 0,
        "templates": (),
        "is_pooled": False,
    }
    return Invocation(**{**fields, **changes})


def answer(host: Host, turn: SeenTurn, payload: bytes = b"", after: Workflow | None = None, did: Any = ()) -> None:
    host.answer([(turn.number, TYPE_URL, payload, TurnEffects(did, None, after))], [])


def one(host: Host) -> SeenTurn:
    (turn,) = host.take()
    return turn


def test_pipe_gives_the_next_actor_the_answer_and_the_caller_its_reply() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    call = node.call(ECHO, "echo", b"asked")
    answer(host, one(host), b"first", route(RouteKind.PIPE, NEXT))
    turn = one(host)
    assert (NEXT, b"first") == (turn.actor, turn.payload)
    assert node.outcome(call) is None
    answer(host, turn, b"second")
    assert b"second" == node.reply(call).payload


def test_forward_gives_the_next_actor_what_was_asked() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    call = node.call(ECHO, "echo", b"asked")
    answer(host, one(host), b"first", route(RouteKind.FORWARD, NEXT))
    turn = one(host)
    assert (NEXT, b"asked") == (turn.actor, turn.payload)
    answer(host, turn, b"second", route(RouteKind.PIPE, LAST))
    answer(host, one(host), b"third")
    assert b"third" == node.reply(call).payload


def test_route_leads_to_another_node_and_back() -> None:
    a, b = Node("a"), Node("b")
    first, second = a.connect(definition(ECHO)), b.connect(definition(NEXT))
    link(a, b)
    call = a.call(ECHO, "echo", extra=CallExtra({"trace": "1"}, None))
    answer(first, one(first), b"first", route(RouteKind.PIPE, NEXT))
    deliver(a, b)
    ((columns,),) = b.turns.values()
    assert [CallExtra({"trace": "1"}, ECHO, hops=1)] == [extra for _, extra in columns.extras]
    answer(second, one(second), b"there")
    deliver(a, b)
    assert b"there" == a.reply(call).payload


def test_cancelled_call_is_cancelled_where_it_was_routed_to() -> None:
    a, b = Node("a"), Node("b")
    first, second = a.connect(definition(ECHO)), b.connect(definition(NEXT))
    link(a, b)
    call = a.call(ECHO, "echo")
    answer(first, one(first), b"first", route(RouteKind.PIPE, NEXT))
    deliver(a, b)
    turn = one(second)
    a.cancel(call)
    deliver(a, b)
    second.take()
    assert [turn.number] == second.cancelled
    answer(second, turn, b"too late")
    deliver(a, b)
    assert a.outcome(call) is None
    a.runtime.drain()
    assert a.runtime.is_drained


def test_failure_of_a_route_is_unknown_since_the_first_actor_ran() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    call = node.call(ECHO, "echo")
    answer(host, one(host), b"", route(RouteKind.PIPE, ActorAddress(SYSTEM, "nobody")))
    assert (ErrorCode.UNKNOWN_ACTOR, Outcome.UNKNOWN) == node.failure(call)[1:3]
    assert node.failure(call).message.startswith("actor shop/echo ran")


def test_cycle_of_forwards_is_cut() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    call = node.call(ECHO, "echo")
    for hop in range(HOPS_MAX + 1):
        answer(host, one(host), b"", route(RouteKind.FORWARD, NEXT if hop % 2 else ECHO))
    assert [] == host.take()
    failure = node.failure(call)
    assert (ErrorCode.INVALID_REQUEST, Outcome.UNKNOWN) == failure[1:3]
    assert 1 == failure.message.count("ran, and the call that it routed to failed")
    assert f"at most {HOPS_MAX} pipes and forwards in a row expected" in failure.message


def test_effects_run_when_the_turn_is_on_disk_and_nobody_waits_for_them() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    node.is_disk_held = True
    call = node.call(STOCK, "increment", extra=CallExtra({"a": "1", "b": "1"}, None))
    after = workflow(effects=(effect(NEXT, b"x", metadata={"b": "2"}), effect(ActorAddress(SYSTEM, "nobody"))))
    answer(host, one(host), b"done", after, (Operation("increment", (1,)),))
    assert [] == host.take()
    node.sync()
    turn = one(host)
    assert (NEXT, b"x") == (turn.actor, turn.payload)
    assert 1 == node.value(STOCK_KEY)
    assert b"done" == node.reply(call).payload


def test_metadata_of_an_effect_lie_over_those_of_the_call() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    node.call(ECHO, "echo", extra=CallExtra({"a": "1", "b": "1"}, None))
    answer(host, one(host), b"", workflow(effects=(effect(NEXT, metadata={"b": "2"}),)))
    ((columns,),) = node.turns.values()
    assert [CallExtra({"a": "1", "b": "2"}, ECHO)] == [extra for _, extra in columns.extras]


def test_draining_node_finishes_what_it_began() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    call = node.call(ECHO, "echo")
    node.runtime.drain()
    answer(host, one(host), b"first", route(RouteKind.PIPE, NEXT))
    assert not node.runtime.is_drained
    answer(host, one(host), b"second")
    assert b"second" == node.reply(call).payload
    assert node.runtime.is_drained


def listener(name: str, *channels: Channel, **changes: Any) -> ActorDefinition:
    actions = frozenset({"receive", "heard", "other"})
    return definition(ActorAddress(SYSTEM, name), channels=channels, actions=actions, **changes)


def test_broadcast_reaches_every_listener_once_wherever_it_is() -> None:
    a, b = Node("a"), Node("b")
    first = a.connect(definition(ECHO), listener("x", Channel("news")), listener("y", Channel("news", "heard")))
    second = b.connect(listener("z", Channel("news")), listener("deaf", Channel("olds")))
    link(a, b)
    a.call(ECHO, "echo")
    answer(first, one(first), b"", workflow(broadcast=Broadcast("news", "", TYPE_URL, b"hi")))
    deliver(a, b)
    heard = [(turn.actor.name, turn.action, turn.payload) for turn in [*first.take(), *second.take()]]
    assert [("x", "receive", b"hi"), ("y", "heard", b"hi"), ("z", "receive", b"hi")] == sorted(heard)


def test_action_of_a_message_goes_before_that_of_the_subscription() -> None:
    node = Node()
    host = node.connect(definition(ECHO), listener("y", Channel("news", "heard")))
    node.call(ECHO, "echo")
    answer(host, one(host), b"", workflow(broadcast=Broadcast("news", "other", TYPE_URL, b"hi")))
    assert "other" == one(host).action


def test_instance_listens_from_its_first_activation_on_out_of_memory_too() -> None:
    node = Node()
    template = listener("room", Channel("news"), kind=Kind.UNNAMED)
    host = node.connect(definition(ECHO), template)
    blue = ActorAddress(SYSTEM, "blue", "room")
    node.call(blue, "heard")
    answer(host, one(host))
    node.advance(20_000)
    node.call(ECHO, "echo")
    answer(host, one(host), b"", workflow(broadcast=Broadcast("news", "", TYPE_URL, b"hi")))
    turn = one(host)
    assert (blue, "receive") == (turn.actor, turn.action)


def test_instance_that_was_forgotten_listens_no_more() -> None:
    node = Node()
    host = node.connect(definition(ECHO), listener("room", Channel("news"), kind=Kind.UNNAMED))
    blue, red = (ActorAddress(SYSTEM, name, "room") for name in ("blue", "red"))
    for room in (blue, red):
        node.call(room, "heard")
        answer(host, one(host))
    node.runtime.forget(blue, wall_ms=node.wall_ms)
    node.flush()
    node.call(ECHO, "echo")
    answer(host, one(host), b"", workflow(broadcast=Broadcast("news", "", TYPE_URL, b"hi")))
    turn = one(host)
    assert (red, "receive") == (turn.actor, turn.action)
