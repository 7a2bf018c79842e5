"""Every parser of bytes from outside, as a function that may raise nothing but what it declares.

Each target swallows the errors that its parser declares; whatever else comes out of it is a find.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError

from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError, CrdtError
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State
from crdtmesh.edge.http_answer import AnswerReader, MalformedAnswer
from crdtmesh.edge.policies import Policy
from crdtmesh.errors import ConfigError
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.invitations import Token
from crdtmesh.identity.keys import encode_keys, parse_keys
from crdtmesh.identity.names import parse as parse_name
from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import Channel, FrameEncoder
from crdtmesh.links.options import Identity, LinkOptions
from crdtmesh.links.session import Session
from crdtmesh.links.states import HelloReceived
from crdtmesh.mesh_tag import MeshTag
from crdtmesh.mesh_tag import decode as decode_tag
from crdtmesh.replication.errors import TokenInvalid
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome, RegistrationRefused
from crdtmesh.runtime.messages import CallFailure, ReplyColumns, StateUpdate
from crdtmesh.runtime.peer_codec import Malformed, encode_calls, encode_replies
from crdtmesh.runtime.peer_codec import decode as decode_peer
from crdtmesh.text.sequence import Sequence
from crdtmesh.wire import registration, values
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from crdtmesh.wire.turn_messages import BadAnswer, decode_answer
from gossip.codec import encode
from gossip.config import LAN
from gossip.discovery.dns_packets import decode_answer as decode_dns
from gossip.discovery.dns_packets import encode_question
from gossip.errors import DecodeError, GossipError
from gossip.identity import Endpoint, NodeName, address_of
from gossip.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect, User
from gossip.packets import compound, wrap_compressed
from gossip.serf.config import SerfConfig
from gossip.serf.layer import Serf
from gossip.serf.messages import EventMessage, Intent
from gossip.serf.messages import encode as encode_serf
from gossip.streams import encode_for_stream
from gossip.swim import Swim
from tests.unit.crdtmesh.replication.mesh import LIST, Mesh, add, remove

__all__ = ["TARGETS", "Target"]

HOME: Final = Endpoint("10.0.0.1", 7946)
AWAY: Final = Endpoint("10.0.0.9", 7946)
VERSIONS: Final = bytes([1, 5, 2, 2, 5, 4])
LINKS: Final = LinkOptions()
ACTOR: Final = ActorAddress("shop", "list")
# Each type takes some of these.
_OPERATIONS: Final = (
    Operation("add", ("milk",)),
    Operation("increment", (3,)),
    Operation("set", ("x",)),
    Operation("set", (5,)),
    Operation("put", ("k", "v")),
    Operation("put", ("k", ("v",))),
    Operation("enable", ()),
    Operation("insert", (0, "ab")),
    Operation("vote", ("yes",)),
)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser.

    Attributes:
        name: of the target, and of its corpus.
        modules: whose lines count as reached.
        seeds: inputs that are good.
        run: parses one input.
    """

    name: str
    modules: tuple[str, ...]
    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], object]


def _swim() -> Swim:
    config = replace(LAN, members_max=32, broadcasts_max=32, push_pull_interval_s=0)
    return Swim(config, name="self", endpoint=HOME, rng=Random(1), now_ns=0)


def _gossip_packet(data: bytes) -> None:
    swim = _swim()
    serf = Serf(swim, SerfConfig(), swim_config=LAN, rng=Random(1))
    serf.receive(data, AWAY, now_ns=0)
    serf.tick(now_ns=1_000_000_000)
    serf.take_events()
    serf.take_outgoing()


def _gossip_packets() -> list[bytes]:
    node, ip = NodeName("peer"), address_of(AWAY.host)
    messages = [
        encode(Alive(incarnation=1, node=node, address=ip, port=7946, meta=b"\xff\x80", versions=VERSIONS)),
        encode(Suspect(1, node, NodeName("x"))),
        encode(Dead(1, node, NodeName("x"))),
        encode(Ping(7, NodeName("self"), ip, 7946, node)),
        encode(IndirectPing(sequence=8, node=node, target=ip, port=7946, nack=True)),
        encode(Ack(7)),
        encode(Nack(8)),
        encode(User(encode_serf(Intent(True, 3, node)))),
        encode(User(encode_serf(EventMessage(5, "e", b"payload")))),
    ]
    return [*messages, compound(messages), wrap_compressed(compound(messages))]


