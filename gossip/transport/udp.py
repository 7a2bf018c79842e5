"""Datagrams over an own non-blocking socket.

asyncio's datagram endpoint reads one packet per turn of the loop, which makes it five times slower than a socket that
is drained on every wake-up.
"""

import asyncio
import socket
from collections.abc import Callable

from gossip.identity import Endpoint

DRAIN_MAX = 64
"""Packets per wake-up: enough to keep up with a flood, few enough that timers are served within a few milliseconds."""

_READ_SIZE_BYTES = 65_536
_BUFFER_SIZE_BYTES = 2 * 1024 * 1024


class UdpSocket:
    """A bound UDP socket in the current event loop.

    Args:
        bound: a non-blocking datagram socket; this object owns it from now on.
        on_datagram: gets each packet.
        on_batch_end: called when a wake-up's packets have been handed over.
    """

    def __init__(
        self,
        bound: socket.socket,
        *,
        on_datagram: Callable[[bytes, Endpoint], None],
        on_batch_end: Callable[[], None],
    ) -> None:
        self._socket = bound
        self._on_datagram = on_datagram
        self._on_batch_end = on_batch_end
        self._loop = asyncio.get_running_loop()
        self.send_errors = 0
        _enlarge_buffer(bound)
        self._loop.add_reader(bound.fileno(), self._drain)

    def send(self, destination: Endpoint, data: bytes) -> None:
        """Sends a packet; one that the kernel does not take is counted and lost, as on the wire."""
        try:
            self._socket.sendto(data, destination)
        except OSError:
            self.send_errors += 1

    def close(self) -> None:
        """Stops reading and closes the socket; repeating is harmless."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _drain(self) -> None:
        for _ in range(DRAIN_MAX):
            try:
                data, address = self._socket.recvfrom(_READ_SIZE_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # Linux reports the ICMP error of an earlier packet here; the next read goes on.
                continue
            self._on_datagram(data, Endpoint(address[0], address[1]))
            if self._socket.fileno() < 0:
                return
        self._on_batch_end()


def _enlarge_buffer(bound: socket.socket) -> None:
    """Asks for a large receive buffer, less and less until the kernel agrees."""
    size = _BUFFER_SIZE_BYTES
    while size > _READ_SIZE_BYTES:
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        except OSError:
            size //= 2
        else:
            return
