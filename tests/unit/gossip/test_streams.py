from dataclasses import replace

import pytest

from gossip.codec import pack, pack_node_state
from gossip.errors import DecodeError, RejectReason
from gossip.identity import NodeName
from gossip.messages import Ack, ErrorReply, MemberState, Message, NodeState, Ping, PushPull, User
from gossip.packets import PacketLayers, wrap_compressed
from gossip.security import Keyring
from gossip.streams import StreamReader, encode_for_stream, seal_stream

STATE = NodeState(
    node=NodeName("a"), address=bytes(4), port=1, incarnation=2, state=MemberState.LEFT, meta=b"m", versions=bytes(6)
)
MESSAGES: list[Message] = [
    PushPull(True, (STATE,) * 3, b"state of the application"),
    PushPull(False, ()),
    Ping(7, NodeName("b")),
    Ack(7),
    User(b"payload" * 100),
    User(b""),
    ErrorReply("no"),
]
LAYERS = [
    PacketLayers(),
    PacketLayers(label=b"lab"),
    PacketLayers(compression=True),
    PacketLayers(keyring=Keyring([bytes(32)]), entropy=bytes),
    PacketLayers(label=b"lab", keyring=Keyring([bytes(32)]), entropy=bytes, compression=True),
    PacketLayers(keyring=Keyring([bytes(16)]), entropy=bytes, sealing_version=0),
]


def read(data: bytes, layers: PacketLayers, *, chunk: int = 10_000, limit: int = 1 << 20) -> Message | None:
    reader = StreamReader(layers, is_inbound=True, size_bytes_max=limit)
    message = None
    for start in range(0, len(data), chunk):
        message = reader.feed(data[start : start + chunk])
        if message is not None:
            return message
    return None


def refusal(data: bytes, layers: PacketLayers | None = None, *, limit: int = 1 << 20) -> RejectReason:
    with pytest.raises(DecodeError) as caught:
        read(data, layers or PacketLayers(), limit=limit)
    return caught.value.reason


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("chunk", [1, 13, 10_000])
def test_a_message_survives_the_stream_in_chunks_of_any_size(
    message: Message, layers: PacketLayers, chunk: int
) -> None:
    data = seal_stream(encode_for_stream(message), layers, is_dialler=True)

    assert message == read(data, layers, chunk=chunk)


def test_the_answering_side_writes_no_label() -> None:
    layers = PacketLayers(label=b"lab")
    data = seal_stream(encode_for_stream(Ack(1)), layers, is_dialler=False)

    assert Ack(1) == StreamReader(layers, is_inbound=False, size_bytes_max=1_000).feed(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x04" + pack({"Node": b"a"}), RejectReason.NOT_SUPPORTED),
        (b"\x06" + pack({"Nodes": 2**21}), RejectReason.MALFORMED),
        (b"\x06" + pack({"Nodes": -1}), RejectReason.MALFORMED),
        (b"\x06" + pack({"Nodes": 1}) + pack({"Name": b"a", "State": 4, "Addr": bytes(4)}), RejectReason.MALFORMED),
        (b"\x06" + pack({"Nodes": 1}) + pack([1]), RejectReason.MALFORMED),
        (b"\x06" + pack({"UserStateLen": 2**31}), RejectReason.MALFORMED),
        (b"\x08" + pack({"UserMsgLen": 2**31}), RejectReason.MALFORMED),
        (b"\x0a\xff\xff\xff\xff", RejectReason.TOO_LARGE),
        (b"\x0a\x00\x00\x00\x10", RejectReason.DECRYPTION),
        (b"\xf4\x03lab\x00", RejectReason.LABEL),
        (b"\x00\xc1", RejectReason.MALFORMED),
        (wrap_compressed(wrap_compressed(encode_for_stream(Ack(1)))), RejectReason.NOT_SUPPORTED),
        (wrap_compressed(encode_for_stream(User(b"xx"))[:-1]), RejectReason.MALFORMED),
    ],
)
def test_a_stream_that_can_not_be_used_is_refused_at_once(data: bytes, reason: RejectReason) -> None:
    assert reason is refusal(data)


def test_a_stream_above_the_limit_is_refused_before_it_is_kept() -> None:
    assert RejectReason.TOO_LARGE is refusal(b"\x08" + pack({"UserMsgLen": 900}) + bytes(2_000), limit=1_000)
    assert RejectReason.TOO_LARGE is refusal(wrap_compressed(encode_for_stream(User(bytes(9_000)))), limit=8_000)


def test_a_plain_stream_is_refused_where_there_is_a_key() -> None:
    assert RejectReason.DECRYPTION is refusal(encode_for_stream(Ack(1)), LAYERS[3])


@pytest.mark.parametrize("chunk", [1, 64, 10_000])
def test_an_entry_known_by_its_bytes_is_handed_out_as_it_is(chunk: int) -> None:
    other = replace(STATE, node=NodeName("b"))
    data = encode_for_stream(PushPull(False, (STATE, other, STATE)))
    reader = StreamReader(
        PacketLayers(), is_inbound=True, size_bytes_max=1_000, known=lambda: {pack_node_state(STATE): STATE}
    )
    messages = [reader.feed(data[start : start + chunk]) for start in range(0, len(data), chunk)]

    assert isinstance(table := messages[-1], PushPull)
    assert (STATE, other, STATE) == table.states
    assert [True, False, True] == [state is STATE for state in table.states]
