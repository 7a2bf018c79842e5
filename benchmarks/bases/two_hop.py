"""Base `two-hop skeleton`: caller, node and host over batched streams, and not one feature.

The same path as a local call of the mesh: the caller's stream carries batches of calls to the node, the node hands them
to the host of the actor, over one stream as well, and the replies go back the same way. Batching is natural: whatever
is queued when the stream can take a message goes out as one. No mailboxes, deadlines, errors, state or disk.

Run as `python -m benchmarks.bases.two_hop node`, `host NODE` or `client JOB`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from benchmarks.bases.protocol import Batch, Call, EchoStub, serve
from benchmarks.load import Job, announce, drive, payload, run_client, run_loop, verify
from benchmarks.measures import Sample


class Outbox:
    """The outgoing half of a stream: calls wait here while the one before them is being written."""

    def __init__(self) -> None:
        self._queued: list[Any] = []
        self._filled = asyncio.Event()

    def put(self, call: Any) -> None:
        """Queues a call."""
        self._queued.append(call)
        self._filled.set()

    async def pump(self, write: Callable[[Any], Awaitable[None]]) -> None:
        """Writes what is queued, as one message at a time, until it is cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            calls, self._queued = self._queued, []
            await write(Batch(calls=calls))


class Node:
    """Routes calls to the host and replies to their callers."""

    Unary = None
    address = ""

    def __init__(self) -> None:
        self._host = Outbox()
        self._hosts: dict[str, Outbox] = {}
        self._waiting: dict[int, tuple[Outbox, int]] = {}
        self._last = 0

    async def Host(self, batches: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        """A host's stream."""
        pump = asyncio.create_task(self._host.pump(context.write))
        announce(address=self.address)
        try:
            async for batch in batches:
                for call in batch.calls:
                    caller, call.id = self._waiting.pop(call.id)
                    caller.put(call)
        finally:
            pump.cancel()

    async def Calls(self, batches: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        """A caller's stream. Every actor has its route, though here all lead to the one host."""
        caller = Outbox()
        pump = asyncio.create_task(caller.pump(context.write))
        try:
            async for batch in batches:
                for call in batch.calls:
                    host = self._hosts.get(call.actor) or self._hosts.setdefault(call.actor, self._host)
                    self._last += 1
                    self._waiting[self._last] = (caller, call.id)
                    call.id = self._last
                    host.put(call)
        finally:
            pump.cancel()


async def node() -> None:
    """Starts a host in a process of its own, and is ready when that has connected; serves until it is stopped."""
    routes = Node()
    running, routes.address = await serve(routes)
    host_process = await asyncio.create_subprocess_exec(sys.executable, "-m", __spec__.name, "host", routes.address)
    try:
        await running.wait_for_termination()
    finally:
        host_process.terminate()


async def host(address: str) -> None:
    """Answers every call with its payload, and counts the calls of every actor."""
    counts: dict[str, int] = {}
    async with grpc.aio.insecure_channel(address) as channel:
        stream = EchoStub(channel).Host()
        await stream.write(Batch())
        async for batch in stream:
            replies = []
            for call in batch.calls:
                counts[call.actor] = counts.get(call.actor, 0) + 1
                replies.append(Call(actor=call.actor, payload=call.payload, id=call.id))
            await stream.write(Batch(calls=replies))


async def client(job: Job) -> Sample:
    """All operations over one stream, a future for each."""
    actors = [f"counter-{number:04}" for number in range(job.actors)]
    waiting: dict[int, asyncio.Future[bytes]] = {}
    outbox = Outbox()
    loop = asyncio.get_running_loop()
    async with grpc.aio.insecure_channel(job.address) as channel:
        stream = EchoStub(channel).Calls()

        async def receive() -> None:
            async for batch in stream:
                for reply in batch.calls:
                    waiting.pop(reply.id).set_result(reply.payload)

        async def call(number: int) -> None:
            sent = payload(number)
            reply = waiting[number] = loop.create_future()
            outbox.put(Call(actor=actors[number % job.actors], action="increment", payload=sent, id=number))
            verify(sent, await reply)

        tasks = [asyncio.create_task(outbox.pump(stream.write)), asyncio.create_task(receive())]
        try:
            return await drive(call, job)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["node"]:
            run_loop(node())
        case ["host", address]:
            run_loop(host(address))
        case _:
            run_client(client)
