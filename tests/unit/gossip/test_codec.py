from typing import Any

import pytest

from gossip.codec import decode, encode, pack
from gossip.errors import DecodeError, RejectReason
from gossip.identity import NodeName
from gossip.messages import Ack, Alive, Dead, Nack, Ping

ALIVE: dict[str, Any] = {
    "Addr": b"\x7f\x00\x00\x01",
    "Incarnation": 1,
    "Meta": None,
    "Node": b"a",
    "Port": 7946,
    "Vsn": bytes(6),
}


def refusal(kind: int, body: object) -> RejectReason:
    with pytest.raises(DecodeError) as caught:
        decode(bytes((kind,)) + pack(body))
    return caught.value.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Addr": b"\x7f"}, RejectReason.MALFORMED),
        ({"Addr": None}, RejectReason.MALFORMED),
        ({"Incarnation": -1}, RejectReason.MALFORMED),
        ({"Incarnation": 2**32}, RejectReason.MALFORMED),
        ({"Incarnation": "1"}, RejectReason.MALFORMED),
        ({"Incarnation": 1.0}, RejectReason.MALFORMED),
        ({"Meta": bytes(513)}, RejectReason.TOO_LARGE),
        ({"Meta": {}}, RejectReason.MALFORMED),
        ({"Node": b""}, RejectReason.MALFORMED),
        ({"Node": bytes(256)}, RejectReason.TOO_LARGE),
        ({"Port": 65_536}, RejectReason.MALFORMED),
        ({"Vsn": bytes(7)}, RejectReason.TOO_LARGE),
        ({"Vsn": [1, 5, 256]}, RejectReason.MALFORMED),
        ({"Extra": [0] * 65}, RejectReason.MALFORMED),
    ],
)
def test_a_field_out_of_range_spoils_the_message(change: dict[str, Any], reason: RejectReason) -> None:
    assert reason is refusal(4, ALIVE | change)


def test_unknown_keys_and_trailing_bytes_are_ignored_and_missing_keys_are_zero() -> None:
    assert Nack(0) == decode(b"\x0b" + pack({"New": [1, {"x": 2}]}) + b"trailing")


def test_a_version_vector_may_be_an_array_of_numbers() -> None:
    message = decode(b"\x04" + pack(ALIVE | {"Vsn": [1, 5, 2, 2, 5, 4]}))

    assert isinstance(message, Alive)
    assert bytes([1, 5, 2, 2, 5, 4]) == message.versions


def test_a_body_that_is_no_map_is_refused() -> None:
    for body in (None, 1, b"text", [1, b"a"]):
        assert RejectReason.MALFORMED is refusal(0, body)


def test_numbers_may_come_wider_than_needed() -> None:
    assert Ack(5) == decode(b"\x02\x81\xa5SeqNo\xd3" + (5).to_bytes(8, "big"))


def test_nested_arrays_do_not_make_us_allocate() -> None:
    # Each level claims 2^32 - 1 elements.
    with pytest.raises(DecodeError, match="no msgpack map"):
        decode(b"\x00" + b"\xdd\xff\xff\xff\xff" * 500)


def test_strings_are_never_written_in_the_newer_family() -> None:
    encoded = encode(Dead(1, NodeName("n" * 40), NodeName("f" * 40)))

    assert b"\xda\x00\x28" in encoded
    assert b"\xd9" not in encoded


def test_a_ping_without_a_source_leaves_its_keys_out() -> None:
    assert b"\x00" + pack({"Node": b"a", "SeqNo": 1}) == encode(Ping(1, NodeName("a")))
