"""Payloads keep their value and their type on the way, and the hand-written bytes are protobuf's."""

import json
import math
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.wire import payloads
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2
from crdtmesh.wire.gen.spawn.actors import protocol_pb2

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def typed(value: Any) -> Any:
    """A value that equals another only if all types in it are equal too."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return type(value), value


@given(JSON_VALUES)
def test_json_values_come_back_with_their_types(value: Any) -> None:
    assert typed(value) == typed(payloads.decode(*payloads.encode(value)))


@given(st.binary(max_size=400))
def test_bytes_come_back(value: bytes) -> None:
    assert value == payloads.decode(*payloads.encode(value))


@given(TEXT.filter(bool) | st.sampled_from(["x" * 127, "x" * 128, "x" * 16_384, "é" * 64]))
def test_wrapper_bytes_are_those_of_protobuf(text: str) -> None:
    assert protocol_pb2.JSONType(content=text).SerializeToString() == payloads.wrap(text.encode())
    assert text.encode() == payloads.unwrap(protocol_pb2.JSONType(content=text).SerializeToString())


@given(st.binary(max_size=40))
def test_unwrap_agrees_with_protobuf_on_any_bytes(data: bytes) -> None:
    try:
        expected: bytes | None = BytesValue.FromString(data).value
    except Exception:
        expected = None
    try:
        actual: bytes | None = payloads.unwrap(data)
    except payloads.PayloadError:
        actual = None
    assert expected == actual


@given(st.text('"\\ \t0123456789-eE.nulltrufas[]{}', max_size=8))
def test_short_cuts_agree_with_the_json_module(text: str) -> None:
    try:
        expected: Any = typed(json.loads(text)) if text else typed(None)
    except ValueError:
        expected = "refused"
    try:
        actual: Any = typed(payloads.decode(payloads.JSON_TYPE_URL, payloads.wrap(text.encode())))
    except payloads.PayloadError:
        actual = "refused"
    assert expected == actual


def test_none_is_no_payload() -> None:
    assert ("", b"") == payloads.encode(None)
    assert payloads.decode("", b"") is None


@pytest.mark.parametrize("package", ["spawn", "eigr.functions.protocol", "eigr.spawn"])
def test_json_of_every_package_is_read(package: str) -> None:
    assert {"a": 1} == payloads.decode(f"type.googleapis.com/{package}.JSONType", payloads.wrap(b'{"a": 1}'))


def test_noop_of_any_package_is_no_payload() -> None:
    assert payloads.decode("type.googleapis.com/eigr.functions.protocol.Noop", b"") is None


def test_messages_travel_as_themselves() -> None:
    message = values_pb2.Data(text="milk")
    type_url, payload = payloads.encode(message)
    assert "type.googleapis.com/crdtmesh.v1.Data" == type_url
    assert message == payloads.decode(type_url, payload)


def test_unknown_message_comes_back_as_an_any() -> None:
    assert AnyMessage(type_url="type.googleapis.com/x.Y", value=b"\x01") == payloads.decode(
        "type.googleapis.com/x.Y", b"\x01"
    )


@pytest.mark.parametrize(
    "value",
    [math.nan, [math.inf], {"a"}, object(), [b"x"], "\ud800", ["\ud800"]],
    ids=lambda value: repr(value)[:12],
)
def test_values_without_json_form_are_refused(value: Any) -> None:
    with pytest.raises(payloads.PayloadError):
        payloads.encode(value)


@pytest.mark.parametrize("content", [b"{", b"NaN", b"[-Infinity]", b"\xff", b'"a', b"01", b'"a\nb"'])
def test_broken_json_is_refused(content: bytes) -> None:
    with pytest.raises(payloads.PayloadError, match="expected JSON"):
        payloads.decode(payloads.JSON_TYPE_URL, payloads.wrap(content))


def test_nesting_beyond_the_stack_is_refused() -> None:
    with pytest.raises(payloads.PayloadError):
        payloads.decode(payloads.JSON_TYPE_URL, payloads.wrap(b"[" * 100_000))


def test_bytes_that_are_not_the_message_are_refused() -> None:
    with pytest.raises(payloads.PayloadError, match=r"expected a crdtmesh\.v1\.Data"):
        payloads.decode("type.googleapis.com/crdtmesh.v1.Data", b"\xff")
