"""Hosts that keep no copies, such as those called by HTTP: each turn comes with the whole state."""

from typing import Any

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import StateUpdate, TurnEffects
from crdtmesh.runtime.opaque import NO_STATE, OpaqueState
from tests.unit.crdtmesh.runtime.mesh import ECHO, LIST, STOCK, STOCK_KEY, TYPE_URL, Host, Node, definition

TILL = OpaqueState("type.example/shop.Till", b"\x01", {"aisle": "3"})


def answer(host: Host, did: Any, count: int = 1) -> None:
    """Takes the turns that are there, and answers each the same."""
    turns = host.take()
    assert count == len(turns)
    host.answer([(turn.number, TYPE_URL, b"done", did) for turn in turns], [])


def test_each_turn_comes_with_the_whole_state() -> None:
    node = Node()
    host = node.connect(keeps_state=False)
    node.call(STOCK, "increment")
    answer(host, (Operation("increment", (4,)),))

    node.call(STOCK, "increment")
    host.take()

    assert [StateUpdate(STOCK, "PNCounter", True, 0), StateUpdate(STOCK, "PNCounter", True, 4)] == host.updates


def test_a_set_is_sent_whole_too() -> None:
    node = Node()
    host = node.connect(keeps_state=False)
    for element in ("a", "b"):
        node.call(LIST, "add")
        answer(host, (Operation("add", (element,)),))

    node.call(LIST, "add")
    host.take()

    assert ("a", "b") == host.updates[-1].value


def test_one_turn_of_an_actor_is_out_at_a_time() -> None:
    node = Node()
    host = node.connect(keeps_state=False)
    calls = [node.call(STOCK, "increment") for _ in range(3)]

    for _ in calls:
        answer(host, (Operation("increment", (1,)),))

    assert [b"done"] * 3 == [node.reply(call).payload for call in calls]
    assert 3 == node.value(STOCK_KEY)


def test_actors_work_beside_each_other() -> None:
    node = Node()
    host = node.connect(keeps_state=False)
    node.call(STOCK, "increment")
    node.call(ECHO, "echo")

    assert 2 == len(host.take())


def test_an_opaque_state_lasts_as_long_as_its_activation() -> None:
    node = Node()
    host = node.connect(definition(ECHO, initial=TILL, deactivation_timeout_ms=1_000), keeps_state=False)
    later = OpaqueState("type.example/shop.Till", b"\x02", {})
    node.call(ECHO, "echo")
    answer(host, TurnEffects(state=later))
    node.call(ECHO, "echo")
    answer(host, ())
    node.advance(1_001)
    node.call(ECHO, "echo")
    host.take()

    assert [TILL, later, TILL] == [update.opaque for update in host.updates]


def test_a_state_left_out_stays_and_its_tags_go() -> None:
    node = Node()
    host = node.connect(definition(ECHO, initial=TILL), keeps_state=False)
    node.call(ECHO, "echo")
    answer(host, TurnEffects(state=NO_STATE))
    node.call(ECHO, "echo")
    host.take()

    assert OpaqueState(TILL.type_url, TILL.data, {}) == host.updates[-1].opaque


def test_a_read_gives_the_opaque_state_unread() -> None:
    node = Node()
    node.connect(definition(ECHO, initial=TILL), keeps_state=False)

    reply = node.reply(node.call(ECHO, "getState"))

    assert (TILL.type_url, TILL.data) == (reply.type_url, reply.payload)


def test_a_failed_turn_leaves_the_opaque_state() -> None:
    node = Node()
    host = node.connect(definition(ECHO, initial=TILL), keeps_state=False)
    node.call(ECHO, "fail")
    (turn,) = host.take()
    host.answer([], [(turn.number, "it broke", ErrorCode.HANDLER_ERROR)])

    assert TILL.data == node.reply(node.call(ECHO, "getState")).payload


def test_an_opaque_state_does_not_replace_a_replicated_one() -> None:
    node = Node()
    host = node.connect(keeps_state=False)
    call = node.call(STOCK, "increment")
    answer(host, TurnEffects(state=TILL))

    assert ErrorCode.INVALID_OPERATION == node.failure(call).code
    assert "change it by mutations" in node.failure(call).message


def test_operations_beside_an_effect_are_applied() -> None:
    node = Node()
    host = node.connect(keeps_state=False)
    node.call(STOCK, "increment")
    answer(host, TurnEffects((Operation("increment", (2,)),), is_checkpoint=True))

    assert 2 == node.value(STOCK_KEY)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (ErrorCode.NO_HOST, Outcome.NOT_APPLIED),
        (ErrorCode.HOST_LOST, Outcome.UNKNOWN),
        (ErrorCode.TIMEOUT, Outcome.UNKNOWN),
    ],
)
def test_a_host_that_could_not_be_asked_or_did_not_answer(code: ErrorCode, outcome: Outcome) -> None:
    node = Node()
    host = node.connect(keeps_state=False)
    call = node.call(STOCK, "increment")
    (turn,) = host.take()
    host.answer([], [(turn.number, "no way", code)])

    assert (code, outcome, "no way") == node.failure(call)[1:]


def test_more_actors_of_the_same_host_keep_its_way() -> None:
    node = Node()
    host = node.connect(definition(STOCK, "PNCounter"), keeps_state=False)
    node.runtime.host_connected(host.id, [definition(ECHO, initial=TILL)], now_ns=node.now_ns)
    node.call(ECHO, "echo")
    host.take()

    assert TILL == host.updates[-1].opaque
