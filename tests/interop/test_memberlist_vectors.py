"""Bytes recorded from real agents: each is decoded to the values recorded beside it, and encoded to the same bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from gossip.codec import encode
from gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Message,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
    User,
)
from gossip.packets import PacketLayers, add_crc, compound, wrap_compressed
from gossip.security import NONCE_SIZE_BYTES, Keyring, add_label
from gossip.streams import StreamReader, encode_for_stream, encode_push_pull

Vector = dict[str, Any]

_FILE = json.loads((Path(__file__).parent / "data" / "swim-vectors.json").read_text())
_VECTORS: list[Vector] = _FILE["vectors"] + _FILE["extra_vectors"]
_UDP = [v for v in _VECTORS if v["transport"] == "udp"]
_TCP = [v for v in _VECTORS if v["transport"] == "tcp"]

_NAMES = {
    Ping: "ping",
    IndirectPing: "indirectPing",
    Ack: "ack",
    Suspect: "suspect",
    Alive: "alive",
    Dead: "dead",
    PushPull: "pushPull",
    User: "user",
    Nack: "nack",
    ErrorReply: "err",
}


def _id(vector: Vector) -> str:
    return str(vector["id"])


def _layers(vector: Vector) -> PacketLayers:
    keyring = Keyring([bytes.fromhex(vector["key_hex"])]) if "key_hex" in vector else None
    return PacketLayers(label=vector.get("label", "").encode(), keyring=keyring)


def _is_dialler(vector: Vector) -> bool:
    """Whether the recorded side dialled; it matters only where there is a label."""
    return bool(vector.get("label_header_present", False))


def _value(text: object) -> object:
    """The notation of the recording: bytes that are not printable are `hex:...`."""
    if text is None:
        return b""
    if isinstance(text, str):
        return bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
    return text


def _inner(decoded: dict[str, Any]) -> dict[str, Any]:
    while "inner" in decoded and decoded.get("name") in ("hasCrc", "compress"):
        decoded = decoded["inner"]
    return decoded


def _body_of(message: Message | NodeState) -> dict[str, object]:
    """A message as the map that the recording shows, by the wire's key names."""
    match message:
        case Ping(sequence, node, address, port, source):
            fields: dict[str, object] = {"Node": node, "SeqNo": sequence, "SourceNode": source, "SourcePort": port}
            return fields | {"SourceAddr": address}
        case IndirectPing():
            return {
                "Nack": message.nack,
                "Node": message.node,
                "Port": message.port,
                "SeqNo": message.sequence,
                "SourceAddr": message.source_address,
                "SourceNode": message.source_node,
                "SourcePort": message.source_port,
                "Target": message.target,
            }
        case Ack(sequence, payload):
            return {"Payload": payload, "SeqNo": sequence}
        case Nack(sequence):
            return {"SeqNo": sequence}
        case Suspect(incarnation, node, accuser) | Dead(incarnation, node, accuser):
            return {"From": accuser, "Incarnation": incarnation, "Node": node}
        case Alive() | NodeState():
            common: dict[str, object] = {
                "Addr": message.address,
                "Incarnation": message.incarnation,
                "Meta": message.meta,
                "Port": message.port,
                "Vsn": message.versions,
            }
            if isinstance(message, NodeState):
                return common | {"Name": message.node, "State": int(message.state)}
            return common | {"Node": message.node}
        case _:
            raise AssertionError(message)


def _assert_body(expected: dict[str, Any], message: Message | NodeState) -> None:
    actual = {key: v.encode() if isinstance(v, str) else v for key, v in _body_of(message).items()}
    assert {key: _value(v) for key, v in expected.items()} == actual


def _assert_message(expected: dict[str, Any], message: Message) -> None:
    assert expected["name"] == _NAMES[type(message)]
    if not isinstance(message, User):
        _assert_body(expected["body"], message)


