"""A user function for the benchmarks: answers each invocation with its payload, as plainly as can be.

It stands for a host in a fast language: an asyncio protocol that reads a length, and two protobuf messages a call.
Run as `python -m benchmarks.user_function`.
"""

from __future__ import annotations

import asyncio
from typing import cast

from benchmarks.load import announce, run_loop
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import ActorInvocation, ActorInvocationResponse

_LENGTH = b"Content-Length: "


class _Function(asyncio.Protocol):
    def __init__(self) -> None:
        self._data = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answers a request that is whole."""
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.partition(_LENGTH)[2].partition(b"\r\n")[0]):
            return
        self._data = b""
        invocation = ActorInvocation.FromString(body)
        answer = ActorInvocationResponse(
            actor_name=invocation.actor.name, actor_system=invocation.actor.system, value=invocation.value
        )
        answer.updated_context.SetInParent()
        content = answer.SerializeToString()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%b"
            % (len(content), content)
        )


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Function, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    announce(address=f"{host}:{port}")
    await server.serve_forever()


if __name__ == "__main__":
    run_loop(_serve())
