"""The Serf layer around the membership machine: the same five verbs, with intents, events and queries on top.

Theory of operation
-------------------
A Serf cluster is a memberlist cluster whose members send each other a second kind of news in user messages, each
stamped with one of three logical clocks. *Intents* tell a departure from a failure: a member that leaves says so
first, and only then is its notice of leaving believed. *User events* reach everybody once: whoever sees one for the
first time spreads it on. *Queries* do the same, and each member answers straight to the asker. What is known of all
that rides along with the tables of an exchange, so that a newcomer catches up.

A message that is not of this layer passes through to the application.
"""

from collections.abc import Callable, Sequence
from random import Random

from gossip.broadcasts import Ticket
from gossip.config import SwimConfig, to_ns
from gossip.errors import BroadcastTooLarge, DecodeError, GossipError, RejectReason
from gossip.identity import Endpoint, NodeName
from gossip.members import Member
from gossip.outputs import (
    Event,
    JoinFinished,
    MemberChange,
    MemberEvent,
    Outgoing,
    PacketRejected,
    ProbeFinished,
    Query,
    QueryId,
    StreamId,
    UserEvent,
    UserMessage,
    UserState,
)
from gossip.serf.clock import TIME_CLAIM_MAX, LamportClock
from gossip.serf.config import SerfConfig
from gossip.serf.coordinates import Coordinate, Vivaldi
from gossip.serf.coordinates import encode as encode_coordinate
from gossip.serf.events import Ring
from gossip.serf.intents import Standings, Status
from gossip.serf.messages import (
    EventMessage,
    Intent,
    QueryMessage,
    RelayMessage,
    ResponseMessage,
    SerfType,
    State,
    decode,
    decode_state,
    encode,
    encode_state,
)
from gossip.serf.queries import Queries, check_size
from gossip.swim import Swim
from gossip.timers import Timers

_IN_MESSAGES = frozenset(SerfType) - {
    SerfType.STATE,
    SerfType.CONFLICT_RESPONSE,
    SerfType.KEY_REQUEST,
    SerfType.KEY_RESPONSE,
}
"""Types that come as messages of their own; the others come inside of something."""

FOREIGN_BYTE_MIN = 0x80
"""First bytes from here on are free for applications: lower ones are, or may become, types of this layer."""

_JOIN_KEY = "\0serf join"
"""Under which the newest join intent replaces the one queued; no key of an application begins like that."""

_GONE = (MemberChange.DIED, MemberChange.LEFT)


