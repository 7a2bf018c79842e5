"""A world of membership machines: one virtual clock, one network, members that crash or stop processing for a while.

The machines are those of production and every packet goes through the codec; what the agent's driver does over real
sockets is done here over virtual ones.

`Network` of the mesh simulator is not used: a thousand members need a path that costs two microseconds.
"""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from gossip.config import LAN, SwimConfig
from gossip.identity import Endpoint
from gossip.kernel import TimerKey, TimerKind
from gossip.outputs import CloseStream, Event, OpenStream, Outgoing, SendDatagram, SendStream, StreamId
from gossip.swim import Swim
from gossip.transport.udp import DRAIN_MAX
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler, SeedStreams

DELAY_NS_MIN: Final = MILLISECOND_NS // 2
DELAY_NS_MAX: Final = 2 * MILLISECOND_NS
"""One way, uniform: machines of one site."""

STEP_NS: Final = 50_000
"""What a step takes a member that catches up: our agent reads, handles and answers a packet in about that time."""

EPHEMERAL_PORT: Final = 40_000

PROBING: Final = frozenset({TimerKind.PROBE, TimerKind.PROBE_TIMEOUT, TimerKind.PROBE_DEADLINE})
"""Timers of one activity: a round blocks as a whole. Each other timer is an activity of its own."""

Observer = Callable[["Node", Event], None]


class Node:
    """A member and what the world knows of it.

    Attributes:
        name: as the others know it.
        endpoint: where it listens.
        swim: the machine.
        is_up: false once it crashed.
        inbox: what waits while it is stopped; None while it runs.
        blocked: its activities that wait to send while it is stopped; None where nothing of it runs.
        due_ns: when its timer is set for; None without.
        wakes: how often it began to catch up.
    """

    __slots__ = ("blocked", "due_ns", "endpoint", "inbox", "is_up", "name", "swim", "wakes")

    def __init__(self, swim: Swim) -> None:
        self.swim = swim
        self.name = swim.local.name
        self.endpoint = swim.local.endpoint
        self.is_up = True
        self.inbox: deque[Callable[[], None]] | None = None
        self.blocked: dict[Hashable, Blocked] | None = None
        self.due_ns: int | None = None
        self.wakes = 0


@dataclass(slots=True)
class Blocked:
    """An activity that stands where it wants to send: what, and which of its timers came up since."""

    held: deque[Outgoing]
    due: deque[tuple[TimerKey, int]] = field(default_factory=deque)


