"""Drives the membership core of a simulated node: what the gossip agent does with sockets, on its process's loop."""

import random
from collections.abc import Callable
from typing import Final, Protocol

from crdtmesh.mesh_tag import TAG, MeshTag, decode
from gossip.config import SwimConfig
from gossip.identity import Endpoint
from gossip.messages import MemberState
from gossip.outputs import (
    CloseStream,
    MemberEvent,
    OpenStream,
    Outgoing,
    ProbeFinished,
    ProbeOutcome,
    SendDatagram,
    SendStream,
    StreamId,
)
from gossip.serf import encode_tags
from gossip.swim import Swim
from simulations.clocks import MachineClock
from simulations.history import Conclusion, History, ProbeAnswer
from simulations.loop import VirtualLoop
from simulations.network import Network
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.streams import StreamFabric
from simulations.trace import Trace

DISCOVERY_NS: Final = 10 * SECOND_NS
# The kernel keeps about 200 kB for a socket that nobody reads; with its bookkeeping that is some 250 small datagrams.
UNREAD_DATAGRAMS_MAX: Final = 250


class Neighbourhood(Protocol):
    """What the gossip of all nodes shares."""

    network: Network
    streams: StreamFabric
    trace: Trace
    swim_config: SwimConfig
    history: History
    scheduler: Scheduler

    def endpoint_of(self, name: str) -> Endpoint:
        """Where a node's gossip port is."""
        ...

    def name_at(self, endpoint: Endpoint) -> str | None:
        """Which node has its gossip port there."""
        ...

    def candidates(self, name: str) -> list[str]:
        """Names of the nodes that discovery finds now, seen from a node."""
        ...

    def reported(self, name: str, kind: str, detail: str) -> None:
        """A core reports something that an operator should see."""
        ...


