"""Whatever we send can be read back, and whatever comes in is either a message or a counted refusal."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gossip import lzw
from gossip.codec import decode, encode
from gossip.errors import DecodeError
from gossip.identity import NodeName, host_of, name_of
from gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    MemberState,
    Message,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
    User,
)
from gossip.packets import PacketLayers
from gossip.security import Keyring
from gossip.serf import decode_tags, encode_tags
from gossip.streams import StreamReader, encode_for_stream, seal_stream

names = st.binary(min_size=1, max_size=60).map(name_of)
maybe_names = st.one_of(st.just(NodeName("")), names)
addresses = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
maybe_addresses = st.one_of(st.just(b""), addresses)
ports = st.integers(0, 65_535)
numbers = st.integers(0, 2**32 - 1)
metas = st.binary(max_size=512)
versions = st.one_of(st.just(b""), st.binary(min_size=6, max_size=6))

datagram_messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Ping, numbers, maybe_names, maybe_addresses, ports, maybe_names),
    st.builds(
        IndirectPing,
        sequence=numbers,
        node=names,
        target=addresses,
        port=ports,
        nack=st.booleans(),
        source_address=maybe_addresses,
        source_port=ports,
        source_node=maybe_names,
    ),
    st.builds(Ack, numbers, st.binary(max_size=200)),
    st.builds(Nack, numbers),
    st.builds(Suspect, numbers, names, names),
    st.builds(Dead, numbers, names, names),
    st.builds(Alive, incarnation=numbers, node=names, address=addresses, port=ports, meta=metas, versions=versions),
    st.builds(User, st.binary(max_size=300)),
)
states = st.builds(
    NodeState,
    node=names,
    address=addresses,
    port=ports,
    incarnation=numbers,
    state=st.sampled_from(MemberState),
    meta=metas,
    versions=versions,
)
stream_messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(PushPull, st.booleans(), st.lists(states, max_size=6).map(tuple), st.binary(max_size=500)),
    st.builds(Ping, numbers, maybe_names, maybe_addresses, ports, maybe_names),
    st.builds(Ack, numbers, st.binary(max_size=200)),
    st.builds(User, st.binary(max_size=300)),
    st.builds(ErrorReply, st.text(st.characters(codec="ascii"), max_size=100)),
)
layers = st.builds(
    PacketLayers,
    label=st.sampled_from([b"", b"lab"]),
    keyring=st.sampled_from([None, Keyring([bytes(16)])]),
    entropy=st.just(bytes),
    compression=st.booleans(),
)

_RECORDED = json.loads((Path(__file__).parents[1] / "interop" / "data" / "swim-vectors.json").read_text())
RECORDINGS = [
    bytes.fromhex(v.get("plaintext_hex", v["hex"])) for v in _RECORDED["vectors"] + _RECORDED["extra_vectors"]
]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A recorded packet with a few bytes changed, cut out or put in."""
    data = bytearray(draw(st.sampled_from(RECORDINGS)))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 2)):
            case 0:
                data[position : position + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[position : position + draw(st.integers(1, 20))]
            case _:
                data[position:position] = draw(st.binary(max_size=8))
    return bytes(data)


@given(datagram_messages)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert message == decode(encode(message))


@given(st.lists(datagram_messages, min_size=1, max_size=8), layers, st.booleans())
def test_a_packet_is_read_as_it_was_written(messages: list[Message], packet: PacketLayers, crc: bool) -> None:
    opened = packet.open(packet.seal([encode(message) for message in messages], crc=crc))

    assert messages == opened.messages
    assert [] == opened.rejected


@given(stream_messages, layers, st.integers(1, 400))
def test_a_stream_is_read_as_it_was_written(message: Message, packet: PacketLayers, chunk: int) -> None:
    data = seal_stream(encode_for_stream(message), packet, is_dialler=True)
    reader = StreamReader(packet, is_inbound=True, size_bytes_max=1 << 20)

    results = [reader.feed(data[start : start + chunk]) for start in range(0, len(data), chunk)]

    assert message == results[-1]
    assert [None] * (len(results) - 1) == results[:-1]


@given(st.one_of(st.binary(max_size=400), mutations()), layers)
def test_any_bytes_are_messages_or_a_refusal(data: bytes, packet: PacketLayers) -> None:
    try:
        opened = packet.open(data)
    except DecodeError:
        return
    for message in opened.messages:
        assert message == decode(encode(message))


@given(st.one_of(st.binary(max_size=400), mutations()), st.integers(1, 100))
def test_any_stream_is_a_message_a_refusal_or_unfinished(data: bytes, chunk: int) -> None:
    reader = StreamReader(PacketLayers(), is_inbound=True, size_bytes_max=10_000)
    try:
        for start in range(0, len(data), chunk):
            if reader.feed(data[start : start + chunk]) is not None:
                return
    except DecodeError:
        return


@given(st.binary(max_size=2_000))
def test_compressed_bytes_come_back(data: bytes) -> None:
    assert data == lzw.decompress(lzw.compress(data), size_bytes_max=len(data))


@given(st.binary(max_size=300))
def test_any_bytes_decompress_within_the_limit_or_are_refused(data: bytes) -> None:
    try:
        assert 1_000 >= len(lzw.decompress(data, size_bytes_max=1_000))
    except DecodeError:
        return


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=8))
def test_tags_are_read_as_they_were_written(tags: dict[str, str]) -> None:
    assert tags == decode_tags(encode_tags(tags))


@given(st.binary(max_size=100))
def test_any_metadata_has_tags(meta: bytes) -> None:
    assert all(isinstance(value, str) for value in decode_tags(meta).values())


@given(addresses)
def test_every_address_has_a_text(address: bytes) -> None:
    assert host_of(address)
