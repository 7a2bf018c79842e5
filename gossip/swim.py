"""SWIM: the membership machine of one node, without I/O.

Theory of operation
-------------------
Every node keeps a table of members. Three kinds of *claims* about a member travel between nodes: it is alive, it is
suspect, it is dead; a claim of death by the member itself means that it left. Each claim carries the member's
*incarnation*, a number that only the member itself raises. A claim counts if its incarnation is high enough for the
state it meets (`TRANSITIONS`): doubt wins at the same incarnation, life needs a higher one. So a member that hears a
false claim about itself *refutes* it by announcing itself with a higher incarnation, and every other claim is put in
order without clocks.

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

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Any

from gossip.admission import Admission
from gossip.codec import encode
from gossip.config import SwimConfig, to_ns
from gossip.dissemination import Disseminator, Synchronizer
from gossip.errors import BroadcastTooLarge, DecodeError, RejectReason
from gossip.exchange import Exchanges, Purpose, claims_in
from gossip.identity import (
    Endpoint,
    NodeName,
    address_of,
    check_meta,
    check_name,
    host_of,
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
    PushPull,
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
    UserState,
)
from gossip.packets import Entropy
from gossip.probing import Prober
from gossip.refutation import Refuter
from gossip.suspicion import Suspicion, suspicion_bounds
from gossip.versions import are_compatible


class Claim(enum.Enum):
    """What may be claimed of a member."""

    ALIVE = enum.auto()
    SUSPECT = enum.auto()
    DEAD = enum.auto()
    LEFT = enum.auto()


@dataclass(frozen=True, slots=True)
class Transition:
    """Where a claim leads, the event of it, and whether its incarnation must be higher than the one known."""

    state: MemberState
    change: MemberChange | None
    needs_newer: bool


_A, _S, _D, _L = MemberState.ALIVE, MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT

TRANSITIONS = MappingProxyType(
    {
        # A name not known before: only life makes an entry.
        (None, Claim.ALIVE): Transition(_A, MemberChange.JOINED, needs_newer=False),
        # Life needs a higher incarnation, whatever it meets.
        (_A, Claim.ALIVE): Transition(_A, None, needs_newer=True),  # UPDATED if metadata or address changed
        (_S, Claim.ALIVE): Transition(_A, MemberChange.REFUTED, needs_newer=True),
        (_D, Claim.ALIVE): Transition(_A, MemberChange.JOINED, needs_newer=True),
        (_L, Claim.ALIVE): Transition(_A, MemberChange.JOINED, needs_newer=True),
        # Doubt wins at the same incarnation.
        (_A, Claim.SUSPECT): Transition(_S, MemberChange.SUSPECTED, needs_newer=False),
        (_S, Claim.SUSPECT): Transition(_S, None, needs_newer=False),  # a confirmation, if the accuser is new
        # Death wins over both. The dead and the left stay what they are, until they are alive again.
        (_A, Claim.DEAD): Transition(_D, MemberChange.DIED, needs_newer=False),
        (_S, Claim.DEAD): Transition(_D, MemberChange.DIED, needs_newer=False),
        (_A, Claim.LEFT): Transition(_L, MemberChange.LEFT, needs_newer=False),
        (_S, Claim.LEFT): Transition(_L, MemberChange.LEFT, needs_newer=False),
    }
)
"""All transitions of an entry of another node; a pair that is missing changes nothing. A node's own entry has no row
here: claims about itself are refuted, see `refutation`."""


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
        self._suspicions: dict[NodeName, Suspicion] = {}
        self._leave_ticket: Ticket | None = None
        self._admission = Admission(self._kernel)
        self._disseminator = Disseminator(self._kernel, finished=self._on_updates_sent)
        self._refuter = Refuter(self._kernel, self._disseminator)
        self._exchanges = Exchanges(self._kernel, merge=self._merge, stream_acked=self._on_stream_ack)
        self._synchronizer = Synchronizer(self._kernel, exchange=self._sync)
        self._prober = Prober(self._kernel, suspect=self._suspect_silent, open_stream_ping=self._exchanges.ping)
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
            Alive: self._on_alive,
            Suspect: self._on_accusation,
            Dead: self._on_accusation,
            User: lambda user, _: self._kernel.emit(UserMessage(user.payload)),
        }

    # --- the rules: claims about others

    def _on_alive(self, claim: Alive, source: Endpoint) -> None:
        if claim.node == self._name:
            self._refuter.on_alive(claim)
            return
        known = self._members.get(claim.node)
        endpoint = Endpoint(host_of(claim.address), claim.port)
        if known is not None and (
            claim.incarnation < known.incarnation
            or (claim.incarnation == known.incarnation and endpoint == known.endpoint)
        ):
            return
        if not self._admission.allows_alive(claim, endpoint, known, source):
            return
        transition = TRANSITIONS[None if known is None else known.state, Claim.ALIVE]
        if known is not None and transition.needs_newer and claim.incarnation == known.incarnation:
            return
        change = transition.change
        if known is not None and change is None and (known.meta != claim.meta or known.endpoint != endpoint):
            change = MemberChange.UPDATED
        is_same_state = known is not None and known.state is transition.state
        self._set(
            Member(
                name=claim.node,
                endpoint=endpoint,
                address=claim.address,
                incarnation=claim.incarnation,
                state=transition.state,
                meta=claim.meta,
                versions=claim.versions,
                changed_ns=known.changed_ns if known is not None and is_same_state else self._kernel.now_ns,
            ),
            known,
            change,
        )
        self._disseminator.spread(claim)

    def _on_accusation(self, claim: Suspect | Dead, source: Endpoint) -> None:
        """A suspicion, a declaration of death, or a notice of leaving."""
        known = self._members.get(claim.node)
        if known is None or claim.incarnation < known.incarnation:
            return
        if not self._admission.allows_accusation(claim, known, source):
            return
        if claim.node == self._name:
            self._refuter.refute(claim.incarnation)
            return
        kind = Claim.SUSPECT
        if isinstance(claim, Dead):
            kind = Claim.LEFT if claim.is_leave else Claim.DEAD
        transition = TRANSITIONS.get((known.state, kind))
        if transition is None:
            return
        if kind is Claim.SUSPECT and known.name in self._suspicions:
            self._confirm(known, claim)
            return
        new = replace(known, state=transition.state, incarnation=claim.incarnation, changed_ns=self._kernel.now_ns)
        self._set(new, known, transition.change)
        if kind is Claim.SUSPECT:
            self._start_suspicion(new, claim.accuser)
        self._disseminator.spread(claim)

    def _set(self, new: Member, old: Member | None, change: MemberChange | None) -> None:
        """Enters a new value of another node, and what follows from its state."""
        self._suspicions.pop(new.name, None)
        self._timers.cancel((TimerKind.SUSPICION, new.name))
        self._members.put(new)
        if new.state is MemberState.DEAD:
            self._synchronizer.remember(new)
        elif new.state is not MemberState.SUSPECT:
            self._synchronizer.forget(new.name)
        if change is not None:
            self._kernel.emit(MemberEvent(change, new, old))

    def _suspect_silent(self, member: Member) -> None:
        """Nobody could reach a member in a probe round."""
        claim = Suspect(member.incarnation, member.name, self._name)
        self._on_accusation(claim, self._kernel.local.endpoint)

    def _start_suspicion(self, member: Member, accuser: NodeName) -> None:
        bounds = suspicion_bounds(
            len(self._members),
            probe_interval_ns=to_ns(self._config.probe_interval_s),
            multiplier=self._config.suspicion_multiplier,
            max_multiplier=self._config.suspicion_max_multiplier,
            is_dynamic=self._config.is_dynamic_suspicion_enabled,
        )
        suspicion = Suspicion(bounds=bounds, started_ns=self._kernel.now_ns, accuser=accuser)
        self._suspicions[member.name] = suspicion
        self._timers.arm((TimerKind.SUSPICION, member.name), suspicion.deadline_ns)

    def _confirm(self, member: Member, claim: Suspect | Dead) -> None:
        """One more accuser shortens the suspicion, and the news is worth passing on."""
        suspicion = self._suspicions[member.name]
        if suspicion.confirm(claim.accuser):
            self._timers.arm((TimerKind.SUSPICION, member.name), suspicion.deadline_ns)
            self._disseminator.spread(claim)

    def _on_suspicion_over(self, name: NodeName) -> None:
        member = self._members.get(name)
        if member is not None and member.state is MemberState.SUSPECT:
            self._on_accusation(Dead(member.incarnation, name, self._name), self._kernel.local.endpoint)

    # --- tables of others

    def _merge(self, table: PushPull, peer: Endpoint) -> str | None:
        """Applies a peer's table as claims; returns why it was refused as a whole, or None."""
        ours = self._config.versions.wire
        alive = [state for state in table.states if state.state is MemberState.ALIVE]
        if alive and not any(are_compatible(ours, state.versions) for state in alive):
            self._kernel.reject(RejectReason.VERSION, peer, "no member of the peer's table has compatible versions")
            return "no member there has versions compatible with ours; compare the versions option of both clusters"
        for claim in claims_in(table, receiver=self._name):
            if isinstance(claim, Alive):
                self._on_alive(claim, peer)
            else:
                self._on_accusation(claim, peer)
        self._refuter.on_table(table)
        if table.user_state:
            self._kernel.emit(UserState(table.user_state))
        return None

    # --- timers

    def _timer_handlers(self) -> dict[TimerKind, Callable[[Any, int], None]]:
        """What each kind of timer does; handlers get the token and the due time."""
        return {
            TimerKind.PROBE: lambda _, due_ns: self._prober.on_period(due_ns),
            TimerKind.PROBE_TIMEOUT: lambda _, __: self._prober.on_timeout(),
            TimerKind.PROBE_DEADLINE: lambda _, __: self._prober.on_deadline(),
            TimerKind.RELAY: lambda sequence, _: self._prober.on_relay_timeout(sequence),
            TimerKind.SUSPICION: lambda name, _: self._on_suspicion_over(name),
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
