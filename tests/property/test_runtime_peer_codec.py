"""What nodes send each other about calls: a round trip gives back the same, and no bytes crash the decoder."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import CallExtra, CallFailure, ReplyColumns
from crdtmesh.runtime.peer_codec import Calls, Malformed, PeerReplies, decode, encode_calls, encode_replies

NAMES = st.text(max_size=8)
NUMBERS = st.integers(min_value=0, max_value=(1 << 63) - 1)
ADDRESSES = st.builds(ActorAddress, NAMES, NAMES, NAMES)
EXTRAS = st.none() | st.builds(
    CallExtra,
    st.dictionaries(NAMES, NAMES, max_size=3),
    st.none() | ADDRESSES,
    hops=st.integers(0, 255),
    scheduled_ms=st.just(0),
)
CALLS = st.tuples(
    NUMBERS, ADDRESSES, NAMES, NAMES, st.binary(max_size=16), st.integers(min_value=0, max_value=(1 << 32) - 1), EXTRAS
)
FAILURES = st.builds(CallFailure, NUMBERS, st.sampled_from(ErrorCode), st.sampled_from(Outcome), NAMES)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(st.lists(CALLS, max_size=5), st.lists(NUMBERS, max_size=5))
def test_calls_come_back_as_they_were(calls: list[tuple[object, ...]], cancelled: list[int]) -> None:
    assert Calls(calls, cancelled) == decode(encode_calls(calls, cancelled))  # type: ignore[arg-type]


@given(st.lists(st.tuples(NUMBERS, NAMES, st.binary(max_size=16)), max_size=5), st.lists(FAILURES, max_size=5))
def test_replies_come_back_as_they_were(replies: list[tuple[int, str, bytes]], failures: list[CallFailure]) -> None:
    columns = ReplyColumns()
    for call_id, type_url, payload in replies:
        columns.ids.append(call_id)
        columns.type_urls.append(type_url)
        columns.payloads.append(payload)
    columns.failures = failures
    assert PeerReplies(replies, failures) == decode(encode_replies(columns))


@given(st.binary(max_size=64))
def test_random_bytes_are_malformed_at_worst(data: bytes) -> None:
    with suppress(Malformed):
        decode(data)


@given(st.sampled_from([(0, 10), (1, 5)]), st.data())
def test_messages_with_odd_parts_are_malformed_at_worst(shape: tuple[int, int], data: st.DataObject) -> None:
    kind, count = shape
    with suppress(Malformed):
        decode(msgpack.packb([1, kind, *(data.draw(st.lists(JUNK, max_size=3) | JUNK) for _ in range(count))]))


@given(st.lists(CALLS, min_size=1, max_size=3), st.integers(min_value=2, max_value=11), JUNK)
def test_messages_with_one_part_replaced_are_malformed_at_worst(
    calls: list[tuple[object, ...]], at: int, junk: object
) -> None:
    message = msgpack.unpackb(encode_calls(calls, [1]), strict_map_key=False)  # type: ignore[arg-type]
    message[at] = junk
    with suppress(Malformed):
        decode(msgpack.packb(message))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({0: 2}, "another version"),
        ({1: 7}, "neither calls nor replies"),
        ({5: [1]}, "numbers from 0 to 0"),
        ({5: [True]}, "a column of int"),
        ({8: ["text"]}, "a column of bytes"),
        ({9: []}, "different lengths"),
        ({10: [[1, {}, None]]}, "an extra is"),
        ({10: [[0, {"a": 1}, None, 0]]}, "a column of str"),
        ({10: [[0, {}, None, 256]]}, "numbers from 0 to 255"),
        ({11: [-1]}, "numbers from 0"),
    ],
)
def test_each_broken_rule_is_named(changes: dict[int, object], reason: str) -> None:
    message = msgpack.unpackb(encode_calls([(1, ActorAddress("s", "n"), "a", "", b"", 0, None)], []))
    for at, value in changes.items():
        message[at] = value
    with pytest.raises(Malformed, match=reason):
        decode(msgpack.packb(message))
