"""A tiny world for `Swim` machines: one virtual clock, one lossy network, no sockets.

The real simulator lives in `simulations`; this one serves tests that need a handful of nodes for some seconds.
"""

import heapq
from collections.abc import Callable
from dataclasses import replace
from random import Random

from gossip.config import LAN, SwimConfig
from gossip.identity import Endpoint
from gossip.messages import MemberState
from gossip.outputs import (
    CloseStream,
    Event,
    MemberChange,
    MemberEvent,
    OpenStream,
    Outgoing,
    SendDatagram,
    SendStream,
    StreamId,
)
from gossip.swim import Swim

SECOND = 1_000_000_000
MILLISECOND = 1_000_000

Connection = tuple[Endpoint, StreamId]


class World:
    """Nodes by endpoint; `run` advances the clock through everything that happens."""

    def __init__(self, seed: int = 1, *, loss: float = 0.0, config: SwimConfig = LAN) -> None:
        self.rng = Random(seed)
        self.config = config
        self.loss = loss
        self.now_ns = 0
        self.nodes: dict[Endpoint, Swim] = {}
        self.events: dict[str, list[Event]] = {}
        self.events_at: dict[Endpoint, list[Event]] = {}
        self.datagrams = 0
        self.cut: Callable[[Endpoint, Endpoint], bool] = lambda a, b: False
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._peers: dict[Connection, Connection] = {}

    def add(self, name: str, *, port: int = 7946, number: int | None = None, meta: bytes = b"") -> Swim:
        """Starts a node; its address is made from `number`, by default from the count of names seen."""
        number = len(self.events) + 1 if number is None else number
        endpoint = Endpoint(f"10.0.{number // 250}.{number % 250 + 1}", port)
        swim = Swim(
            self.config,
            name=name,
            endpoint=endpoint,
            rng=Random(self.rng.random()),
            now_ns=self.now_ns,
            meta=meta,
        )
        self.nodes[endpoint] = swim
        self.events.setdefault(name, [])
        self._flush(endpoint)
        return swim

    def cluster(self, size: int) -> list[Swim]:
        """Starts `n1` to `n<size>`, each joining the first."""
        swims = [self.add(f"n{number}", number=number) for number in range(1, size + 1)]
        for swim in swims[1:]:
            self.join(swim, swims[0])
        return swims

    def join(self, swim: Swim, *others: Swim) -> None:
        swim.join([other.local.endpoint for other in others], now_ns=self.now_ns)
        self._flush(swim.local.endpoint)

    def kill(self, swim: Swim) -> None:
        """Takes a node away without a word."""
        del self.nodes[swim.local.endpoint]

    def act(self, swim: Swim, command: Callable[[int], None]) -> None:
        """Runs a command of a node at the present time."""
        command(self.now_ns)
        self._flush(swim.local.endpoint)

    def run(self, seconds: float) -> None:
        """Advances the clock by that much."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while True:
            due_ns, endpoint = min(
                ((swim.next_deadline_ns() or end_ns + 1, endpoint) for endpoint, swim in self.nodes.items()),
                default=(end_ns + 1, None),
            )
            if self._queue and self._queue[0][0] <= due_ns:
                if self._queue[0][0] > end_ns:
                    break
                self.now_ns, _, action = heapq.heappop(self._queue)
                action()
            elif endpoint is not None and due_ns <= end_ns:
                self.now_ns = max(self.now_ns, due_ns)
                self.nodes[endpoint].tick(now_ns=self.now_ns)
                self._flush(endpoint)
            else:
                break
        self.now_ns = end_ns

    def run_until(self, claim: Callable[[], bool], *, within: float) -> float:
        """Advances in steps until the claim holds; returns the seconds it took."""
        start_ns = self.now_ns
        while not claim():
            elapsed = (self.now_ns - start_ns) / SECOND
            assert elapsed < within, f"not within {within} virtual seconds"
            self.run(0.05)
        return (self.now_ns - start_ns) / SECOND

    def changes(self, observer: Swim, about: str) -> list[MemberChange]:
        """What a node reported about a member, in order."""
        events = self.events[observer.local.name]
        return [e.change for e in events if isinstance(e, MemberEvent) and e.member.name == about]

    def _flush(self, endpoint: Endpoint) -> None:
        swim = self.nodes.get(endpoint)
        if swim is None:
            return
        for outgoing in swim.take_outgoing():
            self._carry(endpoint, outgoing)
        events = swim.take_events()
        self.events[swim.local.name] += events
        self.events_at.setdefault(endpoint, []).extend(events)

    def _later(self, action: Callable[[], None]) -> None:
        self._sequence += 1
        delay_ns = self.rng.randrange(MILLISECOND // 2, 2 * MILLISECOND)
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._sequence, action))

    def _carry(self, source: Endpoint, outgoing: Outgoing) -> None:
        match outgoing:
            case SendDatagram(destination, data):
                self.datagrams += 1
                if self.rng.random() >= self.loss and not self.cut(source, destination):
                    self._later(lambda: self._deliver(source, destination, data))
            case OpenStream(stream, destination, data):
                self._later(lambda: self._connect((source, stream), destination, data))
            case SendStream(stream, data):
                peer = self._peers.get((source, stream))
                if peer is not None:
                    self._feed(peer, data)
            case CloseStream(stream):
                peer = self._peers.pop((source, stream), None)
                if peer is not None:
                    self._hang_up(peer)

    def _deliver(self, source: Endpoint, destination: Endpoint, data: bytes) -> None:
        swim = self.nodes.get(destination)
        if swim is not None:
            swim.receive(data, source, now_ns=self.now_ns)
            self._flush(destination)

    def _connect(self, dialler: Connection, destination: Endpoint, data: bytes) -> None:
        source, stream = dialler
        target = self.nodes.get(destination)
        accepted = None
        if target is not None and not self.cut(source, destination):
            accepted = target.accept_stream(Endpoint(source.host, 40_000), now_ns=self.now_ns)
        if accepted is None:
            if source in self.nodes:
                self.nodes[source].close_stream(stream, error="connection refused", now_ns=self.now_ns)
                self._flush(source)
            return
        self._peers[dialler], self._peers[destination, accepted] = (destination, accepted), dialler
        # In small pieces: nothing may depend on where a chunk ends.
        for start in range(0, len(data), 700):
            self._feed((destination, accepted), data[start : start + 700])

    def _feed(self, to: Connection, data: bytes) -> None:
        def feed() -> None:
            if to[0] in self.nodes:
                self.nodes[to[0]].receive_stream(to[1], data, now_ns=self.now_ns)
                self._flush(to[0])

        self._in_order(to, feed)

    def _hang_up(self, to: Connection) -> None:
        def close() -> None:
            self._peers.pop(to, None)
            if to[0] in self.nodes:
                self.nodes[to[0]].close_stream(to[1], now_ns=self.now_ns)
                self._flush(to[0])

        self._in_order(to, close)

    def _in_order(self, _to: Connection, action: Callable[[], None]) -> None:
        """Streams keep their order: every piece takes the same time."""
        self._sequence += 1
        heapq.heappush(self._queue, (self.now_ns + 2 * MILLISECOND, self._sequence, action))


def present(swim: Swim) -> set[str]:
    """The names that a node takes for running, itself included."""
    return {m.name for m in swim.members() if m.is_present}


def state_of(swim: Swim, name: str) -> MemberState | None:
    member = swim.member(name)
    return None if member is None else member.state


def quick(config: SwimConfig = LAN) -> SwimConfig:
    """A configuration without periodic exchanges, so that only gossip and probing spread what a test is about."""
    return replace(config, push_pull_interval_s=0.0)
