"""A user function: an HTTP server that answers invocations, and remembers what came and in how many pieces."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from tests.conformance.wire import Request

PATH: Final = "/api/v1/actors/actions"

# What to send back, as bytes of HTTP; None closes the connection without an answer.
Answer = bytes | None
Handler = Callable[[Request], Awaitable[Answer]]


class UserFunction:
    """Listens on one port; what it does with a request is `handler`'s business, which a case sets.

    Attributes:
        requests: all that came, in order.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._count = 0
        self.requests: list[Request] = []

    @property
    def port(self) -> int:
        """Where it listens, also while it doesn't."""
        return self._address[1]

    async def start(self) -> None:
        """Begins to listen, on the port of before if there was one."""
        host, port = self._address
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, host, port)
        self._address = (host, self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes everything: connections are refused until `start`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)

    def _connect(self) -> _Connection:
        self._count += 1
        return _Connection(self, self._count)

    def opened(self, connection: _Connection) -> None:
        """A connection is there."""
        self._connections.add(connection)

    def closed(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    @property
    def connections(self) -> set[int]:
        """Numbers of the connections that are open."""
        return {connection.number for connection in self._connections}

    async def answer(self, request: Request) -> Answer:
        """What to send back."""
        self.requests.append(request)
        return await self._handler(request)


class _Connection(asyncio.Protocol):
    def __init__(self, function: UserFunction, number: int) -> None:
        self._function = function
        self.number = number
        self._data = b""
        self._pieces = 0
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._function.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._function.closed(self)

    def close(self) -> None:
        """Ends it at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._pieces += 1
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if len(body) < int(headers.get("content-length", 0)):
            return
        request = Request(line, headers, body, self._pieces, self.number)
        self._data, self._pieces = b"", 0
        self._task = asyncio.get_running_loop().create_task(self._serve(request))

    async def _serve(self, request: Request) -> None:
        answer: Answer = None
        with contextlib.suppress(asyncio.CancelledError):
            answer = await self._function.answer(request)
        if answer is None:
            self._transport.close()
        else:
            self._transport.write(answer)
            if b"\r\nConnection: close\r\n" in answer:
                self._transport.close()
