"""Messages above the payload limit."""

import pytest

from crdtmesh.replication.options import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX
from crdtmesh.replication.parts import Assembler, MalformedPart, split

LARGE = bytes(range(251)) * 4000


def test_small_message_is_one_payload() -> None:
    (payload,) = split(b"message", 1)
    assert b"message" == Assembler().receive(payload)


@pytest.mark.parametrize("length", [PAYLOAD_BYTES_MAX - 1, PAYLOAD_BYTES_MAX, MESSAGE_BYTES_MAX])
def test_no_payload_is_above_the_limit_and_the_message_comes_back(length: int) -> None:
    payloads = split(bytes(length), 1)
    assert max(map(len, payloads)) <= PAYLOAD_BYTES_MAX
    assembler = Assembler()
    *unfinished, message = [assembler.receive(payload) for payload in payloads]
    assert {None} >= set(unfinished)
    assert bytes(length) == message


def test_parts_may_come_in_any_order_and_twice() -> None:
    payloads = split(LARGE, 1)
    assembler = Assembler()
    received = [assembler.receive(payload) for payload in [*reversed(payloads[1:]), payloads[1], payloads[0]]]
    assert LARGE == received[-1]
    assert [None] * (len(received) - 1) == received[:-1]


def test_unfinished_message_gives_way_to_the_next() -> None:
    assembler = Assembler()
    for payload in split(LARGE, 1)[:-1]:
        assembler.receive(payload)
    other = LARGE[::-1]
    assert other == [assembler.receive(payload) for payload in split(other, 2)][-1]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x02message",
        b"\x01",
        b"\x01" + bytes(8),
        b"\x01\0\0\0\1\0\2\0\2x",
        b"\x01\0\0\0\1\0\0\xff\xffx",
        b"\x01\0\0\0\1\0\0\0\2" + bytes(PAYLOAD_BYTES_MAX),
    ],
)
def test_hostile_part_is_refused_and_changes_nothing(payload: bytes) -> None:
    assembler = Assembler()
    first, *rest = split(LARGE, 1)
    assembler.receive(first)
    with pytest.raises(MalformedPart):
        assembler.receive(payload)
    assert LARGE == [assembler.receive(part) for part in rest][-1]
