"""Questions to the whole cluster: asking them, and answering those of others.

Answers go straight to the asker, by its announced endpoint. Only members get any: a forged question must not aim the
answers of a whole cluster at somebody else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gossip.codec import pack
from gossip.config import SwimConfig, to_ns
from gossip.errors import BroadcastTooLarge, DecodeError, GossipError, RejectReason
from gossip.identity import Endpoint, NodeName, name_bytes
from gossip.members import Member
from gossip.outputs import Event, KeyringChanged, PacketRejected, Query, QueryFinished, QueryId, QueryResponse
from gossip.serf import filters, keys
from gossip.serf.clock import LamportClock
from gossip.serf.config import SerfConfig
from gossip.serf.events import Ring
from gossip.serf.intents import Standings
from gossip.serf.messages import QueryMessage, RelayMessage, ResponseMessage, SerfType, encode
from gossip.swim import Swim
from gossip.versions import PROTOCOL_CRC, protocol_max

QUERIES_MAX = 256
"""Questions of this node that wait for answers at the same time; each waits some seconds."""

INTERNAL = "_serf_"
"""Names of questions that applications never see begin like this."""


@dataclass(slots=True)
class _Pending:
    acked: set[NodeName] = field(default_factory=set)
    answered: set[NodeName] = field(default_factory=set)


class Queries:
    """All questions of one node.

    Args:
        swim: the membership.
        config: of the layer.
        swim_config: of the membership.
        standings: the status of every member.
        emit: takes events.
    """

    def __init__(
        self,
        swim: Swim,
        config: SerfConfig,
        swim_config: SwimConfig,
        *,
        standings: Standings,
        emit: Callable[[Event], None],
    ) -> None:
        self._swim = swim
        self._config = config
        self._swim_config = swim_config
        self._standings = standings
        self._emit = emit
        self._ring: Ring[int] = Ring()
        self._pending: dict[QueryId, _Pending] = {}
        self.clock = LamportClock()

    def ignore_before(self, time: int) -> None:
        """What was asked before this node joined is not for it."""
        self._ring.minimum = max(self._ring.minimum, time)

    # --- asking

    def ask(
        self, name: str, payload: bytes, *, number: int, items: tuple[bytes, ...], timeout_ns: int
    ) -> tuple[QueryId, bytes]:
        """Registers a question; returns its id and the message to spread.

        Raises:
            BroadcastTooLarge: the message does not fit.
            GossipError: too many questions wait for answers.
        """
        if len(self._pending) >= QUERIES_MAX:
            raise GossipError(f"{QUERIES_MAX} queries wait for answers; ask again later")
        local = self._swim.local
        message = QueryMessage(
            time=self.clock.time,
            number=number,
            asker=local.endpoint,
            asker_name=local.name,
            filters=items,
            wants_ack=True,
            timeout_ns=timeout_ns,
            name=name,
            payload=payload,
        )
        data = encode(message)
        check_size("query", data, self._config.query_size_bytes_max)
        self.clock.witness(message.time)
        self._ring.add(message.time, number, clock=self.clock.time)
        query = (message.time, number)
        self._pending[query] = _Pending()
        return query, data

    def finish(self, query: QueryId) -> None:
        """Stops to wait for answers."""
        if self._pending.pop(query, None) is not None:
            self._emit(QueryFinished(query))

    def on_response(self, response: ResponseMessage) -> None:
        """One answer; relays make copies, which count once."""
        query = (response.time, response.number)
        pending = self._pending.get(query)
        if pending is None:
            return
        seen = pending.acked if response.is_ack else pending.answered
        if response.node in seen or len(seen) >= self._swim_config.members_max:
            return
        seen.add(response.node)
        self._emit(QueryResponse(query, response.node, response.payload, response.is_ack))

    # --- answering

    def on_query(self, message: QueryMessage, *, now_ns: int) -> bool:
        """A question of somebody; true if it is to be spread on."""
        self.clock.witness(message.time)
        if not self._ring.add(message.time, message.number, clock=self.clock.time):
            return False
        if self._is_for_us(message):
            self._take(message, now_ns)
        return not message.is_rebroadcast_off

    def _is_for_us(self, message: QueryMessage) -> bool:
        if self._swim.member_at(message.asker) is None:
            self._refuse(RejectReason.UNKNOWN_TARGET, message.asker, "a query of somebody who is no member")
            return False
        local = self._swim.local
        try:
            return all(filters.matches(item, name=local.name, tags=local.tags) for item in message.filters)
        except DecodeError as error:
            self._refuse(error.reason, message.asker, str(error))
            return False

    def _take(self, message: QueryMessage, now_ns: int) -> None:
        query = Query(
            name=message.name,
            payload=message.payload,
            time=message.time,
            number=message.number,
            asker=message.asker,
            asker_name=message.asker_name,
            relay_factor=message.relay_factor,
            deadline_ns=now_ns + message.timeout_ns,
        )
        if message.wants_ack:
            self._send(query, is_ack=True, payload=b"", now_ns=now_ns)
        if not message.name.startswith(INTERNAL):
            self._emit(query)
            return
        payload = self._internal_answer(message)
        if payload is not None:
            self._send(query, is_ack=False, payload=payload, now_ns=now_ns)

    def _internal_answer(self, message: QueryMessage) -> bytes | None:
        if message.name in keys.NAMES:
            local = self._swim.local
            room = self._config.response_size_bytes_max - len(name_bytes(local.name)) - 64
            keyring = self._swim_config.keyring
            payload, is_changed = keys.answer(message.name, message.payload, keyring, size_bytes_max=room)
            if is_changed:
                self._emit(KeyringChanged(message.name.removeprefix(INTERNAL)))
            return payload
        if message.name == "_serf_conflict":
            return self._conflict_answer(message.payload.decode("utf-8", "surrogateescape"))
        return None

    def _conflict_answer(self, name: str) -> bytes | None:
        """Who has that name, as far as we know; its bearers ask that when there are two, and do not vote."""
        if name == self._swim.local.name:
            return None
        member = self._swim.member(name)
        body = None if member is None else _member_body(member, self._standings)
        return bytes((SerfType.CONFLICT_RESPONSE,)) + pack(body)

    def respond(self, query: Query, payload: bytes, *, now_ns: int) -> bool:
        """Answers a question; false if its time is over.

        Raises:
            BroadcastTooLarge: the answer does not fit; nothing was sent.
        """
        if now_ns > query.deadline_ns:
            return False
        self._send(query, is_ack=False, payload=payload, now_ns=now_ns)
        return True

    def _send(self, query: Query, *, is_ack: bool, payload: bytes, now_ns: int) -> None:
        response = encode(ResponseMessage(query.time, query.number, self._swim.local.name, is_ack, payload))
        check_size("answer", response, self._config.response_size_bytes_max)
        self._swim.send_user_message(query.asker, response, now_ns=now_ns)
        if not query.relay_factor or len(self._swim.members()) <= query.relay_factor:
            return
        relayed = encode(RelayMessage(query.asker, response))
        for member in self._swim.sample(query.relay_factor, lambda m: self._can_relay(m, query.asker)):
            self._swim.send_user_message(member.endpoint, relayed, now_ns=now_ns)

    def _can_relay(self, member: Member, asker: Endpoint) -> bool:
        is_other = member.endpoint not in (asker, self._swim.local.endpoint)
        return is_other and member.is_alive and protocol_max(member.versions) >= PROTOCOL_CRC

    def on_relay(self, message: RelayMessage, *, now_ns: int) -> None:
        """Hands an answer on; to members only, or we would be a tool to reach third parties."""
        if self._swim.member_at(message.destination) is None:
            self._refuse(RejectReason.UNKNOWN_TARGET, message.destination, "a relay to somebody who is no member")
        elif message.message[:1] != bytes((SerfType.QUERY_RESPONSE,)):
            self._refuse(RejectReason.NOT_SUPPORTED, message.destination, "a relay of something else than an answer")
        else:
            self._swim.send_user_message(message.destination, message.message, now_ns=now_ns)

    def default_timeout_ns(self) -> int:
        """How long answers are awaited when nothing else is said."""
        digits = len(str(len(self._swim.members())))
        return to_ns(self._swim_config.gossip_interval_s) * self._config.query_timeout_multiplier * digits

    def _refuse(self, reason: RejectReason, source: Endpoint, detail: str) -> None:
        self._emit(PacketRejected(reason, source, detail))


def check_size(what: str, data: bytes, maximum: int) -> None:
    """Refuses a message above its limit.

    Raises:
        BroadcastTooLarge: it is.
    """
    if len(data) > maximum:
        raise BroadcastTooLarge(f"the {what} takes {len(data)} bytes, at most {maximum} are allowed; send less")


def _member_body(member: Member, standings: Standings) -> dict[str, object]:
    versions = member.versions.ljust(6, b"\0")
    return {
        "Addr": member.address,
        "DelegateCur": versions[5],
        "DelegateMax": versions[4],
        "DelegateMin": versions[3],
        "Name": name_bytes(member.name),
        "Port": member.endpoint.port,
        "ProtocolCur": versions[2],
        "ProtocolMax": versions[1],
        "ProtocolMin": versions[0],
        "Status": int(standings.status(member.name) or 0),
        "Tags": dict(sorted(member.tags.items())),
    }
