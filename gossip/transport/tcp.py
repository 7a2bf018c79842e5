"""Streams over TCP: a listener, and connections by stream id."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from gossip.identity import Endpoint
from gossip.outputs import StreamId
from gossip.transport.base import Receiver


class TcpStreams:
    """All streams of one node in the current event loop.

    Args:
        receiver: takes what comes in.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._server: asyncio.Server | None = None
        self._connections: dict[StreamId, _Connection] = {}
        self._dials: dict[StreamId, asyncio.Task[None]] = {}

    async def listen(self, bound: socket.socket) -> None:
        """Accepts connections on a bound socket, and owns it from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._accepted, self._receiver), sock=bound)

    def open(self, stream: StreamId, destination: Endpoint, data: bytes) -> None:
        """Connects in the background and writes `data`."""
        self._dials[stream] = asyncio.get_running_loop().create_task(self._dial(stream, destination, data))

    def send(self, stream: StreamId, data: bytes) -> None:
        """Writes to an open stream."""
        connection = self._connections.get(stream)
        if connection is not None:
            connection.write(data)

    def close_stream(self, stream: StreamId) -> None:
        """Closes a stream once what was written has left, or gives up connecting."""
        dial = self._dials.pop(stream, None)
        if dial is not None:
            dial.cancel()
        connection = self._connections.pop(stream, None)
        if connection is not None:
            connection.hang_up()

    async def close(self) -> None:
        """Closes the listener and all streams at once."""
        if self._server is not None:
            self._server.close()
        dials = list(self._dials.values())
        self._dials.clear()
        for dial in dials:
            dial.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        for connection in self._connections.values():
            connection.abort()
        self._connections.clear()

    async def _dial(self, stream: StreamId, destination: Endpoint, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        connection = _Connection(lambda c: stream, self._receiver, on_gone=self._forget)
        try:
            await loop.create_connection(lambda: connection, destination.host, destination.port)
        except OSError as error:
            self._dials.pop(stream, None)
            self._receiver.on_stream_end(stream, error.strerror or str(error))
            return
        if self._dials.pop(stream, None) is None:
            connection.abort()
            return
        self._connections[stream] = connection
        connection.write(data)

    def _accepted(self, connection: "_Connection") -> StreamId | None:
        stream = self._receiver.on_stream(connection.peer)
        if stream is not None:
            connection.on_gone = self._forget
            self._connections[stream] = connection
        return stream

    def _forget(self, stream: StreamId) -> bool:
        return self._connections.pop(stream, None) is not None


class _Connection(asyncio.Protocol):
    """One TCP connection. `number` gives its stream id once it stands."""

    def __init__(
        self,
        number: Callable[["_Connection"], StreamId | None],
        receiver: Receiver,
        *,
        on_gone: Callable[[StreamId], bool] = lambda stream: False,
    ) -> None:
        self._number = number
        self._receiver = receiver
        self.on_gone = on_gone
        self.peer = Endpoint("", 0)
        self._stream: StreamId | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        peername = transport.get_extra_info("peername") or ("", 0)
        self.peer = Endpoint(peername[0], peername[1])
        self._stream = self._number(self)
        if self._stream is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            self._receiver.on_stream_data(self._stream, data)

    def connection_lost(self, exc: Exception | None) -> None:
        # After close_stream the id is forgotten already, and the end is not reported.
        if self._stream is not None and self.on_gone(self._stream):
            self._receiver.on_stream_end(self._stream, None if exc is None else str(exc))

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