def _gossip_stream(data: bytes) -> None:
    swim = _swim()
    stream = swim.accept_stream(AWAY, now_ns=0)
    assert stream is not None
    half = len(data) // 2
    for part in (data[:half], data[half:]):
        swim.receive_stream(stream, part, now_ns=0)
    swim.close_stream(stream, now_ns=0)
    swim.take_events()
    swim.take_outgoing()


def _gossip_streams() -> list[bytes]:
    return [
        encode_for_stream(Ping(7, NodeName("self"), address_of(AWAY.host), 7946, NodeName("peer"))),
        encode_for_stream(User(b"payload")),
    ]


def _dns(data: bytes) -> None:
    with suppress(DecodeError, GossipError):
        decode_dns(data, name="_mesh._udp.example", number=7)


def _session(data: bytes) -> None:
    session = Session(LINKS, Identity(cluster="c", node="b", start_id=b"B" * 16), dials=False, now_ns=0)
    session.receive(data, now_ns=0)
    for event in session.take_events():
        if isinstance(event, HelloReceived):
            session.admit(now_ns=0)
            session.receive(data, now_ns=0)
    session.take_outgoing()
    session.tick(now_ns=1 << 62)


def _sessions() -> list[bytes]:
    encoder = FrameEncoder()
    identity = Identity(cluster="c", node="a", start_id=b"A" * 16, capabilities=("x",))
    hello = Session(LINKS, identity, dials=True, now_ns=0).take_outgoing()
    frames = [
        encoder.ping(1),
        encoder.pong(1),
        encoder.credit(Channel.INVOKE, 1000),
        encoder.goodbye(CloseReason.GOODBYE, "bye"),
        b"".join(encoder.batch(Channel.REPLICATION, [b"x" * 20] * 3)),
        b"".join(encoder.large(Channel.REPAIR, b"y" * 200)),
    ]
    return [hello, *(hello + frame for frame in frames), hello + b"".join(frames)]


def _replication(data: bytes) -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    mesh["b"].replica.receive(data, "a", now_ns=0, wall_ms=mesh.wall_ms)
    mesh["b"].sync()


def _replications() -> list[bytes]:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"), add("eggs"), remove("milk"))
    mesh.update("b", LIST, add("bread"))
    payloads: list[bytes] = []
    for _ in range(3):
        for name in "ab":
            mesh[name].sync()
            for message in mesh.take_sent(name):
                payloads.append(message.payload)
                mesh.deliver(name, message)
        mesh.advance(2)
    return payloads


def _delta(data: bytes) -> None:
    names = list(registry.names())
    if not data:
        return
    data_type, table = registry.get(names[data[0] % len(names)]), ReplicaTable(capacity=8)
    try:
        delta = deltas.decode_delta(data_type, data[1:], table)
    except CodecError:
        return
    assert all(dot in delta.context for dot in data_type.dots(delta.store))
    data_type.value(delta.store)
    again = deltas.encode_delta(data_type, delta)
    assert delta == deltas.decode_delta(data_type, again, table)


def _deltas() -> list[bytes]:
    """A small state of each type, behind the byte that says which."""
    made = []
    for number, name in enumerate(registry.names()):
        data_type, table = registry.get(name), ReplicaTable()
        state = State(data_type, table, replica_id=b"a" * 16)
        for operation in _OPERATIONS:
            with suppress(CrdtError, TypeError, ValueError):
                state.apply(operation, now_ms=1)
        made.append(bytes((number,)) + state.encode())
    return made


def _text(data: bytes) -> None:
    sequence = Sequence(1)
    sequence.insert(0, "abc")
    half = len(data) // 2
    for part in (data, data[:half], data[half:]):
        with suppress(CodecError):
            sequence.apply(part)
            Sequence.begins(part)
    str(sequence)


def _texts() -> list[bytes]:
    sequence = Sequence(7)
    return [sequence.insert(0, "hello"), sequence.insert(2, "ä€𝄞"), sequence.delete(1, 3)]


def _session_token(data: bytes) -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"))
    with suppress(TokenInvalid):
        mesh["a"].replica.await_token(data, ticket="t", timeout_ns=1, now_ns=0)


def _session_tokens() -> list[bytes]:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"))
    return [mesh["a"].replica.token(LIST)]


def _peer_calls(data: bytes) -> None:
    with suppress(Malformed):
        decode_peer(data)


def _peer_call_seeds() -> list[bytes]:
    columns = ReplyColumns()
    columns.ids, columns.type_urls, columns.payloads = [1], ["t"], [b"p"]
    columns.failures = [CallFailure(2, ErrorCode.TIMEOUT, Outcome.UNKNOWN, "late")]
    return [encode_calls([(1, ACTOR, "add", "t", b"p", 5, None)], [3]), encode_replies(columns)]


