"""The membership protocol's own short TCP streams: one request, at most one answer, then the end.

Bytes come in order and whole, or the stream ends with an error at the side that still waits. A dial to a node that is
down is refused; a dial into a cut is answered by nobody, and the core's own timeout ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gossip.outputs import StreamId
from simulations.network import Network
from simulations.scheduler import Scheduler


class StreamOwner(Protocol):
    """One run of a node, as its streams see it."""

    name: str

    def stream_accept(self, source: str) -> StreamId | None:
        """Takes a connection; None refuses it."""
        ...

    def stream_data(self, stream: StreamId, data: bytes) -> None:
        """Takes bytes of a stream."""
        ...

    def stream_closed(self, stream: StreamId, error: str | None) -> None:
        """The other side closed, or the stream never came about."""
        ...


@dataclass(slots=True, eq=False)
class _End:
    """One side of a connection."""

    owner: StreamOwner
    stream: StreamId
    peer: "_End | None" = None
    is_closed: bool = False
    arrival_ns: int = 0


class StreamFabric:
    """All streams of one run."""

    def __init__(self, scheduler: Scheduler, network: Network) -> None:
        self._scheduler = scheduler
        self._network = network
        self._owners: dict[str, StreamOwner] = {}
        self._ends: dict[tuple[str, StreamId], _End] = {}

    def attach(self, owner: StreamOwner) -> None:
        """A node listens."""
        self._owners[owner.name] = owner

    def detach(self, owner: StreamOwner) -> None:
        """A node's process is gone; its peers see their streams end."""
        del self._owners[owner.name]
        for (name, stream), end in list(self._ends.items()):
            if name == owner.name:
                self._end(name, stream, "reset by the peer")
                end.is_closed = True

    def open(self, owner: StreamOwner, stream: StreamId, destination: str, data: bytes) -> None:
        """Dials, and writes `data` once the connection is there."""
        end = self._ends[owner.name, stream] = _End(owner, stream)
        if self._is_open(owner.name, destination):
            self._after_round_trip(partial(self._connect, end, destination, data))

    def send(self, owner: StreamOwner, stream: StreamId, data: bytes) -> None:
        """Writes to a stream; what is written to one that has ended is lost."""
        end = self._ends.get((owner.name, stream))
        if end is not None and end.peer is not None:
            self._transmit(end, partial(self._data, end.peer, data))

    def close(self, owner: StreamOwner, stream: StreamId) -> None:
        """Closes a stream behind what was written."""
        self._end(owner.name, stream, None)

    # --- inside

    def _connect(self, end: _End, destination: str, data: bytes) -> None:
        if end.is_closed or self._owners.get(end.owner.name) is not end.owner:
            return
        other = self._owners.get(destination)
        accepted = other.stream_accept(end.owner.name) if other is not None else None
        if other is None or accepted is None:
            self._ends.pop((end.owner.name, end.stream), None)
            end.is_closed = True
            end.owner.stream_closed(end.stream, "connection refused")
            return
        end.peer = self._ends[destination, accepted] = _End(other, accepted, peer=end)
        self._transmit(end, partial(self._data, end.peer, data))

    def _transmit(self, end: _End, action: Callable[[], None]) -> None:
        """Has something arrive at the other side, in order; a cut swallows it."""
        assert end.peer is not None
        if self._is_open(end.owner.name, end.peer.owner.name):
            delay_ns = self._network.delay_ns(self._network.shape)
            end.arrival_ns = max(end.arrival_ns, self._scheduler.now_ns + delay_ns)
            self._scheduler.at(end.arrival_ns, action)

    def _data(self, end: _End, data: bytes) -> None:
        if not end.is_closed and self._owners.get(end.owner.name) is end.owner:
            end.owner.stream_data(end.stream, data)

    def _end(self, name: str, stream: StreamId, error: str | None) -> None:
        end = self._ends.pop((name, stream), None)
        if end is None:
            return
        end.is_closed = True
        if end.peer is not None:
            self._transmit(end, partial(self._closed, end.peer, error))

    def _closed(self, end: _End, error: str | None) -> None:
        if not end.is_closed and self._owners.get(end.owner.name) is end.owner:
            self._ends.pop((end.owner.name, end.stream), None)
            end.is_closed = True
            end.owner.stream_closed(end.stream, error)

    def _is_open(self, first: str, second: str) -> bool:
        # An acknowledgement has to come back, so TCP needs both ways.
        return self._network.is_open(first, second) and self._network.is_open(second, first)

    def _after_round_trip(self, action: Callable[[], None]) -> None:
        shape = self._network.shape
        self._scheduler.after(self._network.delay_ns(shape) + self._network.delay_ns(shape), action)
