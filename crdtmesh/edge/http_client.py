"""Connections to one user function: each request in one write, each answer read under bounds.

Why not a general client: some user functions take each piece of a request that arrives for the whole of it, so a
request must leave in one write; connections must go to addresses that were checked, and nowhere else; and this runs
once for each turn (`docs/decisions/0020-callbacks-by-our-own-client.md`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, cast

from crdtmesh.edge.callbacks import Target
from crdtmesh.edge.http_answer import Answer, AnswerReader, MalformedAnswer

PATH: Final = "/api/v1/actors/actions"

# A whole state comes back in one answer: as much as a message on the gRPC endpoint may have.
ANSWER_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
# Turns beyond this wait for a connection. Spawn's proxy has 30 for each core; the servers under the SDKs have between
# one thread and a few hundred.
CONNECTIONS_MAX: Final = 128
# Servers close idle connections, the most impatient after 5 s. One that is about to be closed under a request is worth
# less than a new one.
IDLE_MAX_S: Final = 1.0
CONNECT_TIMEOUT_S: Final = 5.0


class Unreachable(Exception):
    """No connection could be made; nothing was sent."""


class NoAnswer(Exception):
    """The request was sent and the connection ended without an answer; what it did is unknown."""


class UserFunction:
    """Calls one user function.

    Args:
        target: where it is; see `move`.
    """

    def __init__(self, target: Target) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Connection] = []
        self._count = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_closed = False
        self.move(target)

    def move(self, target: Target) -> None:
        """Makes new connections to these addresses."""
        self._target = target
        self._head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {target.authority}\r\nConnection: keep-alive\r\n"
            "Accept: application/octet-stream\r\nContent-Type: application/octet-stream\r\nContent-Length: "
        ).encode()

    async def post(self, body: bytes) -> Answer:
        """One request. Bound it in time: cancelled, it closes its connection.

        Raises:
            Unreachable: no connection could be made.
            NoAnswer: the connection ended before an answer.
            MalformedAnswer: what came is no HTTP, or too large.
        """
        connection = await self._connection()
        try:
            answer = await connection.exchange(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        except BaseException:
            connection.close()
            raise
        finally:
            self._release(connection)
        return answer

    async def probe(self) -> None:
        """Makes a connection and keeps it for the next request.

        Raises:
            Unreachable: it could not be made.
        """
        self._release(await self._connection())

    def close(self) -> None:
        """Closes idle connections, and those in use after their answers."""
        self._is_closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _connection(self) -> _Connection:
        while self._count >= CONNECTIONS_MAX:
            free: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(free)
            try:
                await free
            except asyncio.CancelledError:
                if free.done() and not free.cancelled():
                    self._wake_next()
                raise
        self._count += 1
        oldest_s = self._loop.time() - IDLE_MAX_S
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since_s >= oldest_s:
                return connection
            connection.close()
        try:
            return await self._connect()
        except BaseException:
            self._give_back()
            raise

    async def _connect(self) -> _Connection:
        problem = "no address"
        for address in self._target.addresses:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    _, protocol = await self._loop.create_connection(_Connection, address, self._target.port)
                    return protocol
            except TimeoutError:
                problem = f"no connection within {CONNECT_TIMEOUT_S:.0f} s"
            except OSError as error:
                problem = error.strerror or str(error)
        raise Unreachable(problem)

    def _release(self, connection: _Connection) -> None:
        if connection.is_open and not self._is_closed:
            connection.idle_since_s = self._loop.time()
            self._idle.append(connection)
        else:
            connection.close()
        self._give_back()

    def _give_back(self) -> None:
        self._count -= 1
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            free = self._waiting.popleft()
            if not free.done():
                free.set_result(None)
                return


class _Connection(asyncio.Protocol):
    """One connection, with one request on its way at most."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self.idle_since_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a request can go out."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> Answer:
        """Sends a request and waits for its answer."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise Unreachable("the connection ended before the request")
        self._reader = AnswerReader(body_size_bytes_max=ANSWER_SIZE_BYTES_MAX)
        self._answer = asyncio.get_running_loop().create_future()
        transport.write(request)
        try:
            answer = await self._answer
        finally:
            self._reader = self._answer = None
        if not answer.is_reusable:
            self.close()
        return answer

    def close(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self.close()  # nobody asked
            return
        try:
            self._settle(self._reader.receive(data))
        except MalformedAnswer as error:
            self._fail(error)

    def eof_received(self) -> None:
        if self._reader is not None:
            try:
                self._settle(self._reader.receive_eof())
            except MalformedAnswer as error:
                self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(NoAnswer(str(error) if error is not None else "the connection was closed without an answer"))

    def _settle(self, answer: Answer | None) -> None:
        if answer is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()
