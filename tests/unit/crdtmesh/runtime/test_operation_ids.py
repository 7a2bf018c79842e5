"""Calls with an operation id: what was done under it is not done again, so a retry of `unknown` is safe."""

import pytest

from crdtmesh.levels import OPERATION_METADATA
from crdtmesh.replication.levels import LOCAL
from crdtmesh.replication.repeats import OPERATION_ID_MS
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import NO_PAYLOAD, CallExtra, TurnEffects
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.runtime.workflow import RouteKind
from tests.unit.crdtmesh.runtime.mesh import (
    ECHO,
    STOCK,
    STOCK_KEY,
    SYSTEM,
    TYPE_URL,
    Node,
    definition,
    link,
)
from tests.unit.crdtmesh.runtime.test_flows import ACTORS, NEXT, answer, effect, one, route, workflow

TILL = ActorAddress(SYSTEM, "till")


def once(node: Node, actor: ActorAddress = STOCK, action: str = "increment", *, name: str = "order-7") -> int:
    return node.call(actor, action, extra=CallExtra({OPERATION_METADATA: name}, None))


def test_what_was_done_under_an_id_is_not_done_again() -> None:
    node = Node()
    host = node.connect()
    first = once(node)
    host.run_all()
    again = once(node)
    assert [] == host.take()
    assert b"0" == node.reply(first).payload
    assert (NO_PAYLOAD, b"") == (node.reply(again).type_url, node.reply(again).payload)
    assert 1 == node.value(STOCK_KEY)


def test_two_calls_under_one_id_that_are_in_flight_together_are_one() -> None:
    node = Node()
    host = node.connect()
    node.call(STOCK, "increment")
    calls = [once(node), once(node)]
    behind = node.call(STOCK, "increment")
    host.run_all()
    assert [b"1", b""] == [node.reply(call).payload for call in calls]
    assert b"2" == node.reply(behind).payload


def test_other_ids_and_other_actors_are_other_operations() -> None:
    node = Node()
    host = node.connect(definition(STOCK, "PNCounter"), definition(TILL, "PNCounter"))
    for call in ((STOCK, "a"), (STOCK, "b"), (TILL, "a")):
        once(node, call[0], name=call[1])
        host.run_all()
    assert 2 == node.value(STOCK_KEY)
    assert 1 == node.value(STOCK_KEY._replace(key="till"))


def test_a_call_that_failed_may_be_made_again_under_its_id() -> None:
    node = Node()
    host = node.connect()
    failed = once(node, action="fail")
    host.run_all()
    assert ErrorCode.HANDLER_ERROR == node.failure(failed).code
    once(node)
    host.run_all()
    assert 1 == node.value(STOCK_KEY)


def test_a_call_without_effect_is_done_too() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    once(node, STOCK, "echo")
    answer(host, one(host))
    once(node, STOCK, "echo")
    assert [] == host.take()


def test_a_call_of_an_opaque_state_is_done_once() -> None:
    node = Node()
    host = node.connect(definition(TILL, is_stateful=True, write_level=LOCAL))
    for name, did in (("a", TurnEffects(state=OpaqueState("t", b"1"))), ("b", TurnEffects()), ("c", ())):
        once(node, TILL, "echo", name=name)
        host.answer([(one(host).number, TYPE_URL, b"", did)], [])
        once(node, TILL, "echo", name=name)
        assert [] == host.take()


def test_an_id_is_kept_for_its_time() -> None:
    node = Node()
    host = node.connect()
    once(node)
    host.run_all()
    node.advance(OPERATION_ID_MS)
    once(node)
    host.run_all()
    assert 2 == node.value(STOCK_KEY)


def test_a_node_that_has_the_update_knows_its_id() -> None:
    a, b = Node("a"), Node("b")
    first, second = a.connect(), b.connect()
    a.meet(b)
    link(a, b)
    once(a)
    first.run_all()
    a.exchange(b)
    again = once(b)
    assert [] == second.take()
    assert NO_PAYLOAD == b.reply(again).type_url


def test_an_id_is_not_passed_on_to_effects_messages_and_routes() -> None:
    node = Node()
    host = node.connect(*ACTORS)
    after = workflow(effects=(effect(NEXT),), route=None)
    node.call(STOCK, "echo", extra=CallExtra({OPERATION_METADATA: "order-7", "trace": "1"}, None))
    answer(host, one(host), after=after)
    assert [{"trace": "1"}] == _metadata(node)
    node.call(STOCK, "echo", extra=CallExtra({OPERATION_METADATA: "order-8", "trace": "2"}, None))
    answer(host, one(host), after=route(RouteKind.PIPE, NEXT))
    assert [{"trace": "2"}] == _metadata(node)


def _metadata(node: Node) -> list[dict[str, str]]:
    """Of the turns that are to be handed out, which are taken."""
    ((columns,),) = node.turns.values()
    node.turns.clear()
    return [dict(extra.metadata) for _, extra in columns.extras]


@pytest.mark.parametrize("name", ["", "x" * 129])
def test_what_is_no_id_is_refused(name: str) -> None:
    node = Node()
    node.connect()
    failure = node.failure(once(node, name=name))
    assert (ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED) == (failure.code, failure.outcome)
    assert "an operation id of 1 to 128 characters expected" in failure.message


def test_an_actor_without_state_keeps_no_ids_and_says_so() -> None:
    node = Node()
    host = node.connect()
    failure = node.failure(once(node, ECHO, "echo"))
    assert ErrorCode.INVALID_REQUEST == failure.code
    assert "no state" in failure.message
    assert [] == host.take()
