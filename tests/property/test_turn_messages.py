"""Turns to HTTP hosts: written by hand as protobuf writes them, and answers of any bytes fail in one way only."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import NOOP_URL, CallExtra, StateUpdate
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import ActorInvocation, ActorInvocationResponse
from crdtmesh.wire.invocations import set_payload
from crdtmesh.wire.turn_messages import BadAnswer, decode_answer, encode_turn

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
ADDRESSES = st.builds(ActorAddress, NAMES, NAMES, NAMES)
TEXTS = st.dictionaries(NAMES, TEXT, max_size=3)
EXTRAS = st.none() | st.builds(CallExtra, TEXTS, st.none() | ADDRESSES)
STATES = st.builds(OpaqueState, TEXT, st.binary(max_size=300), TEXTS)
URLS = st.sampled_from(["", NOOP_URL, "type.example/a.B"])


@given(ADDRESSES, TEXT, URLS, st.binary(max_size=300), EXTRAS, st.none() | STATES)
def test_a_turn_is_written_as_protobuf_writes_it(
    actor: ActorAddress, action: str, type_url: str, payload: bytes, extra: CallExtra | None, state: OpaqueState | None
) -> None:
    update = None if state is None else StateUpdate(actor, "", True, None, opaque=state)
    expected = ActorInvocation(action_name=action)
    expected.actor.system, expected.actor.name, expected.actor.parent = actor
    expected.current_context.self.CopyFrom(expected.actor)
    if extra is not None:
        expected.current_context.metadata.update(extra.metadata)
        if extra.caller is not None:
            expected.caller.SetInParent()
            expected.caller.system, expected.caller.name, expected.caller.parent = extra.caller
            expected.current_context.caller.CopyFrom(expected.caller)
    if state is not None:
        if state.type_url:
            expected.current_context.state.type_url = state.type_url
            expected.current_context.state.value = state.data
        expected.current_context.tags.update(state.tags)
    set_payload(expected, type_url, payload)

    written = ActorInvocation.FromString(encode_turn(actor, action, type_url, payload, extra=extra, state=update))

    # An id without any name is no field when written by hand, and an empty one when protobuf was asked to set it.
    for message in (expected, written):
        message.actor.SetInParent()
        message.current_context.self.SetInParent()
        if extra is not None and extra.caller is not None:
            message.caller.SetInParent()
            message.current_context.caller.SetInParent()
    assert expected == written


@given(ADDRESSES, st.binary(max_size=300), st.booleans())
def test_any_bytes_are_an_answer_or_a_bad_one(actor: ActorAddress, data: bytes, is_opaque: bool) -> None:
    state = StateUpdate(actor, "", True, None, opaque=OpaqueState()) if is_opaque else None
    with contextlib.suppress(BadAnswer):
        decode_answer(data, actor=actor, state=state, wall_ms=0)


@given(st.binary(min_size=1, max_size=6), st.integers(0, 200), st.sampled_from(["PNCounter", "ORSet"]))
def test_changed_answers_are_an_answer_or_a_bad_one(noise: bytes, at: int, type_name: str) -> None:
    actor = ActorAddress("shops", "till")
    answer = ActorInvocationResponse(actor_name="till", actor_system="shops", checkpoint=True)
    answer.updated_context.state.type_url = "type.googleapis.com/crdtmesh.v1.Mutations"
    answer.updated_context.state.value = b"\x0a\x0d\x0a\x09increment\x12\x00"
    answer.workflow.broadcast.channel_group = "news"
    answer.workflow.effects.add().request.actor.id.name = "safe"
    answer.workflow.pipe.actor = "printer"
    data = answer.SerializeToString()
    data = data[:at] + noise + data[at + len(noise) :]
    value = 0 if type_name == "PNCounter" else ()
    with contextlib.suppress(BadAnswer):
        decode_answer(data, actor=actor, state=StateUpdate(actor, type_name, True, value), wall_ms=0)
