"""The generated code of `echo.proto`, made at import: nothing generated needs to be kept in step by hand."""

from __future__ import annotations

from typing import Any, Final

import grpc

_messages, _services = grpc.protos_and_services("benchmarks/bases/echo.proto")

Call: Final[Any] = _messages.Call
Batch: Final[Any] = _messages.Batch
EchoStub: Final[Any] = _services.EchoStub
add_servicer: Final[Any] = _services.add_EchoServicer_to_server


async def serve(servicer: object) -> tuple[Any, str]:
    """Starts a server for `servicer` on a free port of loopback; returns it and its address."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_servicer(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"
