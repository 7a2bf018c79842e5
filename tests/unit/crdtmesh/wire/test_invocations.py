import pytest

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import NOOP_URL
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import (
    ActorInvocation,
    ActorInvocationResponse,
    Broadcast,
    InvocationRequest,
    InvocationResponse,
)
from crdtmesh.wire.invocations import Payload, invocation_from, payload_from, set_payload

NOW_MS = 1_700_000_000_000
JAVA_NOOP = "type.googleapis.com/eigr.functions.protocol.Noop"


def request(*, actor: str = "till", system: str = "shops") -> InvocationRequest:
    made = InvocationRequest(action_name="sell")
    made.system.name = system
    made.actor.id.name, made.actor.id.system = actor, system
    return made


def test_a_call_is_read_whole() -> None:
    made = request()
    made.value.type_url, made.value.value = "type.example/shop.Sale", b"\x08\x03"
    made.caller.name = "clerk"
    made.metadata["request-timeout"] = "500"
    setattr(made, "async", True)
    made.pooled = True

    asked = invocation_from(made, system="", wall_ms=NOW_MS)

    assert (ActorAddress("shops", "till"), "sell") == (asked.actor, asked.action)
    assert ("type.example/shop.Sale", b"\x08\x03") == (asked.type_url, asked.payload)
    assert (True, True) == (asked.is_async, asked.is_pooled)
    assert ActorAddress("shops", "clerk") == asked.caller
    assert {"request-timeout": "500"} == asked.metadata


@pytest.mark.parametrize(
    ("in_id", "in_system", "given", "system"),
    [("a", "b", "c", "a"), ("", "b", "c", "b"), ("", "", "c", "c"), ("", "", "", "")],
)
def test_a_system_left_out_is_found_elsewhere(in_id: str, in_system: str, given: str, system: str) -> None:
    made = request(system=in_system)
    made.actor.id.system = in_id

    assert system == invocation_from(made, system=given, wall_ms=NOW_MS).actor.system


@pytest.mark.parametrize(
    ("sent", "scheduled_ms"),
    [
        (0, 0),
        (1, NOW_MS + 1),
        (60_000, NOW_MS + 60_000),
        (10**11 - 1, NOW_MS + 10**11 - 1),
        (10**11, 10**11),
        (NOW_MS + 5_000, NOW_MS + 5_000),
        (-1, 0),
    ],
)
def test_a_schedule_is_a_time_or_a_delay(sent: int, scheduled_ms: int) -> None:
    made = request()
    made.scheduled_to = sent

    assert scheduled_ms == invocation_from(made, system="", wall_ms=NOW_MS).scheduled_ms


@pytest.mark.parametrize(
    ("register_ref", "parent", "templates"),
    [
        ("", "", ()),
        ("template", "", ("template",)),
        ("", "template", ("template",)),
        ("till", "template", ("till", "template")),
        ("template", "template", ("template",)),
    ],
)
def test_templates_are_looked_for_where_sdks_put_them(
    register_ref: str, parent: str, templates: tuple[str, ...]
) -> None:
    made = request()
    made.register_ref = register_ref
    made.actor.id.parent = parent

    assert templates == invocation_from(made, system="", wall_ms=NOW_MS).templates


@pytest.mark.parametrize(
    "kind", [InvocationRequest, InvocationResponse, ActorInvocation, ActorInvocationResponse, Broadcast]
)
@pytest.mark.parametrize(
    ("type_url", "payload", "oneof"),
    [
        ("", b"", None),
        (NOOP_URL, b"", "noop"),
        (JAVA_NOOP, b"", "value"),
        ("type.example/shop.Sale", b"", "value"),
        ("", b"\x01", "value"),
        (NOOP_URL, b"\x01", "value"),
    ],
)
def test_a_payload_survives_every_message(
    kind: type[Payload], type_url: str, payload: bytes, oneof: str | None
) -> None:
    message = kind()
    set_payload(message, type_url, payload)
    read = type(message).FromString(message.SerializeToString())

    assert oneof == read.WhichOneof("payload")
    assert (type_url, payload) == payload_from(read)