class World:
    """All members of one run; a function of its arguments.

    Args:
        seed: decides everything.
        config: options of every member.
        loss: share of datagrams that never arrive.

    Attributes:
        nodes: by endpoint, the crashed too.
        datagrams: sent so far, by all.
        datagram_bytes: of these.
        streams: opened so far, by all.
        core_ns: real time spent inside machines, codec included.
        observer: sees every event.
    """

    def __init__(self, seed: int, *, config: SwimConfig = LAN, loss: float = 0.0) -> None:
        self.config = config
        self.nodes: dict[Endpoint, Node] = {}
        self.datagrams = 0
        self.datagram_bytes = 0
        self.streams = 0
        self.core_ns = 0
        self.observer: Observer = lambda _node, _event: None
        self._loss = loss
        self._scheduler = Scheduler()
        self._seeds = SeedStreams(seed)
        self._rng = self._seeds.stream("network")
        self._wakes = self._seeds.stream("wakes")
        self._peers: dict[tuple[Endpoint, StreamId], tuple[Node, StreamId]] = {}

    @property
    def now_ns(self) -> int:
        """Virtual time."""
        return self._scheduler.now_ns

    def stream(self, *name: str | int) -> Random:
        """A random stream of this world for whoever makes things happen in it."""
        return self._seeds.stream(*name)

    # --- members

    def add(self, name: str, *, host: str | None = None, port: int = 7946) -> Node:
        """Starts a member that knows nobody yet."""
        number = len(self.nodes) + 1
        endpoint = Endpoint(host or f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", port)
        rng = self._seeds.stream("member", number)
        swim = Swim(
            self.config, name=name, endpoint=endpoint, rng=rng, now_ns=self.now_ns, entropy=Random(number).randbytes
        )
        node = self.nodes[endpoint] = Node(swim)
        self._flush(node)
        return node

    def settle(self, members: int) -> list[Node]:
        """Starts members of which each knows all others, as if they had been together for long.

        Entries are put into the tables directly: joining a thousand members one by one would take longer than all
        that is to be measured afterwards. They are values, so that all tables share them.
        """
        nodes = [self.add(f"m{number}") for number in range(1, members + 1)]
        entries = [node.swim.local for node in nodes]
        for node in nodes:
            table = node.swim._members
            for entry in entries:
                if entry.name != node.name:
                    table.put(entry)
        return nodes

    def up(self) -> list[Node]:
        """Members that did not crash, in order of their start."""
        return [node for node in self.nodes.values() if node.is_up]

    def act(self, node: Node, command: Callable[[int], None]) -> None:
        """Gives a member a command at the present time."""
        self._call(node, partial(command, self.now_ns))

    def crash(self, node: Node) -> None:
        """Ends a member without a word."""
        node.is_up = False

    def pause(self, nodes: Iterable[Node], *, blocks_at_send: bool = False) -> None:
        """Stops members from processing; what arrives waits for them.

        Args:
            nodes: who.
            blocks_at_send: each activity of a member (probing, gossip, exchanges; a suspicion's timer is one, too)
                goes on until it wants to send, as where only the path of messages is blocked and each is a thread;
                else everything stands still at once, as in a stopped process.
        """
        for node in nodes:
            if node.inbox is None:
                node.inbox = deque()
                node.blocked = {} if blocks_at_send else None
            node.wakes += 1

    def resume(self, nodes: Iterable[Node]) -> None:
        """Lets members go on.

        Who stood still is served at once, as by our event loop: packets first, timers after each DRAIN_MAX of them.
        Who blocked catches up step by step, each of which takes STEP_NS: a packet that waited is read, a packet that
        was held is sent, or an overdue timer fires. Which of the activities gets the next step is up to chance, as
        with a scheduler of threads; a member that stops again meanwhile has not caught up.
        """
        for node in nodes:
            if node.blocked is None:
                inbox, node.inbox = node.inbox or deque(), None
                while inbox:
                    for _ in range(min(DRAIN_MAX, len(inbox))):
                        inbox.popleft()()
                    self._tick(node)
                self._tick(node)
            elif node.inbox is not None:
                node.wakes += 1
                self._catch_up(node, node.wakes)

    def _catch_up(self, node: Node, wake: int) -> None:
        inbox, blocked = node.inbox, node.blocked
        if node.wakes != wake or inbox is None or blocked is None:
            return
        choices: list[Hashable] = list(blocked)
        if inbox:
            choices.append(None)
        if not choices:
            node.inbox = node.blocked = None
            self._tick(node)
            return
        activity = self._wakes.choice(choices)
        if activity is None:
            inbox.popleft()()
        elif (waiting := blocked[activity]).held:
            self._carry(node, waiting.held.popleft())
        elif waiting.due:
            key, due_ns = waiting.due.popleft()
            if not node.swim._timers.is_armed(key):
                node.swim._timers.arm(key, due_ns)
            self._call(node, partial(node.swim.tick, now_ns=self.now_ns))
        if activity is not None and not waiting.held and not waiting.due:
            del blocked[activity]
        self._scheduler.after(STEP_NS, partial(self._catch_up, node, wake))

    # --- time

    def run(self, seconds: float) -> None:
        """Advances the clock through everything that happens."""
        self._scheduler.run_until(self.now_ns + round(seconds * SECOND_NS))

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Has something happen, `seconds` from now."""
        self._scheduler.after(round(seconds * SECOND_NS), action)

    # --- machines

    def _call(self, node: Node, step: Callable[[], object]) -> None:
        began_ns = time.perf_counter_ns()
        step()
        self.core_ns += time.perf_counter_ns() - began_ns
        self._flush(node)

    def _tick(self, node: Node) -> None:
        due_ns = node.swim.next_deadline_ns()
        if node.is_up and due_ns is not None and due_ns <= self.now_ns:
            self._call(node, partial(node.swim.tick, now_ns=self.now_ns))

    def _flush(self, node: Node) -> None:
        began_ns = time.perf_counter_ns()
        outgoing, events = node.swim.take_outgoing(), node.swim.take_events()
        due_ns = node.swim.next_deadline_ns()
        self.core_ns += time.perf_counter_ns() - began_ns
        for directive in outgoing:
            self._carry(node, directive)
        for event in events:
            self.observer(node, event)
        self._set_timer(node, due_ns)

    def _set_timer(self, node: Node, due_ns: int | None) -> None:
        if due_ns is not None and (node.due_ns is None or due_ns < node.due_ns):
            node.due_ns = due_ns
            self._scheduler.at(due_ns, partial(self._on_due, node, due_ns))

    def _on_due(self, node: Node, due_ns: int) -> None:
        if node.due_ns != due_ns:
            return  # an earlier one was set meanwhile
        node.due_ns = None
        if not node.is_up:
            return
        if node.inbox is not None:
            if node.blocked is not None:
                self._tick_stopped(node, node.blocked)
        elif (next_ns := node.swim.next_deadline_ns()) is not None and next_ns <= self.now_ns:
            self._tick(node)
        else:
            self._flush(node)  # that timer was cancelled; set the one for the next

    def _tick_stopped(self, node: Node, blocked: dict[Hashable, Blocked]) -> None:
        """Fires timers of a member whose activities block where they want to send."""
        timers = node.swim._timers
        due = []
        while (entry := timers.pop_due(self.now_ns)) is not None:
            due.append(entry)
        for key, due_ns in due:
            activity: Hashable = PROBING if key[0] in PROBING else key
            if activity in blocked:
                blocked[activity].due.append((key, due_ns))
                continue
            timers.arm(key, due_ns)
            node.swim.tick(now_ns=self.now_ns)
            for event in node.swim.take_events():
                self.observer(node, event)
            if outgoing := node.swim.take_outgoing():
                blocked[activity] = Blocked(deque(outgoing))
        self._set_timer(node, timers.next_due_ns())

    def _input(self, node: Node, step: Callable[[], None]) -> None:
        """Something arrived at a member."""
        if not node.is_up:
            return
        if node.inbox is not None:
            node.inbox.append(step)
        else:
            step()

    # --- network

    def _delay_ns(self) -> int:
        return DELAY_NS_MIN + int(self._rng.random() * (DELAY_NS_MAX - DELAY_NS_MIN))

    def _carry(self, node: Node, directive: Outgoing) -> None:
        match directive:
            case SendDatagram(destination, data):
                self.datagrams += 1
                self.datagram_bytes += len(data)
                target = self.nodes.get(destination)
                if target is not None and not (self._loss and self._rng.random() < self._loss):
                    receive = partial(self._receive, target, data, node.endpoint)
                    self._scheduler.after(self._delay_ns(), partial(self._input, target, receive))
            case OpenStream(stream, destination, data):
                self.streams += 1
                self._open(node, stream, destination, data)
            case SendStream(stream, data):
                if (peer := self._peers.get((node.endpoint, stream))) is not None:
                    self._later(peer[0], partial(self._feed, *peer, data))
            case CloseStream(stream):
                if (peer := self._peers.pop((node.endpoint, stream), None)) is not None:
                    self._later(peer[0], partial(self._hang_up, *peer))

    def _receive(self, node: Node, data: bytes, source: Endpoint) -> None:
        self._call(node, partial(node.swim.receive, data, source, now_ns=self.now_ns))

    def _later(self, node: Node, step: Callable[[], None]) -> None:
        """Pieces of streams all take the same time, and so keep their order."""
        self._scheduler.after(DELAY_NS_MAX, partial(self._input, node, step))

    def _open(self, node: Node, stream: StreamId, destination: Endpoint, data: bytes) -> None:
        target = self.nodes.get(destination)
        if target is None or not target.is_up:
            # Nobody answers at a machine that is gone: the dialler's own timeout ends the stream.
            return
        self._later(target, partial(self._accept, target, node, stream, data))

    def _accept(self, target: Node, node: Node, stream: StreamId, data: bytes) -> None:
        accepted = target.swim.accept_stream(Endpoint(node.endpoint.host, EPHEMERAL_PORT), now_ns=self.now_ns)
        self._flush(target)
        if accepted is None:
            self._later(node, partial(self._hang_up, node, stream))
            return
        self._peers[node.endpoint, stream] = target, accepted
        self._peers[target.endpoint, accepted] = node, stream
        self._feed(target, accepted, data)

    def _feed(self, node: Node, stream: StreamId, data: bytes) -> None:
        self._call(node, partial(node.swim.receive_stream, stream, data, now_ns=self.now_ns))

    def _hang_up(self, node: Node, stream: StreamId) -> None:
        self._peers.pop((node.endpoint, stream), None)
        self._call(node, partial(node.swim.close_stream, stream, now_ns=self.now_ns))
