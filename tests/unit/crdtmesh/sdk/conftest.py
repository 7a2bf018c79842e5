"""A node's endpoint in small: a real gRPC server on a Unix socket, whose streams a test reads and writes by hand."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from crdtmesh.wire import payloads
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2_grpc
from crdtmesh.wire.gen.spawn.actors import protocol_pb2


class Stream:
    """The node's side of one open stream: what came, in order, and a way to answer."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self._closing = asyncio.Event()

    async def serve(self, requests: AsyncIterator[Any]) -> None:
        reader = asyncio.create_task(self._read(requests))
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait([reader, closing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            closing.cancel()
            await asyncio.gather(reader, closing, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        async for message in requests:
            self.received.put_nowait(message)
        self.received.put_nowait(None)

    async def next(self) -> Any:
        """The next message of the other side; None when it has ended its half."""
        async with asyncio.timeout(5):
            return await self.received.get()

    async def send(self, message: Any) -> None:
        await self._context.write(message)

    def close(self) -> None:
        self._closing.set()


class Node(actors_pb2_grpc.ActorHostServicer, actors_pb2_grpc.ActorsServicer):
    """What a host or a client connects to."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix:{path}"
        self.refusal = ""
        self.unary: list[Any] = []
        self.answers: list[Any] = []
        self._streams: asyncio.Queue[Stream] = asyncio.Queue()
        self._server: Any = None
        self.services: list[tuple[Any, Any]] = []

    async def start(self) -> None:
        self._server = grpc.aio.server()
        actors_pb2_grpc.add_ActorHostServicer_to_server(self, self._server)
        actors_pb2_grpc.add_ActorsServicer_to_server(self, self._server)
        for add, servicer in self.services:
            add(servicer, self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(grace=None)

    async def stream(self) -> Stream:
        """The next stream that was opened."""
        async with asyncio.timeout(5):
            return await self._streams.get()

    async def Connect(self, requests: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        stream = Stream(context)
        self._streams.put_nowait(stream)
        await stream.serve(requests)

    async def InvokeStream(self, requests: AsyncIterator[Any], context: Any) -> None:  # noqa: N802
        await self.Connect(requests, context)

    async def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.unary.append(request)
        return protocol_pb2.InvocationResponse(status=self._status())

    async def Spawn(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.unary.append(request)
        return protocol_pb2.SpawnResponse(status=self._status())

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802
        self.unary.append(request)
        for answer in self.answers:
            response = protocol_pb2.InvocationResponse()
            response.value.type_url, response.value.value = payloads.encode(answer)
            await context.write(response)
        await context.abort(
            grpc.StatusCode.UNAVAILABLE,
            "no host",
            trailing_metadata=(("crdtmesh-error", "no_host"), ("crdtmesh-outcome", "not_applied")),
        )

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.unary.append(request)
        return pb.DeleteActorsResponse(found=[actor.name != "nobody" for actor in request.actors])

    def _status(self) -> protocol_pb2.RequestStatus:
        if self.refusal:
            return protocol_pb2.RequestStatus(status=protocol_pb2.ERROR, message=self.refusal)
        return protocol_pb2.RequestStatus(status=protocol_pb2.OK, message="Accepted")

    async def accept_host(self) -> tuple[Stream, Any]:
        """Waits for a host and takes its actors; gives its stream and its registration."""
        stream = await self.stream()
        first = await stream.next()
        await stream.send(pb.TurnBatch(registered=protocol_pb2.RegistrationResponse(status=self._status())))
        return stream, first.register


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    # A short path of our own: a socket's path may have 107 bytes, and pytest's folders come close.
    with tempfile.TemporaryDirectory(prefix="sdk") as folder:
        served = Node(Path(folder) / "n.sock")
        await served.start()
        yield served
        await served.stop()


@pytest.fixture
async def second_node() -> AsyncIterator[Node]:
    with tempfile.TemporaryDirectory(prefix="sdk") as folder:
        served = Node(Path(folder) / "n.sock")
        await served.start()
        yield served
        await served.stop()
