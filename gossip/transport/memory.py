"""A network inside one event loop: what the socket transport does, without sockets.

For tests of an agent and of what is built on it. It loses packets on demand and can be cut; it has no virtual time.
"""

import asyncio
from collections.abc import Callable
from random import Random

from gossip.errors import PortTaken
from gossip.identity import Endpoint
from gossip.outputs import StreamId
from gossip.transport.base import Receiver

_PORT_FIRST = 49_152

_Side = tuple["MemoryTransport", StreamId]


class MemoryNetwork:
    """Connects transports by endpoint.

    Args:
        loss: share of packets that are lost, 0 to 1.
        rng: decides which.
    """

    def __init__(self, *, loss: float = 0.0, rng: Random | None = None) -> None:
        self._loss = loss
        self._rng = Random(0) if rng is None else rng  # noqa: S311 - a test's network is to be repeatable
        self._bound: dict[Endpoint, MemoryTransport] = {}
        self._next_port = _PORT_FIRST
        self.is_cut: Callable[[Endpoint, Endpoint], bool] = lambda source, destination: False
        """Decides which pairs are cut off; a test may replace it at any time."""

    def transport(self, bind: Endpoint) -> "MemoryTransport":
        """A transport that will bind to that endpoint; port 0 takes a free one."""
        return MemoryTransport(self, bind)

    def bind(self, endpoint: Endpoint, transport: "MemoryTransport") -> Endpoint:
        """Gives an endpoint to a transport.

        Raises:
            PortTaken: another one has it.
        """
        if not endpoint.port:
            self._next_port += 1
            endpoint = Endpoint(endpoint.host, self._next_port)
        if endpoint in self._bound:
            raise PortTaken(endpoint.host, endpoint.port, "memory")
        self._bound[endpoint] = transport
        return endpoint

    def unbind(self, endpoint: Endpoint) -> None:
        """Frees an endpoint."""
        self._bound.pop(endpoint, None)

    def at(self, source: Endpoint, destination: Endpoint) -> "MemoryTransport | None":
        """Whom a stream from `source` reaches there."""
        return None if self.is_cut(source, destination) else self._bound.get(destination)

    def packet_reaches(self, source: Endpoint, destination: Endpoint) -> "MemoryTransport | None":
        """Whom a packet reaches, which may be nobody by chance."""
        return None if self._rng.random() < self._loss else self.at(source, destination)


class MemoryTransport:
    """One node's end of a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, bind: Endpoint) -> None:
        self._network = network
        self._endpoint = bind
        self._receiver: Receiver | None = None
        self._peers: dict[StreamId, _Side] = {}

    @property
    def endpoint(self) -> Endpoint:
        """The address and port bound."""
        return self._endpoint

    async def start(self, receiver: Receiver) -> None:
        """Binds.

        Raises:
            PortTaken: another transport of the network has the endpoint.
        """
        self._endpoint = self._network.bind(self._endpoint, self)
        self._receiver = receiver

    def send_datagram(self, destination: Endpoint, data: bytes) -> None:
        """Delivers in the next turn of the loop, or loses the packet."""
        target = self._network.packet_reaches(self._endpoint, destination)
        if target is not None and self._receiver is not None:
            asyncio.get_running_loop().call_soon(target.deliver, data, self._endpoint)

    def open_stream(self, stream: StreamId, destination: Endpoint, data: bytes) -> None:
        """Connects in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(self._connect, stream, destination, data)

    def send_stream(self, stream: StreamId, data: bytes) -> None:
        """Writes to an open stream."""
        if stream in self._peers:
            peer, number = self._peers[stream]
            asyncio.get_running_loop().call_soon(peer.feed, number, data)

    def close_stream(self, stream: StreamId) -> None:
        """Closes a stream after what was written."""
        if stream in self._peers:
            peer, number = self._peers.pop(stream)
            asyncio.get_running_loop().call_soon(peer.end, number)

    async def close(self) -> None:
        """Frees the endpoint and ends all streams."""
        self._network.unbind(self._endpoint)
        self._receiver = None
        for stream in list(self._peers):
            self.close_stream(stream)

    # --- called by other ends of the network

    def deliver(self, data: bytes, source: Endpoint) -> None:
        """Hands a packet to the receiver."""
        if self._receiver is not None:
            self._receiver.on_datagram(data, source)
            self._receiver.on_batch_end()

    def feed(self, stream: StreamId, data: bytes) -> None:
        """Hands a chunk to the receiver."""
        if self._receiver is not None and stream in self._peers:
            self._receiver.on_stream_data(stream, data)

    def end(self, stream: StreamId) -> None:
        """Tells the receiver that the other side closed."""
        if self._peers.pop(stream, None) is not None and self._receiver is not None:
            self._receiver.on_stream_end(stream, None)

    def accept(self, dialler: _Side, source: Endpoint) -> StreamId | None:
        """Offers a connection to the receiver."""
        number = None if self._receiver is None else self._receiver.on_stream(source)
        if number is not None:
            self._peers[number] = dialler
        return number

    def _connect(self, stream: StreamId, destination: Endpoint, data: bytes) -> None:
        if self._receiver is None:
            return
        target = self._network.at(self._endpoint, destination)
        if target is None:
            self._receiver.on_stream_end(stream, "connection refused")
            return
        number = target.accept((self, stream), self._endpoint)
        if number is None:
            self._receiver.on_stream_end(stream, "closed by the peer")
            return
        self._peers[stream] = (target, number)
        target.feed(number, data)
