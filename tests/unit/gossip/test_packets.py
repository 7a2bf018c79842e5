import pytest

from gossip.codec import encode, pack
from gossip.errors import DecodeError, RejectReason
from gossip.messages import Ack, Message, Nack, User
from gossip.packets import PacketLayers, add_crc, compound, wrap_compressed
from gossip.security import Keyring

PLAIN = PacketLayers()
ACK, NACK = encode(Ack(1)), encode(Nack(2))


def opened(packet: bytes) -> tuple[list[Message], list[RejectReason]]:
    result = PLAIN.open(packet)
    return result.messages, [error.reason for error in result.rejected]


def refusal(layers: PacketLayers, packet: bytes) -> RejectReason:
    with pytest.raises(DecodeError) as caught:
        layers.open(packet)
    return caught.value.reason


def test_layers_come_off_as_they_went_on() -> None:
    keyring = Keyring([bytes(32)])
    for layers in (
        PLAIN,
        PacketLayers(compression=True),
        PacketLayers(label=b"lab", keyring=keyring, entropy=bytes, compression=True),
    ):
        packet = layers.seal([ACK, NACK, encode(User(b"x" * 300))], crc=True)

        assert [Ack(1), Nack(2), User(b"x" * 300)] == layers.open(packet).messages


def test_padded_sealing_for_protocol_1_fits_its_overhead_and_opens() -> None:
    layers = PacketLayers(keyring=Keyring([bytes(16)]), entropy=bytes, sealing_version=0)
    for size in range(40):
        message = encode(User(bytes(size)))
        packet = layers.seal([message], crc=False)

        assert 0 == packet[0]
        assert len(packet) <= len(message) + layers.overhead_bytes
        assert [User(bytes(size))] == layers.open(packet).messages


def test_a_single_message_is_bare() -> None:
    assert ACK == PLAIN.seal([ACK], crc=False)


def test_a_compound_that_ends_early_yields_the_parts_that_fit() -> None:
    packet = compound([ACK, NACK])[:-1]

    assert ([Ack(1)], [RejectReason.MALFORMED]) == opened(packet)


def test_an_unknown_part_does_not_spoil_the_others() -> None:
    packet = compound([ACK, b"\x63future", NACK])

    assert ([Ack(1), Nack(2)], [RejectReason.UNKNOWN_TYPE]) == opened(packet)


def test_an_empty_part_is_refused() -> None:
    assert ([Ack(1)], [RejectReason.MALFORMED]) == opened(compound([ACK, b""]))


@pytest.mark.parametrize("packet", [b"\x07", b"\x07\x00", b"\x07\x02\x00\x01", b"\x07\xff\x00\x01"])
def test_a_compound_without_its_lengths_is_refused(packet: bytes) -> None:
    assert ([], [RejectReason.MALFORMED]) == opened(packet)


def test_nesting_has_a_limit() -> None:
    packet = ACK
    for _ in range(10):
        packet = wrap_compressed(packet)

    assert ([], [RejectReason.DEPTH]) == opened(packet)


def test_a_decompression_bomb_is_refused() -> None:
    assert ([], [RejectReason.TOO_LARGE]) == opened(wrap_compressed(encode(User(bytes(70_000)))))


def test_bombs_in_one_packet_share_one_budget() -> None:
    bomb = wrap_compressed(encode(User(bytes(60_000))))
    messages, reasons = opened(compound([bomb] * 20))

    assert 4 == len(messages)
    assert [RejectReason.TOO_LARGE] * 16 == reasons


def test_a_packet_of_countless_parts_is_cut_off() -> None:
    empty = b"\x07\xff" + bytes(2 * 255)
    _, reasons = opened(compound([empty] * 100))

    assert RejectReason.TOO_LARGE is reasons[-1]
    assert 1_100 > len(reasons)


def test_an_unknown_compression_is_refused() -> None:
    assert ([], [RejectReason.NOT_SUPPORTED]) == opened(b"\x09" + pack({"Algo": 1, "Buf": b""}))


def test_a_wrong_checksum_is_refused() -> None:
    assert RejectReason.CHECKSUM is refusal(PLAIN, add_crc(ACK)[:-1] + b"\x00")


def test_another_label_or_none_is_refused() -> None:
    ours = PacketLayers(label=b"ours")

    assert RejectReason.LABEL is refusal(ours, ACK)
    assert RejectReason.LABEL is refusal(ours, PacketLayers(label=b"theirs").seal([ACK], crc=False))
    assert RejectReason.LABEL is refusal(PLAIN, ours.seal([ACK], crc=False))


def test_plain_text_is_refused_where_there_is_a_key_unless_migrating() -> None:
    keyring = Keyring([bytes(32)])

    assert RejectReason.DECRYPTION is refusal(PacketLayers(keyring=keyring, entropy=bytes), ACK)
    assert [Ack(1)] == PacketLayers(keyring=keyring, entropy=bytes, verify_incoming=False).open(ACK).messages


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"\x06rest", RejectReason.NOT_SUPPORTED),
        (b"\x0arest", RejectReason.NOT_SUPPORTED),
        (b"\x0drest", RejectReason.NOT_SUPPORTED),
        (b"\x63rest", RejectReason.UNKNOWN_TYPE),
        (b"\x00\xc1", RejectReason.MALFORMED),
        (b"", RejectReason.MALFORMED),
        (bytes(70_000), RejectReason.TOO_LARGE),
    ],
)
def test_other_packets_are_refused_with_their_reason(packet: bytes, reason: RejectReason) -> None:
    result = PLAIN.open(packet).rejected if packet == b"" else []

    assert reason is (result[0].reason if result else refusal(PLAIN, packet))
