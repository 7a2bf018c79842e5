"""TCP between the simulated processes: connections in order, whole, with back-pressure, over the paths of `network`.

What a cut does: nothing. The bytes wait, as TCP makes them wait, and come late when the cut ends; whoever needs to know
earlier has a timeout of its own. What a process that dies does: its kernel resets its connections, if a path leads to
the other side; otherwise the first bytes that get through later find nobody and are answered by a reset. A lost or
corrupt packet delays what is behind it by a retransmission. A reader that stands still fills the buffers of both sides,
and then the writer is told to pause.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from simulations.loop import VirtualLoop
from simulations.network import Network, Path
from simulations.plan import PathShape
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler

# Send and receive buffers of the two kernels together, as Linux gives them to begin with.
KERNEL_BYTES: Final = 256 << 10
# The initial retransmission interval is a second; of an established connection it is about 200 ms.
SYN_RETRY_NS: Final = SECOND_NS
RETRANSMISSION_NS: Final = 200 * MILLISECOND_NS
# After a cut TCP tries again at doubled intervals, so what waited comes with a delay of its own.
RETRANSMISSION_NS_MAX: Final = 2 * SECOND_NS

Factory = Callable[[], asyncio.Protocol]


class Server:
    """A listening port, as far as `asyncio.Server` is used."""

    def __init__(self, fabric: "TcpFabric", host: str, port: int) -> None:
        self._fabric = fabric
        self._host = host
        self._address = (host, port)
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        """The bound address."""
        return self._address

    def close(self) -> None:
        """Listens no more."""
        self._fabric.deafen(self._host)

    async def wait_closed(self) -> None:
        """Nothing to wait for."""


class SimulatedTransport(asyncio.Transport):
    """One side of a connection."""

    def __init__(self, fabric: "TcpFabric", loop: VirtualLoop, own: str, peer: str) -> None:
        super().__init__({"peername": (peer, 0)})
        self.loop = loop
        self.own = own
        self.peer = peer
        self.other: SimulatedTransport | None = None
        self.protocol: asyncio.Protocol | None = None
        self.arrival_ns = 0
        self.waiting: deque[tuple[Callable[[], None], int]] = deque()
        self._fabric = fabric
        self._unread_bytes = 0
        self._high_bytes = 64 << 10
        self._is_paused = False
        self._is_closing = False
        self._is_lost = False

    # --- asyncio's interface

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends bytes behind what was sent before."""
        if self._is_closing or self.other is None:
            return
        size = len(data)
        self._unread_bytes += size
        self._fabric.transmit(self, partial(self.other._arrived, bytes(data)), size)
        if not self._is_paused and self._unread_bytes > KERNEL_BYTES + self._high_bytes:
            self._is_paused = True
            self._fabric.network.counts["link_full"] += 1
            assert self.protocol is not None
            self.protocol.pause_writing()

    def close(self) -> None:
        """Ends the connection behind what was written."""
        if self._is_closing:
            return
        self._is_closing = True
        if self.other is not None:
            self._fabric.transmit(self, self.other._ended, 0)
        if not self.waiting:
            self.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Resets the connection."""
        self._is_closing = True
        if not self._is_lost:
            self._fabric.reset(self)
            self.loop.call_soon(self._lose, None)

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._is_closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How much may wait beside the kernels' buffers before the writer is told to pause."""
        del low
        if high is not None:
            self._high_bytes = high

    # --- what happens to it

    @property
    def is_lost(self) -> bool:
        """Whether its protocol was told that the connection is gone, or its process is."""
        return self._is_lost or self.loop.is_gone

    def lose(self, error: Exception | None) -> None:
        """The connection is gone; the process learns of it."""
        self._is_closing = True
        self.loop.call_soon(self._lose, error)

    def _arrived(self, data: bytes) -> None:
        if self.loop.is_gone or self._is_lost:
            if self.other is not None:
                self._fabric.refuse(self, self.other)
            return
        self.loop.call_soon(self._read, data)

    def _read(self, data: bytes) -> None:
        if self.other is not None:
            self.other._acknowledged(len(data))
        if not self._is_closing and self.protocol is not None:
            self.protocol.data_received(data)

    def _acknowledged(self, size: int) -> None:
        self._unread_bytes -= size
        if self._is_paused and self._unread_bytes <= KERNEL_BYTES + self._high_bytes // 4:
            self._is_paused = False
            self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if not self._is_lost and self.protocol is not None:
            self.protocol.resume_writing()

    def _ended(self) -> None:
        # Behind the bytes that wait to be read.
        self.loop.call_soon(self._close_with_peer)

    def _close_with_peer(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self.waiting.clear()
        self._fabric.forget(self)
        if self.protocol is not None:
            self.protocol.connection_lost(error)


class TcpFabric:
    """All connections of one run.

    Attributes:
        network: the paths.
        shape: how segments travel from now on; a heal replaces it.
    """

    def __init__(self, scheduler: Scheduler, network: Network, rng: random.Random, *, shape: PathShape) -> None:
        self.network = network
        self.shape = shape
        self._scheduler = scheduler
        self._rng = rng
        self._listeners: dict[str, tuple[VirtualLoop, Factory]] = {}
        self._sides: dict[SimulatedTransport, None] = {}
        network.watch(self._path_changed)

    # --- for loops

    def listen(self, loop: VirtualLoop, factory: Factory, host: str, port: int) -> Server:
        """A process takes connections."""
        self._listeners[host] = (loop, factory)
        return Server(self, host, port)

    def deafen(self, host: str) -> None:
        """Nobody takes connections there."""
        self._listeners.pop(host, None)

    async def connect(self, loop: VirtualLoop, factory: Factory, host: str) -> Any:
        """Dials a machine; raises `ConnectionRefusedError` where nobody listens, and waits behind a cut."""
        answered: asyncio.Future[Any] = loop.create_future()
        self._dial(loop, factory, host, answered)
        return await answered

    # --- for machines

    def killed(self, loop: VirtualLoop) -> None:
        """A process is gone; its kernel resets what it can."""
        self._listeners = {host: entry for host, entry in self._listeners.items() if entry[0] is not loop}
        for side in list(self._sides):
            if side.loop is loop:
                del self._sides[side]
                side.waiting.clear()
                self.reset(side)

    def reset_between(self, first: str, second: str) -> bool:
        """Breaks the connections of two machines; whether there was one."""
        found = [side for side in self._sides if {side.own, side.peer} == {first, second}]
        for side in found:
            side.lose(ConnectionResetError("connection reset"))
        return bool(found)

    def pairs(self) -> list[tuple[str, str]]:
        """The machines that have a connection, each pair once."""
        return sorted({(min(side.own, side.peer), max(side.own, side.peer)) for side in self._sides})

    # --- for transports

    def transmit(self, side: SimulatedTransport, action: Callable[[], None], size: int) -> None:
        """Has something arrive at the other side, in order; behind a cut it waits."""
        if side.waiting or not self.network.is_open(side.own, side.peer):
            self.network.counts["cut_segments"] += 1
            side.waiting.append((action, size))
            return
        self._send(side, action, size, 0)

    def reset(self, side: SimulatedTransport) -> None:
        """Tells the other side of a connection that it is gone, if a path leads there."""
        if side.other is not None and self.network.is_open(side.own, side.peer):
            self.refuse(side, side.other)

    def refuse(self, side: SimulatedTransport, other: SimulatedTransport) -> None:
        """Bytes came for a connection that this side does not have: the other side is reset."""
        if self.network.is_open(side.own, side.peer) and not other.is_lost:
            delay_ns = self.network.delay_ns(self.shape)
            self._scheduler.after(delay_ns, partial(other.lose, ConnectionResetError("reset by the peer")))

    def forget(self, side: SimulatedTransport) -> None:
        """A side has ended."""
        self._sides.pop(side, None)

    # --- inside

    def _send(self, side: SimulatedTransport, action: Callable[[], None], size: int, extra_ns: int) -> None:
        delay_ns = extra_ns + self.network.delay_ns(self.shape)
        lost = self.shape.loss + self.shape.corruption
        interval_ns = RETRANSMISSION_NS
        while lost and self._rng.random() < lost:
            self.network.counts["retransmission"] += 1
            delay_ns += interval_ns
            interval_ns *= 2
        arrival_ns = self.network.queued_ns(side.own, side.peer, size, self.shape) + delay_ns
        side.arrival_ns = max(arrival_ns, side.arrival_ns)
        self._scheduler.at(side.arrival_ns, action)

    def _dial(self, loop: VirtualLoop, factory: Factory, host: str, answered: asyncio.Future[Any]) -> None:
        if answered.done() or loop.is_gone:
            return
        if not self._both_ways(loop.name, host):
            self._scheduler.after(SYN_RETRY_NS, partial(self._dial, loop, factory, host, answered))
            return
        delay_ns = self.network.delay_ns(self.shape)
        self._scheduler.after(delay_ns, partial(self._arrive, loop, factory, host, answered))

    def _arrive(self, loop: VirtualLoop, factory: Factory, host: str, answered: asyncio.Future[Any]) -> None:
        listener = self._listeners.get(host)
        delay_ns = self.network.delay_ns(self.shape)
        if not self._both_ways(loop.name, host):
            self._scheduler.after(SYN_RETRY_NS, partial(self._dial, loop, factory, host, answered))
        elif listener is None:
            self._scheduler.after(delay_ns, partial(loop.call_soon, _refuse, answered))
        else:
            near = SimulatedTransport(self, loop, loop.name, host)
            far = SimulatedTransport(self, listener[0], host, loop.name)
            near.other, far.other = far, near
            self._sides[near] = self._sides[far] = None
            far.loop.call_soon(_accept, far, listener[1])
            self._scheduler.after(delay_ns, partial(loop.call_soon, self._connected, near, factory, answered))

    def _connected(self, side: SimulatedTransport, factory: Factory, answered: asyncio.Future[Any]) -> None:
        if answered.done():  # given up meanwhile
            side.abort()
            return
        if side.is_lost or side.is_closing():
            answered.set_exception(ConnectionResetError("reset by the peer"))
            return
        side.protocol = factory()
        side.protocol.connection_made(side)
        answered.set_result((side, side.protocol))

    def _both_ways(self, first: str, second: str) -> bool:
        return self.network.is_open(first, second) and self.network.is_open(second, first)

    def _path_changed(self, path: Path, is_open: bool) -> None:
        if not is_open:
            return
        for side in list(self._sides):
            if (side.own, side.peer) == path and side.waiting:
                extra_ns = self._rng.randint(0, RETRANSMISSION_NS_MAX)
                waiting, side.waiting = side.waiting, deque()
                for action, size in waiting:
                    self._send(side, action, size, extra_ns)
                if side.is_closing():
                    side.loop.call_soon(side._lose, None)


def _accept(side: SimulatedTransport, factory: Factory) -> None:
    if side.is_lost or side.is_closing():
        return
    side.protocol = factory()
    side.protocol.connection_made(side)


def _refuse(answered: "asyncio.Future[Any]") -> None:
    if not answered.done():
        answered.set_exception(ConnectionRefusedError("connection refused"))
