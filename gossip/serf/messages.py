"""The messages of the Serf layer as values, and their bytes: a type byte, then one msgpack map.

They travel inside user messages of the membership protocol, and as the user state of a table exchange. Reading is
lenient in form and strict in types and ranges, as in `codec`.
"""

import enum
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from gossip.codec import Body, check_map, pack, read_bool, read_bytes, read_uint, unpack_map
from gossip.errors import DecodeError, RejectReason
from gossip.identity import NAME_SIZE_BYTES_MAX, PORT_MAX, Endpoint, NodeName, address_of, host_of, name_bytes, name_of
from gossip.serf.clock import TIME_MAX

_PAYLOAD_MAX: Final = 65_536
_U32_MAX: Final = 2**32 - 1
_TIMEOUT_NS_MAX: Final = 2**63 - 1

EVENT_TIMES_MAX = 4_096
"""Slots of recent events that one state may show: other implementations keep 512, and operators may raise that."""

STATUSES_MAX = 65_536
"""Members in one state; several times what a table of ours may hold."""

_UNPACK_ERRORS = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)


class SerfType(enum.IntEnum):
    """The first byte of every message of the layer."""

    LEAVE = 0
    JOIN = 1
    STATE = 2
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    RELAY = 9


@dataclass(frozen=True, slots=True)
class Intent:
    """A member says that it joins or leaves, or somebody says for a failed one that it is to count as left."""

    is_leave: bool
    time: int
    node: NodeName
    is_prune: bool = False


