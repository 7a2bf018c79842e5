"""SWIM: the membership machine of one node, without I/O.

Theory of operation
-------------------
Nodes tell each other claims about members; what a claim does to the table of members is decided in `rules`, by one
table of transitions, and claims about a node itself in `refutation`.

A claim that changes the table is sent on, a limited number of times, in the free room of probe packets and in packets
of its own (`broadcasts`). Whole tables are exchanged on joining and now and then (`exchange`), which repairs what
gossip missed. Doubt comes from probing (`probing`): who does not answer, and whom nobody else can reach either,
becomes suspect, and dead when a time that depends on the number of accusers has passed (`suspicion`).

A restarted node starts at incarnation 1 and learns from the first table exchange what the others still believe about
it; it refutes that and is back. On another port it has to wait until the others have declared the old address dead:
the established holder of a name keeps it.

Driven from `agent` over real sockets and from simulations under virtual time: the same class, byte for byte.

Source: SWIM (Das, Gupta, Motivala 2002); Lifeguard (arXiv:1707.00788); the wire and the rules of memberlist.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from gossip.codec import encode
from gossip.config import SwimConfig, to_ns
from gossip.dissemination import Disseminator, Synchronizer
from gossip.errors import BroadcastTooLarge, DecodeError
from gossip.exchange import Exchanges, Purpose
from gossip.identity import (
    Endpoint,
    NodeName,
    address_of,
    check_meta,
    check_name,
)
from gossip.kernel import Kernel, Ticket, TimerKind
from gossip.members import Member
from gossip.messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    MemberState,
    Nack,
    Ping,
    Suspect,
    User,
)
from gossip.outputs import (
    Event,
    LeaveFinished,
    MemberChange,
    MemberEvent,
    Outgoing,
    StreamId,
    UserMessage,
)
from gossip.packets import Entropy
from gossip.probing import Prober
from gossip.refutation import Refuter
from gossip.rules import Rules


class Swim:
    """The membership machine.

    Time only comes in as `now_ns`, which must not go backwards. Nothing that a peer sends makes a method raise.

    Args:
        config: the options.
        name: this node's name, unique in the cluster.
        endpoint: the IP address and port that others are to use.
        rng: every random choice comes from it; equal inputs and an equal seed give equal outputs.
        now_ns: the time at start.
        meta: this node's metadata, up to 512 bytes.
        entropy: `entropy(n)` gives n bytes for nonces; wanted if there is a keyring.

    Raises:
        ConfigError: a name, address or metadata that can't be announced, or a keyring without entropy.
    """

    def __init__(
        self,
        config: SwimConfig,
        *,
        name: str,
        endpoint: Endpoint,
        rng: Random,
        now_ns: int,
        meta: bytes = b"",
        entropy: Entropy | None = None,
    ) -> None:
        self._config = config
        self._name = check_name(name)
        self._kernel = Kernel(config, name=self._name, rng=rng, entropy=entropy, now_ns=now_ns)
        self._timers = self._kernel.timers
        self._members = self._kernel.members
        self._leave_ticket: Ticket | None = None
        self._disseminator = Disseminator(self._kernel, finished=self._on_updates_sent)
        self._refuter = Refuter(self._kernel, self._disseminator)
        self._synchronizer = Synchronizer(self._kernel, exchange=self._sync)
        self._rules = Rules(
            self._kernel,
            disseminator=self._disseminator,
            synchronizer=self._synchronizer,
            refuter=self._refuter,
        )
        self._exchanges = Exchanges(self._kernel, merge=self._rules.merge, stream_acked=self._on_stream_ack)
        self._prober = Prober(self._kernel, suspect=self._rules.suspect_silent, open_stream_ping=self._exchanges.ping)
        self._on_message = self._message_handlers()
        self._on_timer = self._timer_handlers()
        self._members.put(
            Member(
                name=self._name,
                endpoint=endpoint,
                address=address_of(endpoint.host),
                incarnation=1,
                state=MemberState.ALIVE,
                meta=check_meta(meta),
                versions=config.versions.wire,
                changed_ns=now_ns,
            )
        )
        self._refuter.announce()

    # --- what is known

    @property
    def local(self) -> Member:
        """This node's own entry."""
        return self._kernel.local

    @property
    def local_health(self) -> int:
        """0 is healthy; each step makes this node wait one probe interval longer before it doubts others."""
        return self._kernel.awareness.score

    def members(self) -> list[Member]:
        """All entries: this node, the present, and the gone that are not forgotten yet."""
        return list(self._members)

    def member(self, name: str) -> Member | None:
        """The entry of that name."""
        return self._members.get(NodeName(name))

    def member_at(self, endpoint: Endpoint) -> Member | None:
        """The entry that announced that endpoint last."""
        return self._members.at(endpoint)

    def sample(self, count: int, wanted: Callable[[Member], bool]) -> list[Member]:
        """Up to `count` random members that `wanted` accepts."""
        return self._members.sample(count, wanted)

    def is_queued(self, ticket: Ticket) -> bool:
        """Whether the broadcast of that ticket is still to be sent again."""
        return ticket in self._kernel.user_messages

    # --- the five verbs

    def receive(self, datagram: bytes, source: Endpoint, *, now_ns: int) -> None:
        """Takes one datagram. What can't be used becomes an event; nothing raises."""
        self._kernel.now_ns = now_ns
        try:
            opened = self._kernel.layers.open(datagram)
        except DecodeError as error:
            self._kernel.reject_error(error, source)
            return
        for rejected in opened.rejected:
            self._kernel.reject_error(rejected, source)
        for message in opened.messages:
            self._on_message[type(message)](message, source)

    def accept_stream(self, source: Endpoint, *, now_ns: int) -> StreamId | None:
        """Numbers a connection that a peer opened; None means too many: close it at once."""
        self._kernel.now_ns = now_ns
        return self._exchanges.accept(source)

    def receive_stream(self, stream: StreamId, data: bytes, *, now_ns: int) -> None:
        """Takes a chunk of a stream, inbound or outbound."""
        self._kernel.now_ns = now_ns
        self._exchanges.receive(stream, data)

    def close_stream(self, stream: StreamId, *, error: str | None = None, now_ns: int) -> None:
        """The peer closed the stream, or it could not be opened: `error` says why."""
        self._kernel.now_ns = now_ns
        self._exchanges.closed(stream, error)

    def tick(self, *, now_ns: int) -> None:
        """Does everything that is due at or before now, in order of due time."""
        self._kernel.now_ns = now_ns
        while (due := self._timers.pop_due(now_ns)) is not None:
            (kind, token), due_ns = due
            self._on_timer[kind](token, due_ns)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted again; it may move after any other call."""
        return self._timers.next_due_ns()

    def take_outgoing(self) -> list[Outgoing]:
        """Directives since the last call, in order."""
        outgoing, self._kernel.outgoing = self._kernel.outgoing, []
        return outgoing

    def take_events(self) -> list[Event]:
        """Events since the last call, in order."""
        events, self._kernel.events = self._kernel.events, []
        return events

    # --- commands

    def join(self, endpoints: Sequence[Endpoint], *, now_ns: int) -> None:
        """Contacts nodes of the cluster; each gives a `JoinFinished`. Hosts must be IP addresses."""
        self._kernel.now_ns = now_ns
        for endpoint in endpoints:
            self._exchanges.push_pull(endpoint, purpose=Purpose.JOIN)

    def leave(self, *, now_ns: int) -> None:
        """Departs in good order: `LeaveFinished` comes when enough others were told, or time is up."""
        self._kernel.now_ns = now_ns
        if self._refuter.is_leaving:
            return
        self._refuter.is_leaving = True
        local = self._kernel.local
        self._members.put(replace(local, state=MemberState.LEFT, changed_ns=now_ns))
        notice = Dead(local.incarnation, self._name, self._name)
        if not self._has_company():
            self._kernel.emit(LeaveFinished(is_complete=True))
            return
        self._leave_ticket = self._disseminator.spread(notice)
        self._timers.arm((TimerKind.LEAVE, None), now_ns + to_ns(self._config.leave_timeout_s))

    def set_meta(self, meta: bytes, *, now_ns: int) -> None:
        """Announces new metadata.

        Raises:
            ConfigError: more than 512 bytes; nothing was changed.
        """
        meta = check_meta(meta)
        self._kernel.now_ns = now_ns
        old = self._kernel.local
        if meta == old.meta or self._refuter.is_leaving:
            return
        new = replace(old, meta=meta, incarnation=old.incarnation + 1)
        self._members.put(new)
        self._refuter.announce()
        self._kernel.emit(MemberEvent(MemberChange.UPDATED, new, old))

    def set_state(self, state: Callable[[], bytes]) -> None:
        """Gives what goes along with this node's table in each exchange; peers get it as a `UserState`."""
        self._kernel.user_state = state

    def set_ack_payload(self, payload: Callable[[], bytes]) -> None:
        """Gives what goes along with each answer to a ping; who pinged gets it in `ProbeFinished`."""
        self._kernel.ack_payload = payload

    def give_up(self, name: str) -> None:
        """Stops trying to reach a member that failed: somebody said for it that it left."""
        self._synchronizer.forget(NodeName(name))

    def send_user_message(self, destination: Endpoint, payload: bytes, *, now_ns: int) -> None:
        """Sends a message of the application to one endpoint, in a packet of its own, best effort.

        Raises:
            BroadcastTooLarge: it does not fit a packet; nothing was sent.
        """
        self._kernel.now_ns = now_ns
        self._kernel.send(destination, [self._user_message(payload)])

    def broadcast(self, payload: bytes, *, key: str | None = None, now_ns: int) -> Ticket:
        """Spreads a message of the application, best effort; a later one with the same key replaces it in the queue.

        Receivers do not pass it on by themselves.

        Returns:
            The ticket to ask `is_queued` with.

        Raises:
            BroadcastTooLarge: it can never fit a packet; nothing was queued.
        """
        self._kernel.now_ns = now_ns
        ticket = self._kernel.user_messages.put(self._user_message(payload), key=key)
        self._disseminator.wake()
        return ticket

    def _user_message(self, payload: bytes) -> bytes:
        message = encode(User(payload))
        if len(message) > self._kernel.user_message_room_bytes:
            raise BroadcastTooLarge(
                f"a message of {len(payload)} bytes exceeds the {self._kernel.user_message_room_bytes - 1} that fit "
                f"a packet of packet_size_bytes_max={self._config.packet_size_bytes_max}; raise it or send less"
            )
        return message

    # --- messages

    def _sync(self, endpoint: Endpoint) -> None:
        self._exchanges.push_pull(endpoint, purpose=Purpose.SYNC)

    def _on_stream_ack(self, sequence: int) -> None:
        self._prober.on_stream_ack(sequence)

    def _message_handlers(self) -> dict[type[Any], Callable[[Any, Endpoint], None]]:
        """What each message of a datagram does."""
        return {
            Ping: self._prober.on_ping,
            Ack: lambda ack, _: self._prober.on_ack(ack),
            Nack: lambda nack, _: self._prober.on_nack(nack),
            IndirectPing: self._prober.on_indirect_ping,
            Alive: self._rules.on_alive,
            Suspect: self._rules.on_accusation,
            Dead: self._rules.on_accusation,
            User: lambda user, _: self._kernel.emit(UserMessage(user.payload)),
        }

    # --- timers

    def _timer_handlers(self) -> dict[TimerKind, Callable[[Any, int], None]]:
        """What each kind of timer does; handlers get the token and the due time."""
        return {
            TimerKind.PROBE: lambda _, due_ns: self._prober.on_period(due_ns),
            TimerKind.PROBE_TIMEOUT: lambda _, __: self._prober.on_timeout(),
            TimerKind.PROBE_DEADLINE: lambda _, __: self._prober.on_deadline(),
            TimerKind.RELAY: lambda sequence, _: self._prober.on_relay_timeout(sequence),
            TimerKind.SUSPICION: lambda name, _: self._rules.on_suspicion_over(name),
            TimerKind.GOSSIP: lambda _, __: self._disseminator.on_gossip(),
            TimerKind.PUSH_PULL: lambda _, __: self._synchronizer.on_period(),
            TimerKind.RECONNECT: lambda _, __: self._synchronizer.on_reconnect(),
            TimerKind.CONFLICT: lambda _, __: self._synchronizer.with_anyone(),
            TimerKind.STREAM: lambda stream, _: self._exchanges.on_timeout(stream),
            TimerKind.REFUTE: lambda _, __: self._refuter.on_turn(),
            TimerKind.LEAVE: lambda _, __: self._end_leave(is_complete=False),
        }

    def _on_updates_sent(self, finished: list[Ticket]) -> None:
        # Whoever is left alone while it leaves, because the others leave too, has nobody to tell any more.
        if self._leave_ticket is not None and (self._leave_ticket in finished or not self._has_company()):
            self._end_leave(is_complete=True)

    def _has_company(self) -> bool:
        return any(m.is_present and m.name != self._name for m in self._members)

    def _end_leave(self, *, is_complete: bool) -> None:
        self._leave_ticket = None
        self._timers.cancel((TimerKind.LEAVE, None))
        self._kernel.emit(LeaveFinished(is_complete))