class SimulatedGossip:
    """The membership of one run of a node.

    Args:
        name: of the node.
        world: what all share.
        loop: of the node's process.
        clock: of the machine.
        rng: of this run.
        tag: what the node says of itself.
        changed: told when the table has changed.
    """

    def __init__(
        self,
        name: str,
        *,
        world: Neighbourhood,
        loop: VirtualLoop,
        clock: MachineClock,
        rng: random.Random,
        tag: MeshTag,
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self._world = world
        self._loop = loop
        self._clock = clock
        self._rng = rng
        self._changed = changed
        self._unread = 0
        self._wake_ns: int | None = None
        self.swim = Swim(
            world.swim_config,
            name=name,
            endpoint=world.endpoint_of(name),
            meta=encode_tags({TAG: tag.encode()}),
            rng=random.Random(rng.getrandbits(64)),
            now_ns=clock.monotonic_ns(),
        )

    def start(self) -> None:
        """Opens the port and looks for others."""
        self._world.network.attach(self.name, self._datagram)
        self._world.streams.attach(self)
        self._discover()
        self._settle()

    def crash(self) -> None:
        """The process is gone."""
        self._world.network.attach(self.name, None)
        self._world.streams.detach(self)

    def leave(self) -> None:
        """Says that this node departs by itself."""
        self.swim.leave(now_ns=self._clock.monotonic_ns())
        self._settle()

    def present(self) -> dict[str, MeshTag]:
        """The members that are not known to be gone, and their tags, this node included."""
        found = {}
        for member in self.swim.members():
            tag = decode(member.tags.get(TAG, ""))
            if member.is_present and tag is not None:
                found[str(member.name)] = tag
        return found

    def table(self) -> dict[str, MemberState]:
        """What it believes of each member."""
        return {str(member.name): member.state for member in self.swim.members()}

    # --- inputs

    def _datagram(self, data: bytes, source: str) -> None:
        if self._unread >= UNREAD_DATAGRAMS_MAX:
            self._world.network.counts["datagram_unread"] += 1
            return
        self._unread += 1
        self._loop.call_soon(self._receive, data, source)

    def _receive(self, data: bytes, source: str) -> None:
        self._unread -= 1
        self._world.trace.note("datagram", source, self.name, data)
        self.swim.receive(data, self._world.endpoint_of(source), now_ns=self._clock.monotonic_ns())
        self._settle()

    def stream_accept(self, source: str) -> StreamId | None:
        """Takes a connection to the gossip port."""
        if self._loop.is_stopped:
            return None
        stream = self.swim.accept_stream(self._world.endpoint_of(source), now_ns=self._clock.monotonic_ns())
        self._loop.call_soon(self._settle)
        return stream

    def stream_data(self, stream: StreamId, data: bytes) -> None:
        """Takes bytes of a gossip stream."""
        self._loop.call_soon(self._stream_data, stream, data)

    def _stream_data(self, stream: StreamId, data: bytes) -> None:
        self.swim.receive_stream(stream, data, now_ns=self._clock.monotonic_ns())
        self._settle()

    def stream_closed(self, stream: StreamId, error: str | None) -> None:
        """A gossip stream has ended."""
        self._loop.call_soon(self._stream_closed, stream, error)

    def _stream_closed(self, stream: StreamId, error: str | None) -> None:
        self.swim.close_stream(stream, error=error, now_ns=self._clock.monotonic_ns())
        self._settle()

    def _discover(self) -> None:
        """Joins whom discovery finds and membership does not have; again and again, as mDNS does."""
        present = {member.name for member in self.swim.members() if member.is_present}
        strangers = [name for name in self._world.candidates(self.name) if name not in present]
        endpoints = [self._world.endpoint_of(name) for name in strangers]
        self.swim.join(endpoints, now_ns=self._clock.monotonic_ns())
        self._settle()
        self._loop.call_later(self._rng.randint(DISCOVERY_NS // 2, DISCOVERY_NS) / SECOND_NS, self._discover)

    # --- outputs

    def _settle(self) -> None:
        """Does what is due, carries out what the core wants, and asks to be woken."""
        swim = self.swim
        swim.tick(now_ns=self._clock.monotonic_ns())
        for output in swim.take_outgoing():
            self._carry_out(output)
        changes = [self._member_event(event) for event in swim.take_events()]
        if any(changes):
            self._changed()
        self._arm()

    def _carry_out(self, output: Outgoing) -> None:
        world = self._world
        if isinstance(output, SendDatagram):
            destination = world.name_at(output.destination)
            if destination is not None:
                world.network.send_datagram(self.name, destination, output.data)
        elif isinstance(output, OpenStream):
            destination = world.name_at(output.destination)
            if destination is not None:
                world.streams.open(self, output.stream, destination, output.data)
        elif isinstance(output, SendStream):
            world.streams.send(self, output.stream, output.data)
        else:
            assert isinstance(output, CloseStream)
            world.streams.close(self, output.stream)

    def _member_event(self, event: object) -> bool:
        """Notes an event; whether it is one of a member."""
        history = self._world.history
        if isinstance(event, ProbeFinished) and event.outcome is ProbeOutcome.ACKED:
            now_ns = self._world.scheduler.now_ns
            history.answers.append(ProbeAnswer(self.name, event.target, event.duration_ns, now_ns))
        if isinstance(event, MemberEvent):
            before = None if event.previous is None else event.previous.incarnation
            conclusion = Conclusion(self.name, event.member.name, event.change, event.member.incarnation, before)
            history.conclusions.append(conclusion)
            self._world.trace.note(f"member.{event.change}", self.name, event.member.name, event.member.incarnation)
            self._world.reported(self.name, f"member.{event.change}", event.member.name)
            return True
        return False

    def _arm(self) -> None:
        deadline_ns = self.swim.next_deadline_ns()
        if deadline_ns is not None and (self._wake_ns is None or deadline_ns < self._wake_ns):
            self._wake_ns = deadline_ns
            self._loop.call_at(deadline_ns / SECOND_NS, self._woken, deadline_ns)

    def _woken(self, deadline_ns: int) -> None:
        if self._wake_ns == deadline_ns:  # else an earlier wake came between
            self._wake_ns = None
            self._settle()