@dataclass(frozen=True, slots=True)
class EventMessage:
    """An event of the application for everybody."""

    time: int
    name: str
    payload: bytes
    can_coalesce: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMessage:
    """A question to everybody, or to those that all filters match; answers go straight to `asker`."""

    time: int
    number: int
    asker: Endpoint
    asker_name: NodeName
    filters: tuple[bytes, ...] = ()
    wants_ack: bool = False
    is_rebroadcast_off: bool = False
    relay_factor: int = 0
    timeout_ns: int
    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ResponseMessage:
    """The answer of one member, or just its word that the question arrived."""

    time: int
    number: int
    node: NodeName
    is_ack: bool
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class RelayMessage:
    """A message that the receiver is to hand on."""

    destination: Endpoint
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a node adds to its table in an exchange. `extra` is ours: other implementations skip it."""

    time: int
    event_time: int
    query_time: int
    statuses: dict[NodeName, int]
    left: tuple[NodeName, ...]
    events: tuple[EventMessage, ...]
    extra: bytes = b""


SerfMessage = Intent | EventMessage | QueryMessage | ResponseMessage | RelayMessage

_ACK = 1
_NO_BROADCAST = 2
_EXTRA_KEY: Final = b"GossipState"


# --- writing: keys in byte order


def encode(message: SerfMessage) -> bytes:
    """The bytes of a message, type byte included."""
    match message:
        case Intent(True, time, node, is_prune):
            return _join(SerfType.LEAVE, {"LTime": time, "Node": name_bytes(node), "Prune": is_prune})
        case Intent(_, time, node, _):
            return _join(SerfType.JOIN, {"LTime": time, "Node": name_bytes(node)})
        case EventMessage(time, name, payload, can_coalesce):
            body = {"CC": can_coalesce, "LTime": time, "Name": _raw(name), "Payload": payload or None}
            return _join(SerfType.USER_EVENT, body)
        case QueryMessage():
            return _join(SerfType.QUERY, _query_body(message))
        case ResponseMessage():
            return _join(SerfType.QUERY_RESPONSE, _response_body(message))
        case RelayMessage(destination, inner):
            address = {"IP": address_of(destination.host), "Port": destination.port, "Zone": ""}
            return _join(SerfType.RELAY, {"DestAddr": address, "DestName": ""}) + inner


def encode_state(state: State) -> bytes:
    """The user state of a table exchange."""
    by_time: dict[int, list[dict[str, Any]]] = {}
    for event in state.events:
        by_time.setdefault(event.time, []).append({"Name": _raw(event.name), "Payload": event.payload or None})
    body: dict[str, Any] = {
        "EventLTime": state.event_time,
        "Events": [{"Events": events, "LTime": time} for time, events in by_time.items()],
    }
    if state.extra:
        body[_EXTRA_KEY.decode()] = state.extra
    body["LTime"] = state.time
    body["LeftMembers"] = [name_bytes(name) for name in state.left]
    body["QueryLTime"] = state.query_time
    body["StatusLTimes"] = {name_bytes(name): time for name, time in sorted(state.statuses.items())}
    return _join(SerfType.STATE, body)


def _join(kind: SerfType, body: dict[str, Any]) -> bytes:
    return bytes((kind,)) + pack(body)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _query_body(m: QueryMessage) -> dict[str, Any]:
    return {
        "Addr": address_of(m.asker.host),
        "Filters": list(m.filters) or None,
        "Flags": _ACK * m.wants_ack | _NO_BROADCAST * m.is_rebroadcast_off,
        "ID": m.number,
        "LTime": m.time,
        "Name": _raw(m.name),
        "Payload": m.payload or None,
        "Port": m.asker.port,
        "RelayFactor": m.relay_factor,
        "SourceNode": name_bytes(m.asker_name),
        "Timeout": m.timeout_ns,
    }


def _response_body(m: ResponseMessage) -> dict[str, Any]:
    return {
        "Flags": _ACK * m.is_ack,
        "From": name_bytes(m.node),
        "ID": m.number,
        "LTime": m.time,
        "Payload": m.payload or None,
    }


# --- reading


def decode(data: bytes) -> SerfMessage:
    """Reads a message with its type byte.

    Raises:
        DecodeError: it is none, or a field has a wrong type or range.
    """
    kind = data[0] if data else -1
    if kind == SerfType.RELAY:
        return _read_relay(data)
    body = unpack_map(memoryview(data)[1:])
    time = read_uint(body, b"LTime", TIME_MAX)
    if kind in (SerfType.LEAVE, SerfType.JOIN):
        return Intent(kind == SerfType.LEAVE, time, _read_node(body, b"Node"), read_bool(body, b"Prune"))
    if kind == SerfType.USER_EVENT:
        return EventMessage(time, _read_text(body, b"Name"), _read_payload(body), read_bool(body, b"CC"))
    if kind == SerfType.QUERY:
        return _read_query(body, time)
    if kind == SerfType.QUERY_RESPONSE:
        flags = read_uint(body, b"Flags", _U32_MAX)
        number = read_uint(body, b"ID", _U32_MAX)
        return ResponseMessage(time, number, _read_node(body, b"From"), bool(flags & _ACK), _read_payload(body))
    raise DecodeError(RejectReason.NOT_SUPPORTED, f"message type {kind} of the Serf layer")


def decode_state(data: bytes) -> State:
    """Reads the user state of a table exchange.

    Raises:
        DecodeError: it is none, or a field has a wrong type or range.
    """
    if not data or data[0] != SerfType.STATE:
        raise DecodeError(RejectReason.NOT_SUPPORTED, "the user state of an exchange is not Serf's")
    try:
        body = check_map(
            msgpack.unpackb(
                data[1:],
                raw=True,
                strict_map_key=True,
                max_array_len=STATUSES_MAX,
                max_map_len=STATUSES_MAX,
                max_ext_len=0,
            )
        )
    except msgpack.ExtraData as extra:
        body = check_map(extra.unpacked)
    except _UNPACK_ERRORS as error:
        raise DecodeError(RejectReason.MALFORMED, f"no msgpack map: {error!r:.64}") from None
    statuses = check_map(body.get(b"StatusLTimes") or {})
    return State(
        time=read_uint(body, b"LTime", TIME_MAX),
        event_time=read_uint(body, b"EventLTime", TIME_MAX),
        query_time=read_uint(body, b"QueryLTime", TIME_MAX),
        statuses={_check_node(name): read_uint(statuses, name, TIME_MAX) for name in statuses},
        left=tuple(_check_node(name) for name in _read_list(body, b"LeftMembers", STATUSES_MAX)),
        events=tuple(_read_events(body)),
        extra=read_bytes(body, _EXTRA_KEY, len(data)),
    )


def _read_events(body: Body) -> list[EventMessage]:
    events = []
    for slot in _read_list(body, b"Events", EVENT_TIMES_MAX):
        if slot is None:
            continue
        fields = check_map(slot)
        time = read_uint(fields, b"LTime", TIME_MAX)
        for event in _read_list(fields, b"Events", EVENT_TIMES_MAX):
            inner = check_map(event)
            events.append(EventMessage(time, _read_text(inner, b"Name"), _read_payload(inner)))
    return events


def _read_query(body: Body, time: int) -> QueryMessage:
    flags = read_uint(body, b"Flags", _U32_MAX)
    filters = tuple(_read_list(body, b"Filters", 64))
    if not all(isinstance(item, bytes) and item for item in filters):
        raise DecodeError(RejectReason.MALFORMED, "expected filters of at least one byte")
    return QueryMessage(
        time=time,
        number=read_uint(body, b"ID", _U32_MAX),
        asker=Endpoint(host_of(read_bytes(body, b"Addr", 16)), read_uint(body, b"Port", PORT_MAX)),
        asker_name=name_of(read_bytes(body, b"SourceNode", NAME_SIZE_BYTES_MAX)),
        filters=filters,
        wants_ack=bool(flags & _ACK),
        is_rebroadcast_off=bool(flags & _NO_BROADCAST),
        relay_factor=read_uint(body, b"RelayFactor", 255),
        timeout_ns=read_uint(body, b"Timeout", _TIMEOUT_NS_MAX),
        name=_read_text(body, b"Name"),
        payload=_read_payload(body),
    )


def _read_relay(data: bytes) -> RelayMessage:
    unpacker: Any = msgpack.Unpacker(
        raw=True, strict_map_key=True, max_array_len=64, max_map_len=64, max_ext_len=0, max_buffer_size=_PAYLOAD_MAX
    )
    try:
        unpacker.feed(data[1:])
        header = check_map(unpacker.unpack())
    except (*_UNPACK_ERRORS, msgpack.OutOfData) as error:
        raise DecodeError(RejectReason.MALFORMED, f"no relay header: {error!r:.64}") from None
    address = check_map(header.get(b"DestAddr"))
    destination = Endpoint(host_of(read_bytes(address, b"IP", 16)), read_uint(address, b"Port", PORT_MAX))
    return RelayMessage(destination, data[1 + unpacker.tell() :])


def _read_list(body: Body, key: bytes, maximum: int) -> list[Any]:
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > maximum:
        raise DecodeError(RejectReason.MALFORMED, f"expected up to {maximum} items in {key!r}, got {value!r:.64}")
    return value


def _read_payload(body: Body) -> bytes:
    return read_bytes(body, b"Payload", _PAYLOAD_MAX)


def _read_text(body: Body, key: bytes) -> str:
    raw = read_bytes(body, key, _PAYLOAD_MAX)
    if not raw:
        raise DecodeError(RejectReason.MALFORMED, f"expected text in {key!r}, got none")
    return raw.decode("utf-8", "surrogateescape")


def _read_node(body: Body, key: bytes) -> NodeName:
    return _check_node(read_bytes(body, key, NAME_SIZE_BYTES_MAX))


def _check_node(raw: object) -> NodeName:
    if not isinstance(raw, bytes) or not 1 <= len(raw) <= NAME_SIZE_BYTES_MAX:
        raise DecodeError(RejectReason.MALFORMED, f"expected a node name, got {raw!r:.64}")
    return name_of(raw)
