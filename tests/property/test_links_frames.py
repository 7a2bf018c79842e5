"""Frames: what is encoded comes back whatever the chunks, and hostile bytes do no harm."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.links.errors import CloseReason, RemoteProtocolError
from crdtmesh.links.frames import (
    BATCH_SIZE_BYTES_MAX,
    Channel,
    Credit,
    Frame,
    FrameDecoder,
    FrameEncoder,
    Goodbye,
    Hello,
    Messages,
    Ping,
    Pong,
    decode,
)

ENCODER = FrameEncoder()
LIMIT = 1 << 20

u32 = st.integers(0, (1 << 32) - 1)
channels = st.sampled_from(Channel)
frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Ping, u32),
    st.builds(Pong, u32),
    st.builds(Credit, channels, st.integers(1, (1 << 32) - 1)),
    st.builds(Goodbye, st.sampled_from([str(reason) for reason in CloseReason]), st.text(max_size=200)),
    st.builds(
        Hello,
        st.just("m"),
        u32,
        u32,
        st.text(max_size=32),
        st.text(max_size=32),
        st.binary(max_size=32),
        u32,
        st.lists(st.text(max_size=8), max_size=16).map(tuple),
    ),
    st.builds(Messages, channels, st.lists(st.binary(max_size=300), min_size=1, max_size=40)),
)


def encode(frame: Frame) -> bytes:
    match frame:
        case Ping(token):
            return ENCODER.ping(token)
        case Pong(token):
            return ENCODER.pong(token)
        case Credit(channel, size):
            return ENCODER.credit(channel, size)
        case Goodbye(reason, detail):
            return ENCODER.goodbye(CloseReason(reason), detail)
        case Hello():
            return ENCODER.hello(frame)
        case Messages(channel, payloads):
            return b"".join(ENCODER.batch(channel, payloads))


def read_all(decoder: FrameDecoder) -> list[Frame]:
    found = []
    while (body := decoder.next_frame()) is not None:
        found.append(decode(body))
    return found


def decode_or_error(body: bytes | bytearray) -> Frame | RemoteProtocolError:
    try:
        return decode(body)
    except RemoteProtocolError as error:
        return error


@given(st.lists(frames, max_size=20), st.data())
def test_frames_come_back_under_any_chunking(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    decoder = FrameDecoder(LIMIT)
    received = []
    for start, end in pairwise([0, *cuts, len(stream)]):
        decoder.feed(stream[start:end])
        received += read_all(decoder)
    assert sent == received
    assert 0 == decoder.buffered_bytes


@given(channels, st.integers(0, 3 * BATCH_SIZE_BYTES_MAX), st.integers(1, 70_000))
def test_large_message_comes_back_under_any_chunk_size(channel: Channel, size: int, chunk: int) -> None:
    payload = bytes(size)
    stream = b"".join(ENCODER.large(channel, payload)) * 2
    decoder = FrameDecoder(LIMIT)
    received = []
    for start in range(0, len(stream), chunk):
        decoder.feed(stream[start : start + chunk])
        received += read_all(decoder)
    assert [Messages(channel, [payload])] * 2 == received


def test_large_message_survives_single_bytes() -> None:
    stream = b"".join(ENCODER.large(Channel.REPAIR, b"p" * 5000))
    decoder = FrameDecoder(LIMIT)
    for index in range(len(stream)):
        decoder.feed(stream[index : index + 1])
    assert [Messages(Channel.REPAIR, [b"p" * 5000])] == read_all(decoder)


@given(st.integers(LIMIT + 1, (1 << 32) - 1), st.binary(max_size=20))
def test_length_above_the_limit_is_refused_from_its_four_bytes(size: int, rest: bytes) -> None:
    decoder = FrameDecoder(LIMIT)
    decoder.feed(size.to_bytes(4, "big") + rest)
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.next_frame()
    assert CloseReason.FRAME_TOO_LARGE is caught.value.reason


plain: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=30,
)


@given(
    st.one_of(
        st.binary(min_size=1, max_size=300), plain.map(msgpack.packb), frames.map(lambda frame: encode(frame)[4:])
    )
)
def test_any_body_is_a_frame_that_encodes_again_or_a_typed_error(body: bytes) -> None:
    frame = decode_or_error(body)
    if isinstance(frame, RemoteProtocolError):
        assert CloseReason.MALFORMED is frame.reason
        assert frame.detail.isprintable()
        assert len(frame.detail) < 200
    elif not isinstance(frame, Goodbye):  # its reason may be one of a later version
        assert frame == decode(encode(frame)[4:])


@given(frames, st.data())
def test_mutated_frame_is_a_frame_or_a_typed_error(frame: Frame, data: st.DataObject) -> None:
    body = bytearray(encode(frame)[4:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    result = decode_or_error(body)
    assert isinstance(result, Frame) or CloseReason.MALFORMED is result.reason


def bombs() -> list[bytes]:
    nested = b"\x93\x05\x00" + b"\xdd\xff\xff\xff\xff" * 20_000
    return [
        nested,
        b"\x93\x05\x00" + b"\xdc\x08\x00" * 40_000,  # arrays of 2,048 within arrays
        b"\x93\x05\x00\xdc\x08\x00" + b"\x90" * (BATCH_SIZE_BYTES_MAX - 6),  # empty arrays
        b"\x93\x06\x00" + b"\x90" * (8 << 20),  # where one message belongs
        b"\x93\x06\x00\xdd\x00\x7f\xff\xff" + b"\x90" * (8 << 20),
        b"\x93\x06\x00\xc6\xff\xff\xff\xff" + b"x" * 100,
        b"\x93\x00\xdd\x00\x7f\xff\xff" + b"\x90" * (8 << 20),
        b"\x93\x00\xdf\x00\x7f\xff\xff" + b"\x80" * (8 << 20),
        b"\x93\x05\x00\xc9\xff\xff\xff\xff\x00",
    ]


@pytest.mark.parametrize("number", range(len(bombs())))
def test_bomb_is_refused_without_taking_memory(number: int) -> None:
    body = bombs()[number]
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError) as caught:
            decode(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert CloseReason.MALFORMED is caught.value.reason
    # 1,024 nested arrays of 2,048 slots are 16 MiB; the error and its text take little.
    assert peak < 17 << 20


def test_integers_are_not_booleans_or_floats() -> None:
    for fields in (
        [True, 1],
        [1.0, 1],
        [1, True],
        [1, 1.0],
        [3, True, 5],
        [5, False, [b"x"]],
        [5, 4, [b"x"]],
        [5, 0, []],
    ):
        with pytest.raises(RemoteProtocolError):
            decode(msgpack.packb(fields))
