from typing import Any

import pytest

from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import NOOP_URL, STATE_VALUE, CallExtra, StateUpdate, TurnEffects
from crdtmesh.runtime.opaque import NO_STATE, OpaqueState
from crdtmesh.runtime.workflow import Broadcast, Route, RouteKind
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1.values_pb2 import Mutations, Value
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import ActorInvocation, ActorInvocationResponse
from crdtmesh.wire.turn_messages import EFFECTS_MAX, STATE_MUTATIONS, BadAnswer, decode_answer, encode_turn

TILL = ActorAddress("shops", "till")
SPAWNED = ActorAddress("shops", "till-7", "till")
SALE = "type.example/shop.Sale"
STATE = OpaqueState("type.example/shop.Till", b"\x00\xff", {"aisle": "3"})
NOW_MS = 1_700_000_000_000


def opaque(state: OpaqueState) -> StateUpdate:
    return StateUpdate(TILL, "", True, None, opaque=state)


COUNT = StateUpdate(TILL, "PNCounter", True, 4)


def encoded(actor: ActorAddress = TILL, **given: Any) -> ActorInvocation:
    arguments: dict[str, Any] = {"type_url": SALE, "payload": b"\x01", "extra": None, "state": None, **given}
    type_url, payload = arguments.pop("type_url"), arguments.pop("payload")
    return ActorInvocation.FromString(encode_turn(actor, "sell", type_url, payload, **arguments))


def answered(**fields: Any) -> ActorInvocationResponse:
    answer = ActorInvocationResponse(actor_name="till", actor_system="shops", **fields)
    answer.updated_context.SetInParent()
    return answer


def decoded(answer: ActorInvocationResponse | bytes, state: StateUpdate | None = None) -> tuple[str, bytes, Any]:
    data = answer if isinstance(answer, bytes) else answer.SerializeToString()
    return decode_answer(data, actor=TILL, state=state, wall_ms=NOW_MS)


# --- out


@pytest.mark.parametrize("actor", [TILL, SPAWNED])
def test_a_turn_says_whose_it_is_twice(actor: ActorAddress) -> None:
    turn = encoded(actor)

    assert "sell" == turn.action_name
    for who in (turn.actor, turn.current_context.self):
        assert actor == ActorAddress(who.system, who.name, who.parent)


def test_metadata_and_caller_go_along() -> None:
    turn = encoded(extra=CallExtra({"trace": "7"}, ActorAddress("shops", "clerk")))

    assert {"trace": "7"} == dict(turn.current_context.metadata)
    assert ("clerk", "clerk") == (turn.caller.name, turn.current_context.caller.name)


def test_no_caller_is_none() -> None:
    turn = encoded(extra=CallExtra({"trace": "7"}, None))

    assert (False, False) == (turn.HasField("caller"), turn.current_context.HasField("caller"))


@pytest.mark.parametrize(
    ("type_url", "payload", "oneof"), [(SALE, b"\x01", "value"), (NOOP_URL, b"", "noop"), ("", b"", None)]
)
def test_the_payload_goes_as_it_came(type_url: str, payload: bytes, oneof: str | None) -> None:
    assert oneof == encoded(type_url=type_url, payload=payload).WhichOneof("payload")


def test_an_opaque_state_goes_unread_with_its_tags() -> None:
    context = encoded(state=opaque(STATE)).current_context

    assert (STATE.type_url, STATE.data, STATE.tags) == (context.state.type_url, context.state.value, dict(context.tags))


@pytest.mark.parametrize("state", [None, opaque(NO_STATE), opaque(OpaqueState(tags={"aisle": "3"}))])
def test_no_state_is_left_out(state: StateUpdate | None) -> None:
    assert not encoded(state=state).current_context.HasField("state")


def test_a_replicated_state_goes_as_its_value() -> None:
    state = encoded(state=COUNT).current_context.state

    assert (STATE_VALUE, ("PNCounter", 4)) == (state.type_url, values.plain_from_value(Value.FromString(state.value)))


# --- back


def test_a_reply_is_read_as_it_came() -> None:
    answer = answered()
    answer.value.type_url, answer.value.value = SALE, b"\x01\x02"

    assert (SALE, b"\x01\x02", ()) == decoded(answer, COUNT)


@pytest.mark.parametrize("name", ["", "till"])
@pytest.mark.parametrize("system", ["", "shops"])
def test_who_answers_may_be_left_out(name: str, system: str) -> None:
    answer = answered()
    answer.actor_name, answer.actor_system = name, system

    assert ("", b"", ()) == decoded(answer, COUNT)


