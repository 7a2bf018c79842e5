"""Base `framed msgpack floor`: length-prefixed msgpack over asyncio TCP, with coalesced writes.

What a call between two processes costs in Python at least: no channels, credits, handshake, limits or keepalives.
Requests made in one turn of the loop leave as one write; so do the replies to what one read brought.

Run as `python -m benchmarks.bases.framed_floor serve`, or `client JOB`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any, cast

import msgpack

from benchmarks.load import Job, announce, drive, payload, run_client, run_loop, verify
from benchmarks.measures import Sample


def frame(message: list[Any]) -> bytes:
    """A message with its length before it."""
    body: bytes = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


class Frames(asyncio.Protocol):
    """Cuts what arrives into messages; what is sent in one turn of the loop is one write."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._queued: list[bytes] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        # uvloop has transports of its own, which are no subclasses.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, message: list[Any]) -> None:
        """Queues a message for the end of this turn."""
        if not self._queued:
            asyncio.get_running_loop().call_soon(self._flush)
        self._queued.append(frame(message))

    def _flush(self) -> None:
        self._transport.write(b"".join(self._queued))
        self._queued.clear()

    def take(self, data: bytes) -> Iterator[list[Any]]:
        """The messages that `data` completes."""
        received = self._received
        received += data
        start, end = 0, len(received)
        while end - start >= 4:
            size = int.from_bytes(received[start : start + 4], "big")
            if end - start - 4 < size:
                break
            yield msgpack.unpackb(bytes(received[start + 4 : start + 4 + size]))
            start += 4 + size
        del received[:start]


class EchoServer(Frames):
    """Sends every message back."""

    def data_received(self, data: bytes) -> None:
        """One write for all that came with one read."""
        replies = [frame([number, actor, action, sent]) for number, actor, action, sent in self.take(data)]
        if replies:
            self._transport.write(b"".join(replies))


class EchoClient(Frames):
    """Calls over one connection, a future for each."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    def call(self, number: int, actor: str, action: str, sent: bytes) -> asyncio.Future[bytes]:
        """Sends a call; the future gets the payload of its reply."""
        reply = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.send([number, actor, action, sent])
        return reply

    def data_received(self, data: bytes) -> None:
        """Hands replies to those who wait."""
        for number, _actor, _action, came in self.take(data):
            self._waiting.pop(number).set_result(came)


async def server() -> None:
    """Serves until it is stopped."""
    running = await asyncio.get_running_loop().create_server(EchoServer, "127.0.0.1", 0)
    host, port = running.sockets[0].getsockname()
    announce(address=f"{host}:{port}")
    await running.serve_forever()


async def client(job: Job) -> Sample:
    """All operations over one connection."""
    host, port = job.address.split(":")
    actors = [f"counter-{number:04}" for number in range(job.actors)]
    _, connection = await asyncio.get_running_loop().create_connection(EchoClient, host, int(port))

    async def call(number: int) -> None:
        sent = payload(number)
        verify(sent, await connection.call(number, actors[number % job.actors], "increment", sent))

    return await drive(call, job)


if __name__ == "__main__":
    run_loop(server()) if sys.argv[1] == "serve" else run_client(client)