@pytest.mark.parametrize("vector", _UDP, ids=_id)
def test_a_recorded_packet_decodes_to_the_recorded_values(vector: Vector) -> None:
    opened = _layers(vector).open(bytes.fromhex(vector["hex"]))

    assert [] == opened.rejected
    decoded = _inner(vector["decoded"])
    if "relay_header" in decoded:
        assert [User] == [type(m) for m in opened.messages]
    elif decoded["name"] == "compound":
        assert len(decoded["parts"]) == len(opened.messages)
        for expected, message in zip(decoded["parts"], opened.messages, strict=True):
            _assert_message(expected, message)
    else:
        _assert_message(decoded, opened.messages[0])


@pytest.mark.parametrize("vector", _UDP, ids=_id)
def test_a_recorded_packet_is_encoded_to_the_same_bytes(vector: Vector) -> None:
    layers = _layers(vector)
    recorded = bytes.fromhex(vector["hex"])

    packet = compound([encode(message) for message in layers.open(recorded).messages])
    if "compress" in vector["layers"]:
        packet = wrap_compressed(packet)
    if "hasCrc" in vector["layers"]:
        packet = add_crc(packet)
    if layers.keyring is not None:
        sealed = recorded[2 + recorded[1] :] if layers.label else recorded
        nonce = sealed[1 : 1 + NONCE_SIZE_BYTES]
        packet = layers.keyring.seal(packet, nonce=nonce, associated=layers.label, version=sealed[0])

    assert recorded == add_label(packet, layers.label)


@pytest.mark.parametrize("chunk_size", [1, 7, 10_000])
@pytest.mark.parametrize("vector", _TCP, ids=_id)
def test_a_recorded_stream_decodes_to_the_recorded_values(vector: Vector, chunk_size: int) -> None:
    message = _read(vector, chunk_size)

    expected = _inner(vector["decoded"])
    assert expected["name"] == _NAMES[type(message)]
    match message:
        case PushPull(is_join, states, user_state):
            assert expected["header"]["Join"] == is_join
            assert expected["header"]["Nodes"] == len(states)
            assert expected["header"]["UserStateLen"] == len(user_state)
            for node, state in zip(expected["nodes"], states, strict=True):
                _assert_body(node, state)
        case User(payload):
            assert bytes.fromhex(expected["user"]["raw"]) == payload
        case ErrorReply(text):
            assert expected["header"]["Error"] == text
        case _:
            _assert_body(expected["header"], message)


@pytest.mark.parametrize("vector", _TCP, ids=_id)
def test_a_recorded_stream_is_encoded_to_the_same_bytes(vector: Vector) -> None:
    message = _read(vector, 10_000)
    recorded = bytes.fromhex(vector["hex"])

    if isinstance(message, PushPull):
        plain = encode_push_pull(message, signed_integers="go-msgpack 2" in vector["source"])
    else:
        plain = encode_for_stream(message)
    assert vector["decompressed_hex"] == plain.hex()
    packet = wrap_compressed(plain)
    layers = _layers(vector)
    if layers.keyring is not None:
        frame = recorded[2 + recorded[1] :] if _is_dialler(vector) else recorded
        nonce = frame[6 : 6 + NONCE_SIZE_BYTES]
        associated = frame[:5] + layers.label
        packet = frame[:5] + layers.keyring.seal(packet, nonce=nonce, associated=associated)

    assert recorded == (add_label(packet, layers.label) if _is_dialler(vector) else packet)


def _read(vector: Vector, chunk_size: int) -> Message:
    """The message of a stream, fed in chunks; it must be complete with the last one and not before."""
    data = bytes.fromhex(vector["hex"])
    is_inbound = _is_dialler(vector) or not vector.get("label")
    reader = StreamReader(_layers(vector), is_inbound=is_inbound, size_bytes_max=1 << 20)
    for start in range(0, len(data), chunk_size):
        message = reader.feed(data[start : start + chunk_size])
        if start + chunk_size < len(data):
            assert message is None
    assert message is not None
    return message


def test_there_are_as_many_vectors_as_the_recording_has() -> None:
    assert 27 == len(_VECTORS)