@pytest.mark.parametrize(("name", "system"), [("safe", "shops"), ("till", "banks"), ("Till", "shops")])
def test_an_answer_of_another_actor_is_refused(name: str, system: str) -> None:
    answer = answered()
    answer.actor_name, answer.actor_system = name, system

    with pytest.raises(BadAnswer, match="an answer of actor 'shops'/'till' expected"):
        decoded(answer)


def test_an_answer_without_context_is_refused() -> None:
    with pytest.raises(BadAnswer, match="no updated_context"):
        decoded(ActorInvocationResponse(actor_name="till", actor_system="shops"))


@pytest.mark.parametrize("data", [b"\xff", b"<html>", b"\x0a\xff\xff\xff\xff\x0f"])
def test_bytes_that_are_no_answer_are_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer, match=f"{len(data)} bytes that are none"):
        decoded(data)


def test_an_opaque_state_comes_back_unread_and_tags_replace() -> None:
    answer = answered()
    answer.updated_context.state.type_url, answer.updated_context.state.value = STATE.type_url, b"\x07"
    answer.updated_context.tags["aisle"] = "4"

    _, _, did = decoded(answer, opaque(STATE))

    assert TurnEffects(state=OpaqueState(STATE.type_url, b"\x07", {"aisle": "4"})) == did


def test_a_state_and_tags_left_out_are_said_so() -> None:
    assert TurnEffects(state=NO_STATE) == decoded(answered(), opaque(STATE))[2]


def test_mutations_change_a_replicated_state() -> None:
    answer = answered()
    answer.updated_context.state.type_url = STATE_MUTATIONS
    answer.updated_context.state.value = values.mutations_to_bytes([Operation("increment", (3,))])

    assert (Operation("increment", (3,)),) == decoded(answer, COUNT)[2]


def test_the_same_value_changes_nothing() -> None:
    answer = answered()
    answer.updated_context.state.CopyFrom(encoded(state=COUNT).current_context.state)

    assert () == decoded(answer, COUNT)[2]


@pytest.mark.parametrize(
    ("type_url", "data"),
    [
        (STATE_VALUE, values.value_from_plain("PNCounter", 5).SerializeToString()),
        (STATE_VALUE, values.value_from_plain("GCounter", 4).SerializeToString()),
        (STATE_VALUE, b"\xff"),
        (STATE_MUTATIONS, b"\xff"),
        (STATE_MUTATIONS, Mutations(operations=[{"name": ""}]).SerializeToString()),
        ("evil.example/other.v1.Value", b""),
        ("type.googleapis.com/eigr.functions.protocol.JSONType", b"\x0a\x02{}"),
    ],
)
def test_anything_else_for_a_replicated_state_is_an_invalid_operation(type_url: str, data: bytes) -> None:
    answer = answered()
    answer.updated_context.state.type_url, answer.updated_context.state.value = type_url, data

    assert isinstance(decoded(answer, COUNT)[2], InvalidOperation)


def test_an_empty_workflow_is_none() -> None:
    answer = answered()
    answer.workflow.SetInParent()

    assert () == decoded(answer, COUNT)[2]


def test_a_checkpoint_is_said() -> None:
    assert TurnEffects((), is_checkpoint=True) == decoded(answered(checkpoint=True), COUNT)[2]


def test_a_workflow_is_read_whole() -> None:
    answer = answered()
    effect = answer.workflow.effects.add().request
    effect.actor.id.name, effect.action_name, effect.scheduled_to = "safe", "fill", 500
    sent = answer.workflow.broadcast
    sent.channel_group, sent.action_name = "sales", "sold"
    sent.value.type_url, sent.value.value = SALE, b"\x01"
    answer.workflow.pipe.actor, answer.workflow.pipe.action_name = "printer", "print"

    workflow = decoded(answer, COUNT)[2].workflow

    assert ActorAddress("shops", "safe") == workflow.effects[0].actor
    assert NOW_MS + 500 == workflow.effects[0].scheduled_ms
    assert Broadcast("sales", "sold", SALE, b"\x01") == workflow.broadcast
    assert Route(RouteKind.PIPE, "printer", "print", ()) == workflow.route


def test_a_forward_keeps_its_template() -> None:
    answer = answered()
    to = answer.workflow.forward
    to.actor, to.action_name, to.register_ref = "printer-2", "print", "printer"

    assert Route(RouteKind.FORWARD, "printer-2", "print", ("printer",)) == decoded(answer)[2].workflow.route


def test_too_many_effects_are_refused() -> None:
    answer = answered()
    for _ in range(EFFECTS_MAX + 1):
        answer.workflow.effects.add()

    with pytest.raises(BadAnswer, match=f"got {EFFECTS_MAX + 1}"):
        decoded(answer)