class Serf:
    """The membership machine of one node with the Serf layer; nothing that a peer sends makes a method raise.

    Args:
        swim: the machine below; fresh, and driven through this object only.
        config: of the layer.
        swim_config: the options that `swim` was made with.
        rng: numbers of queries come from it.
    """

    def __init__(self, swim: Swim, config: SerfConfig, *, swim_config: SwimConfig, rng: Random) -> None:
        self._swim = swim
        self._config = config
        self._rng = rng
        self._events: list[Event] = []
        self._timers: Timers[QueryId | None] = Timers()
        self._clock = LamportClock()
        self._event_clock = LamportClock()
        self._ring: Ring[tuple[str, bytes]] = Ring()
        self._extra: Callable[[], bytes] = bytes
        self._is_leaving = False
        self._has_caught_up = False
        self._leave_ticket: Ticket | None = None
        self._standings = Standings(swim.local.name, self._clock, members_max=swim_config.members_max)
        self._queries = Queries(swim, config, swim_config, standings=self._standings, emit=self._events.append)
        self._vivaldi = Vivaldi(rng, members_max=swim_config.members_max)
        swim.set_state(self._state)
        swim.set_ack_payload(lambda: encode_coordinate(self._vivaldi.own))

    # --- what is known

    @property
    def local(self) -> Member:
        """This node's own entry."""
        return self._swim.local

    @property
    def local_health(self) -> int:
        """The health score of the machine below."""
        return self._swim.local_health

    def members(self) -> list[Member]:
        """All entries of the machine below."""
        return self._swim.members()

    def member(self, name: str) -> Member | None:
        """The entry of that name."""
        return self._swim.member(name)

    def status(self, name: str) -> Status | None:
        """What Serf's own tools would show of a member; None if it is not known."""
        return self._standings.status(NodeName(name))

    @property
    def coordinate(self) -> Coordinate:
        """Where this node stands in the network."""
        return self._vivaldi.own

    def rtt_s(self, name: str) -> float | None:
        """The estimated round-trip time to a member; None until it has answered a ping with its coordinate."""
        other = self._vivaldi.get(NodeName(name))
        return None if other is None else self._vivaldi.own.distance_s(other)

    # --- the five verbs

    def receive(self, datagram: bytes, source: Endpoint, *, now_ns: int) -> None:
        """Takes one datagram."""
        self._swim.receive(datagram, source, now_ns=now_ns)
        self._digest(now_ns)

    def accept_stream(self, source: Endpoint, *, now_ns: int) -> StreamId | None:
        """Numbers a connection that a peer opened; None means too many: close it at once."""
        return self._swim.accept_stream(source, now_ns=now_ns)

    def receive_stream(self, stream: StreamId, data: bytes, *, now_ns: int) -> None:
        """Takes a chunk of a stream."""
        self._swim.receive_stream(stream, data, now_ns=now_ns)
        self._digest(now_ns)

    def close_stream(self, stream: StreamId, *, error: str | None = None, now_ns: int) -> None:
        """The peer closed the stream, or it could not be opened."""
        self._swim.close_stream(stream, error=error, now_ns=now_ns)
        self._digest(now_ns)

    def tick(self, *, now_ns: int) -> None:
        """Does everything that is due at or before now."""
        self._swim.tick(now_ns=now_ns)
        self._digest(now_ns)
        while (due := self._timers.pop_due(now_ns)) is not None:
            query = due[0]
            if query is None:
                self._leave_now(now_ns)
            else:
                self._queries.finish(query)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted again."""
        deadlines = [due for due in (self._swim.next_deadline_ns(), self._timers.next_due_ns()) if due is not None]
        return min(deadlines, default=None)

    def take_outgoing(self) -> list[Outgoing]:
        """Directives since the last call, in order."""
        return self._swim.take_outgoing()

    def take_events(self) -> list[Event]:
        """Events since the last call, in order."""
        events = self._events[:]
        self._events.clear()
        return events

    # --- commands

    def join(self, endpoints: Sequence[Endpoint], *, now_ns: int) -> None:
        """Contacts nodes of the cluster; each gives a `JoinFinished`."""
        self._swim.join(endpoints, now_ns=now_ns)
        self._digest(now_ns)

    def leave(self, *, now_ns: int) -> None:
        """Departs in good order: first the intent, then the leave; `LeaveFinished` comes after both."""
        if self._is_leaving:
            return
        # Marked before anything is sent: an echo of our own intent would look like an accusation and be refuted.
        self._is_leaving = True
        intent = Intent(True, self._clock.increment(), self.local.name)
        self._standings.set_own(Status.LEAVING, intent.time)
        if any(member.is_present and member.name != self.local.name for member in self.members()):
            self._leave_ticket = self._swim.broadcast(encode(intent), now_ns=now_ns)
            self._timers.arm(None, now_ns + to_ns(self._config.leave_timeout_s))
        else:
            self._leave_now(now_ns)

    def set_meta(self, meta: bytes, *, now_ns: int) -> None:
        """Announces new metadata; see `Swim.set_meta`."""
        self._swim.set_meta(meta, now_ns=now_ns)
        self._digest(now_ns)

    def set_state(self, state: Callable[[], bytes]) -> None:
        """Gives what goes along with this node's table, beside the state of the layer; Serf's agents skip it."""
        self._extra = state

    def broadcast(self, payload: bytes, *, key: str | None = None, now_ns: int) -> Ticket:
        """Spreads a message of the application; Serf's agents do not pass it on, and log a warning for each.

        Raises:
            BroadcastTooLarge: it can never fit a packet; nothing was queued.
            GossipError: its first byte belongs to the Serf layer; nothing was queued.
        """
        if not payload or payload[0] < FOREIGN_BYTE_MIN:
            raise GossipError(f"in a Serf cluster a message of the application begins with {FOREIGN_BYTE_MIN} or more")
        return self._swim.broadcast(payload, key=key, now_ns=now_ns)

    def user_event(self, name: str, payload: bytes, *, can_coalesce: bool, now_ns: int) -> None:
        """Sends an event to everybody, this node included.

        Raises:
            BroadcastTooLarge: it is above the limit; nothing was sent.
        """
        message = EventMessage(self._event_clock.time, name, payload, can_coalesce)
        data = encode(message)
        check_size("event", data, self._config.event_size_bytes_max)
        self._event_clock.increment()
        self._ring.add(message.time, (name, payload), clock=self._event_clock.time)
        self._events.append(UserEvent(name, payload, message.time, can_coalesce))
        self._swim.broadcast(data, now_ns=now_ns)

    def query(
        self, name: str, payload: bytes, *, filters: tuple[bytes, ...] = (), timeout_ns: int | None = None, now_ns: int
    ) -> QueryId:
        """Asks everybody else; `QueryResponse`s follow, then a `QueryFinished`.

        Raises:
            BroadcastTooLarge: it is above the limit; nothing was sent.
            GossipError: too many queries wait for answers; nothing was sent.
        """
        timeout_ns = self._queries.default_timeout_ns() if timeout_ns is None else timeout_ns
        number = self._rng.getrandbits(31)
        query, data = self._queries.ask(name, payload, number=number, items=filters, timeout_ns=timeout_ns)
        self._timers.arm(query, now_ns + timeout_ns)
        self._swim.broadcast(data, now_ns=now_ns)
        return query

    def finish_query(self, query: QueryId) -> None:
        """Stops to wait for answers before the time is over."""
        self._timers.cancel(query)
        self._queries.finish(query)

    def respond(self, query: Query, payload: bytes, *, now_ns: int) -> bool:
        """Answers a query; false if its time is over.

        Raises:
            BroadcastTooLarge: the answer does not fit; nothing was sent.
        """
        return self._queries.respond(query, payload, now_ns=now_ns)

    # --- from the machine below

    def _digest(self, now_ns: int) -> None:
        """Reads what the machine below reports; handling it may make it report more."""
        while events := self._swim.take_events():
            for event in events:
                self._on_event(event, now_ns)
        if self._leave_ticket is not None and not self._swim.is_queued(self._leave_ticket):
            self._leave_now(now_ns)

    def _leave_now(self, now_ns: int) -> None:
        self._leave_ticket = None
        self._timers.cancel(None)
        self._swim.leave(now_ns=now_ns)
        self._events += self._swim.take_events()

    def _on_event(self, event: Event, now_ns: int) -> None:
        match event:
            case UserMessage(payload) if payload and payload[0] in _IN_MESSAGES:
                self._on_message(payload, now_ns)
                return
            case UserState(payload, is_join):
                self._on_state(payload, now_ns, is_join=is_join)
                return
            case MemberEvent(MemberChange.JOINED, member, _):
                self._standings.on_present(member.name, now_ns=now_ns)
            case MemberEvent(change, member, _) if change in _GONE:
                self._standings.on_gone(member.name)
                self._vivaldi.forget(member.name)
            case ProbeFinished(target, _, duration_ns, payload) if payload:
                self._on_coordinate(target, payload, duration_ns)
            case JoinFinished(_, None) if not self._is_leaving:
                self._announce_join(now_ns)
            case _:
                pass
        self._events.append(event)

    def _on_message(self, data: bytes, now_ns: int) -> None:
        try:
            message = decode(data)
        except DecodeError as error:
            self._events.append(PacketRejected(error.reason, None, str(error)))
            return
        if not isinstance(message, RelayMessage | ResponseMessage) and not self._is_timely(message):
            return
        match message:
            case Intent():
                is_news = self._on_intent(message, now_ns)
            case EventMessage():
                is_news = self._on_user_event(message)
            case QueryMessage():
                is_news = self._queries.on_query(message, now_ns=now_ns)
            case ResponseMessage():
                self._queries.on_response(message)
                return
            case RelayMessage():
                self._queries.on_relay(message, now_ns=now_ns)
                return
        if is_news:
            self._spread(data, now_ns)

    def _is_timely(self, message: Intent | EventMessage | QueryMessage) -> bool:
        """Whether the time of a message is plausible: one far ahead would put out of date what honest members send."""
        match message:
            case Intent():
                clock = self._clock
            case EventMessage():
                clock = self._event_clock
            case QueryMessage():
                clock = self._queries.clock
        if clock.allows(message.time):
            return True
        detail = f"time {message.time} of {type(message).__name__} is too far ahead of {clock.time}"
        self._events.append(PacketRejected(RejectReason.CLOCK, None, detail))
        return False

    def _spread(self, data: bytes, now_ns: int) -> None:
        """Passes a message on as it came; one too long for a packet spreads with the tables."""
        try:
            self._swim.broadcast(data, now_ns=now_ns)
        except BroadcastTooLarge as error:
            self._events.append(PacketRejected(RejectReason.TOO_LARGE, None, str(error)))

    def _on_intent(self, intent: Intent, now_ns: int) -> bool:
        if intent.node != self.local.name:
            is_news = self._standings.on_intent(intent, now_ns=now_ns)
            if is_news and intent.is_leave and self._standings.status(intent.node) in (Status.LEFT, None):
                self._swim.give_up(intent.node)
            return is_news
        self._clock.witness(intent.time)
        if intent.is_leave and not self._is_leaving and intent.time > self._standings.times()[self.local.name]:
            self._announce_join(now_ns)
        return False

    def _announce_join(self, now_ns: int) -> None:
        intent = Intent(False, self._clock.increment(), self.local.name)
        self._standings.set_own(Status.ALIVE, intent.time)
        self._swim.broadcast(encode(intent), key=_JOIN_KEY, now_ns=now_ns)

    def _on_user_event(self, message: EventMessage) -> bool:
        self._event_clock.witness(message.time)
        if not self._ring.add(message.time, (message.name, message.payload), clock=self._event_clock.time):
            return False
        self._events.append(UserEvent(message.name, message.payload, message.time, message.can_coalesce))
        return True

    def _on_coordinate(self, name: NodeName, payload: bytes, rtt_ns: int) -> None:
        try:
            self._vivaldi.on_ack(name, payload, rtt_ns=rtt_ns)
        except DecodeError as error:
            self._events.append(PacketRejected(error.reason, None, str(error)))

    # --- table exchanges

    def _state(self) -> bytes:
        state = State(
            time=self._clock.time,
            event_time=self._event_clock.time,
            query_time=self._queries.clock.time,
            statuses=self._standings.times(),
            left=self._standings.left(),
            events=tuple(EventMessage(time, name, payload) for time, (name, payload) in self._ring.items()),
            extra=self._extra(),
        )
        return encode_state(state)

    def _on_state(self, data: bytes, now_ns: int, *, is_join: bool) -> None:
        try:
            state = decode_state(data)
        except DecodeError as error:
            self._events.append(PacketRejected(error.reason, None, str(error)))
            return
        if not self._set_clocks(state, is_join=is_join):
            return
        left = set(state.left)
        intents = [Intent(True, state.statuses.get(name, 0) + 1, name) for name in state.left]
        intents += [Intent(False, time, name) for name, time in state.statuses.items() if name not in left]
        for intent in intents:
            if self._is_timely(intent):
                self._on_intent(intent, now_ns)
        for event in state.events:
            if self._is_timely(event):
                self._on_user_event(event)
        if state.extra:
            self._events.append(UserState(state.extra))

    def _set_clocks(self, state: State, *, is_join: bool) -> bool:
        """Moves our clocks past those of a peer; false if they are implausible.

        The first member that this node joined says where the cluster stands, be it far ahead; from then on a peer is
        believed a jump at most. What happened before this node came is none of its business.
        """
        clocks = (self._clock, self._event_clock, self._queries.clock)
        times = (state.time, state.event_time, state.query_time)
        is_first = is_join and not self._has_caught_up
        for clock, time in zip(clocks, times, strict=True):
            if time > TIME_CLAIM_MAX if is_first else not clock.allows(time):
                detail = f"times {times} of a peer's state are too far ahead"
                self._events.append(PacketRejected(RejectReason.CLOCK, None, detail))
                return False
        for clock, time in zip(clocks, times, strict=True):
            if time:
                clock.witness(time - 1)
        if is_first:
            self._has_caught_up = True
            self._ring.minimum = state.event_time
            self._queries.ignore_before(state.query_time)
        return True
