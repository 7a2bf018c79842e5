"""The transport of production: one port, UDP and TCP."""

import errno
import socket

from gossip.errors import GossipError, PortTaken
from gossip.identity import Endpoint
from gossip.outputs import StreamId
from gossip.transport.base import Receiver
from gossip.transport.tcp import TcpStreams
from gossip.transport.udp import UdpSocket

_PORT_TRIES = 16


class SocketTransport:
    """UDP and TCP on one endpoint.

    Args:
        bind: IP address and port; port 0 takes one that is free for both.
    """

    def __init__(self, bind: Endpoint) -> None:
        self._bind = bind
        self._udp: UdpSocket | None = None
        self._tcp: TcpStreams | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The address and port bound."""
        return self._bind

    @property
    def send_errors(self) -> int:
        """Packets that the kernel did not take."""
        return 0 if self._udp is None else self._udp.send_errors

    async def start(self, receiver: Receiver) -> None:
        """Binds both sockets.

        Raises:
            PortTaken: another process has the port; nothing is left open.
            GossipError: the address is not one of this machine.
        """
        tcp_socket, udp_socket = _bind_both(self._bind)
        self._bind = Endpoint(self._bind.host, udp_socket.getsockname()[1])
        self._udp = UdpSocket(udp_socket, on_datagram=receiver.on_datagram, on_batch_end=receiver.on_batch_end)
        self._tcp = TcpStreams(receiver)
        await self._tcp.listen(tcp_socket)

    def send_datagram(self, destination: Endpoint, data: bytes) -> None:
        """Sends a packet or loses it."""
        if self._udp is not None:
            self._udp.send(destination, data)

    def open_stream(self, stream: StreamId, destination: Endpoint, data: bytes) -> None:
        """Connects in the background and writes `data`."""
        if self._tcp is not None:
            self._tcp.open(stream, destination, data)

    def send_stream(self, stream: StreamId, data: bytes) -> None:
        """Writes to an open stream."""
        if self._tcp is not None:
            self._tcp.send(stream, data)

    def close_stream(self, stream: StreamId) -> None:
        """Closes a stream after what was written."""
        if self._tcp is not None:
            self._tcp.close_stream(stream)

    async def close(self) -> None:
        """Closes all sockets; repeating is harmless."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            await self._tcp.close()


def _bind_both(bind: Endpoint) -> tuple[socket.socket, socket.socket]:
    """A listening TCP socket and a UDP socket on one port."""
    for attempt in range(_PORT_TRIES):
        tcp = _bind(bind, socket.SOCK_STREAM)
        port = tcp.getsockname()[1]
        try:
            return tcp, _bind(Endpoint(bind.host, port), socket.SOCK_DGRAM)
        except PortTaken:
            # The kernel's choice for TCP may be taken for UDP; a port that was asked for is not negotiable.
            tcp.close()
            if bind.port or attempt == _PORT_TRIES - 1:
                raise
        except BaseException:
            tcp.close()
            raise
    raise AssertionError("unreachable: the last attempt raises")


def _bind(bind: Endpoint, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if kind is socket.SOCK_STREAM:
            # Only lets a restarted node listen while old connections linger; it does not let two listen at once.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((bind.host, bind.port))
        if kind is socket.SOCK_STREAM:
            # A second listener fails here and not in bind if both set SO_REUSEADDR.
            bound.listen(128)
    except OSError as error:
        bound.close()
        name = "TCP" if kind is socket.SOCK_STREAM else "UDP"
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(bind.host, bind.port, name) from error
        raise GossipError(f"can't bind {bind} ({name}): {error.strerror}; choose an address of this machine") from error
    return bound
