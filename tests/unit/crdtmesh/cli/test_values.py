"""What the commands show of values is JSON by the letter."""

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.struct_pb2 import Struct

from crdtmesh.cli.values import payload_json, plain_json, shown
from crdtmesh.wire.gen.spawn.actors.actor_pb2 import ActorId
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import InvocationRequest, SideEffect


def _refuse(constant: str) -> Any:
    raise AssertionError(constant)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.inf, "Infinity"),
        ((1, -math.inf), [1, "-Infinity"]),
        ({"k": (b"\x00\xff", None, True, 1.5)}, {"k": ["00ff", None, True, 1.5]}),
        (1 << 70, 1 << 70),
    ],
)
def test_a_value_is_strict_json_on_a_line_and_within_an_object(value: Any, expected: Any) -> None:
    assert expected == json.loads(shown(value), parse_constant=_refuse)
    assert expected == json.loads(json.dumps({"value": plain_json(value)}), parse_constant=_refuse)["value"]


def _packed(type_url: str, data: bytes) -> AnyMessage:
    return AnyMessage(type_url=type_url, value=data)


def _nested(depth: int) -> AnyMessage:
    packed = AnyMessage()
    for _ in range(depth):
        packed = _packed("type.googleapis.com/google.protobuf.Any", packed.SerializeToString())
    return packed


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"k": [1, b"\xff"]}, {"k": [1, "ff"]}),
        (ActorId(name="till"), {"@type": "type.googleapis.com/spawn.actors.ActorId", "name": "till"}),
        (Struct(), {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {}}),
        (
            _packed("type.googleapis.com/shop.Sale", b"\x08\xff"),
            {"@type": "type.googleapis.com/shop.Sale", "base64": "CP8="},
        ),
        (_packed("none", b""), {"@type": "none", "base64": ""}),
        (
            SideEffect(request=InvocationRequest(value=_packed("example.com/shop.Sale", b"\x08"))),
            {"@type": "type.googleapis.com/spawn.SideEffect", "base64": "ChwiGgoVZXhhbXBsZS5jb20vc2hvcC5TYWxlEgEI"},
        ),
    ],
)
def test_a_payload_that_is_a_message_has_its_type_and_its_fields_or_its_bytes(answer: Any, expected: Any) -> None:
    assert expected == json.loads(json.dumps(payload_json(answer)))


@pytest.mark.parametrize("answer", [_packed("type.googleapis.com/spawn.actors.ActorId", b"\x0a\x05x"), _nested(2_000)])
def test_a_payload_that_is_damaged_or_nested_too_deep_is_its_bytes(answer: AnyMessage) -> None:
    expected = {"@type": answer.type_url, "base64": base64.b64encode(answer.value).decode()}

    assert expected == payload_json(answer)