def _mutations(data: bytes) -> None:
    with suppress(CodecError, CrdtError):
        values.mutations_from_bytes(data)


def _registration(data: bytes) -> None:
    with suppress(ProtobufError, RegistrationRefused):
        registration.definitions_from(protocol_pb2.RegistrationRequest.FromString(data))


def _registrations() -> list[bytes]:
    request = protocol_pb2.RegistrationRequest()
    request.actor_system.name = "shop"
    actor = request.actor_system.registry.actors["list"]
    actor.id.name, actor.id.system = "list", "shop"
    actor.actions.add(name="add")
    actor.settings.stateful = True
    actor.metadata.tags["crdtmesh.type"] = "ORSet"
    return [request.SerializeToString()]


def _turn_answer(data: bytes) -> None:
    with suppress(BadAnswer):
        decode_answer(data, actor=ACTOR, state=StateUpdate(ACTOR, "PNCounter", True, 0), wall_ms=0)


def _turn_answers() -> list[bytes]:
    answer = protocol_pb2.ActorInvocationResponse(actor_name="list", actor_system="shop")
    answer.updated_context.state.type_url = "type.googleapis.com/crdtmesh.v1.Mutations"
    answer.updated_context.state.value = values_pb2.Mutations().SerializeToString()
    answer.workflow.effects.add().request.action_name = "other"
    return [answer.SerializeToString()]


def _http_answer(data: bytes) -> None:
    with suppress(MalformedAnswer):
        reader = AnswerReader(body_size_bytes_max=1_024)
        if reader.receive(data) is None:
            reader.receive_eof()


def _token(data: bytes) -> None:
    with suppress(IdentityError):
        Token.decode(data.decode("latin-1"))


def _token_seeds() -> list[bytes]:
    token = Token(
        address="10.0.0.1:7948", fingerprint="ab" * 32, cluster="c", id="00" * 8, secret="11" * 16, expires_s=9
    )
    return [token.encode().encode()]


def _keys(data: bytes) -> None:
    with suppress(IdentityError):
        parse_keys(data)


def _policy(data: bytes) -> None:
    with suppress(ConfigError):
        Policy.parse("p", data.decode("utf-8", "replace"))


TARGETS: Final = (
    Target("gossip_packet", ("gossip.",), _gossip_packets, _gossip_packet),
    Target("gossip_stream", ("gossip.",), _gossip_streams, _gossip_stream),
    Target("dns", ("gossip.discovery.",), lambda: [encode_question("_mesh._udp.example", number=7)], _dns),
    Target("link_session", ("crdtmesh.links.",), _sessions, _session),
    Target("replication", ("crdtmesh.replication.", "crdtmesh.crdts."), _replications, _replication),
    Target("delta", ("crdtmesh.crdts.",), _deltas, _delta),
    Target("text", ("crdtmesh.text.", "crdtmesh.crdts.text_updates"), _texts, _text),
    Target("session_token", ("crdtmesh.replication.tokens", "crdtmesh.crdts.codec"), _session_tokens, _session_token),
    Target("peer_calls", ("crdtmesh.runtime.peer_codec",), _peer_call_seeds, _peer_calls),
    Target("mutations", ("crdtmesh.wire.values",), lambda: [b"\x0a\x05\x0a\x03add"], _mutations),
    Target("registration", ("crdtmesh.wire.registration",), _registrations, _registration),
    Target("turn_answer", ("crdtmesh.wire.",), _turn_answers, _turn_answer),
    Target(
        "http_answer",
        ("crdtmesh.edge.http_answer",),
        lambda: [
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ],
        _http_answer,
    ),
    Target("invitation", ("crdtmesh.identity.invitations",), _token_seeds, _token),
    Target("gossip_keys", ("crdtmesh.identity.keys",), lambda: [encode_keys([bytes(32)]), b'["AAAA"]'], _keys),
    Target("policy", ("crdtmesh.edge.policies",), lambda: [b"type: allow\nactors: a*, b\nactions: *\n# x\n"], _policy),
    Target(
        "mesh_tag",
        ("crdtmesh.mesh_tag",),
        lambda: [MeshTag(cluster="c", start_id=bytes(16), link_port=1, grpc_port=2).encode().encode()],
        lambda data: decode_tag(data.decode("utf-8", "replace")),
    ),
    Target(
        "certificate_name",
        ("crdtmesh.identity.names",),
        lambda: [b"spiffe://home/node/kitchen"],
        lambda data: parse_name(data.decode("utf-8", "replace")),
    ),
)
