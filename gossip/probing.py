"""Failure detection: one probe round at a time, and pings on behalf of others.

A round asks the next member of a shuffled list directly; if it is silent, asks others to ask, and tries a stream; if
nobody reached it by the deadline, it is reported to the rules as suspect. All timing is stretched by this node's own
health.

Source: SWIM (Das, Gupta, Motivala 2002), sections 3.1 and 4.3; Lifeguard (arXiv:1707.00788) for health, nacks and the
buddy.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossip.codec import encode
from gossip.config import to_ns
from gossip.errors import RejectReason
from gossip.identity import Endpoint, NodeName, host_of
from gossip.kernel import Kernel, TimerKind
from gossip.members import Member
from gossip.messages import Ack, IndirectPing, MemberState, Nack, Ping, Suspect
from gossip.outputs import ProbeFinished, ProbeOutcome
from gossip.versions import PROTOCOL_CRC, PROTOCOL_NACK, PROTOCOL_STREAM_PING, protocol_max

RELAYS_MAX = 512
"""Pings in flight on behalf of others. Each lives for one probe timeout; a member with 512 failing peers has worse
trouble."""


@dataclass(slots=True)
class _Round:
    target: Member
    sequence: int
    started_ns: int
    nacks_expected: int = 0
    nacks_received: int = 0
    is_direct: bool = True
    is_stream_acked: bool = False


@dataclass(frozen=True, slots=True)
class _Relay:
    requester: Endpoint
    sequence: int
    wants_nack: bool


class Prober:
    """The failure detector of one node.

    Args:
        kernel: shared state.
        suspect: called with the member that nobody reached.
        open_stream_ping: opens a stream to a member with a ping in it; the ack comes back through `stream_acked`.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        suspect: Callable[[Member], None],
        open_stream_ping: Callable[[Member, Ping], None],
    ) -> None:
        self._kernel = kernel
        self._suspect = suspect
        self._open_stream_ping = open_stream_ping
        self._round: _Round | None = None
        self._relays: dict[int, _Relay] = {}
        self._interval_ns = to_ns(kernel.config.probe_interval_s)
        self._timeout_ns = to_ns(kernel.config.probe_timeout_s)
        # A random start keeps nodes that were started together from probing in step.
        kernel.timers.arm((TimerKind.PROBE, None), kernel.now_ns + kernel.rng.randrange(self._interval_ns))

    # --- rounds

    def on_period(self, due_ns: int) -> None:
        """Starts a round; periods that passed while one was running, or while we slept, are skipped."""
        kernel = self._kernel
        if self._round is None:
            target = self._next_target()
            if target is not None:
                self._start(target)
        passed = (kernel.now_ns - due_ns) // self._interval_ns
        kernel.timers.arm((TimerKind.PROBE, None), due_ns + (passed + 1) * self._interval_ns)

    def _next_target(self) -> Member | None:
        """The next member worth probing; at most one full pass through the list."""
        members = self._kernel.members
        for _ in range(len(members) + 1):
            name = members.next_to_probe()
            if name is None:
                forget_ns = to_ns(self._kernel.config.gossip_to_the_dead_s)
                members.reshuffle(forget_before_ns=self._kernel.now_ns - forget_ns)
                continue
            member = members.get(name)
            if member is not None and member.is_present and name != self._kernel.name:
                return member
        return None

    def _start(self, target: Member) -> None:
        kernel = self._kernel
        ping = self._ping(target.name)
        self._round = _Round(target, ping.sequence, kernel.now_ns)
        kernel.timers.arm((TimerKind.PROBE_TIMEOUT, None), kernel.now_ns + self._timeout_ns)
        deadline_ns = kernel.now_ns + kernel.awareness.scale_ns(self._interval_ns)
        kernel.timers.arm((TimerKind.PROBE_DEADLINE, None), deadline_ns)
        if target.state is MemberState.SUSPECT and kernel.config.is_buddy_enabled:
            # The suspect hears of the suspicion at once, and its refutation rides on the ack.
            suspect = Suspect(target.incarnation, target.name, kernel.name)
            crc = protocol_max(target.versions) >= PROTOCOL_CRC
            kernel.send(target.endpoint, [encode(ping), encode(suspect)], crc=crc)
        else:
            kernel.send_direct(target.endpoint, ping)

    def on_timeout(self) -> None:
        """The direct ping was not answered in time: ask others, and try a stream."""
        kernel, current = self._kernel, self._round
        if current is None:
            return
        current.is_direct = False
        target = current.target
        ping = self._ping(target.name, sequence=current.sequence)
        for helper in kernel.members.sample(
            kernel.config.indirect_probes, lambda m: kernel.is_other_alive(m) and m.name != target.name
        ):
            wants_nack = protocol_max(helper.versions) >= PROTOCOL_NACK
            current.nacks_expected += wants_nack
            request = IndirectPing(
                sequence=current.sequence,
                node=target.name,
                target=target.address,
                port=target.endpoint.port,
                nack=wants_nack,
                source_address=ping.source_address,
                source_port=ping.source_port,
                source_node=ping.source_node,
            )
            kernel.send_direct(helper.endpoint, request)
        if kernel.config.is_stream_probe_enabled and protocol_max(target.versions) >= PROTOCOL_STREAM_PING:
            self._open_stream_ping(target, ping)

    def on_deadline(self) -> None:
        """The round is over without an ack."""
        current = self._round
        if current is None:
            return
        if current.is_stream_acked:
            self._finish(current, ProbeOutcome.STREAM_ONLY)
            return
        kernel = self._kernel
        missing = current.nacks_expected - current.nacks_received
        kernel.awareness.add(missing if current.nacks_expected else 1)
        self._finish(current, ProbeOutcome.FAILED)
        # As it was when the round began: if it refuted something meanwhile, it is alive and must not be suspected.
        self._suspect(current.target)

    def _finish(self, current: _Round, outcome: ProbeOutcome, *, payload: bytes = b"") -> None:
        kernel = self._kernel
        self._round = None
        kernel.timers.cancel((TimerKind.PROBE_TIMEOUT, None))
        kernel.timers.cancel((TimerKind.PROBE_DEADLINE, None))
        if outcome is not ProbeOutcome.FAILED:
            kernel.awareness.add(-1)
        kernel.emit(ProbeFinished(current.target.name, outcome, kernel.now_ns - current.started_ns, payload))

    # --- answers

    def on_ack(self, ack: Ack) -> None:
        """An ack of our round, or one to be passed on; any other is late, which is usual when several helpers reply."""
        current = self._round
        if current is not None and ack.sequence == current.sequence:
            # Behind a helper or after a second try, the time taken is no round trip of the answer's sender.
            payload = ack.payload if current.is_direct else b""
            self._finish(current, ProbeOutcome.ACKED, payload=payload)
            return
        relay = self._relays.pop(ack.sequence, None)
        if relay is None:
            return
        self._kernel.timers.cancel((TimerKind.RELAY, ack.sequence))
        self._kernel.send_direct(relay.requester, Ack(relay.sequence))

    def on_nack(self, nack: Nack) -> None:
        """A helper is alive and did not reach the target either."""
        current = self._round
        if current is not None and nack.sequence == current.sequence:
            current.nacks_received = min(current.nacks_received + 1, current.nacks_expected)

    def on_stream_ack(self, sequence: int) -> None:
        """The target answered on a stream; it counts at the deadline, since datagrams are what gossip needs."""
        current = self._round
        if current is not None and sequence == current.sequence:
            current.is_stream_acked = True

    # --- pings of others

    def on_ping(self, ping: Ping, source: Endpoint) -> None:
        """Answers a ping that is meant for us."""
        if ping.node and ping.node != self._kernel.name:
            self._kernel.reject(RejectReason.WRONG_NAME, source, f"a ping for {ping.node[:64]!r}")
            return
        reply_to = self._reply_to(ping, source)
        if ping.node and self._kernel.members.at(reply_to) is not None:
            self._kernel.is_established = True
        self._kernel.send_direct(reply_to, Ack(ping.sequence, self._kernel.ack_payload()))

    def on_indirect_ping(self, request: IndirectPing, source: Endpoint) -> None:
        """Pings a member for another member; never anybody else, or we would be a tool to reach third parties."""
        kernel = self._kernel
        target = kernel.members.get(request.node)
        requester = self._reply_to(request, source)
        if target is None or target.address != request.target or kernel.members.at(requester) is None:
            kernel.reject(RejectReason.UNKNOWN_TARGET, source, f"an indirect ping for {request.node[:64]!r}")
            return
        if len(self._relays) >= RELAYS_MAX:
            return
        port = request.port or kernel.local.endpoint.port
        ping = self._ping(target.name)
        self._relays[ping.sequence] = _Relay(requester, request.sequence, request.nack)
        kernel.timers.arm((TimerKind.RELAY, ping.sequence), kernel.now_ns + self._timeout_ns)
        kernel.send_direct(Endpoint(target.endpoint.host, port), ping)

    def on_relay_timeout(self, sequence: int) -> None:
        """The target of an indirect ping was silent; a later ack is dropped."""
        relay = self._relays.pop(sequence, None)
        if relay is not None and relay.wants_nack:
            self._kernel.send_direct(relay.requester, Nack(relay.sequence))

    def _ping(self, target: NodeName, *, sequence: int | None = None) -> Ping:
        local = self._kernel.local
        number = self._kernel.next_sequence() if sequence is None else sequence
        return Ping(number, target, local.address, local.endpoint.port, self._kernel.name)

    def _reply_to(self, request: Ping | IndirectPing, source: Endpoint) -> Endpoint:
        """Where to answer: the sender's announced endpoint, if that is where it is, or a member's own.

        A packet that names some third party as its sender is answered to where it really came from.
        """
        if not request.source_address or not request.source_port:
            return source
        announced = Endpoint(host_of(request.source_address), request.source_port)
        if announced.host == source.host or self._kernel.members.at(announced) is not None:
            return announced
        return source
