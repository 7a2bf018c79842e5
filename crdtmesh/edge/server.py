"""The gRPC server: ports, the Unix socket, health and reflection. Glue only; what a call does is in the servicers.

Driven from the node. A port that is taken is an error, never shared; a socket file left by a process that is gone is
replaced.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from crdtmesh.edge.access import Access
from crdtmesh.edge.intake import GuardedServer, OnRejected
from crdtmesh.errors import StartError

# A whole state travels as one message: the hard limit of an entry is 4 MiB, its protobuf form is at most twice that,
# and a batch is cut at the same size.
MESSAGE_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024

_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # the default lets two nodes share a port in silence
    ("grpc.max_receive_message_length", MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_SIZE_BYTES_MAX),
    # Clients keep idle streams alive by pings; the server's default would close on those.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service: its full name, and the function that adds it to a server."""

    name: str
    add: Callable[[Any], None]


class GrpcServer:
    """Serves the given services on one TCP port and one Unix socket.

    Args:
        services: to be served, beside health and reflection.
        on_rejected: called with reason and detail for each message that could not be read.
        access: who may do what.
    """

    def __init__(self, services: Sequence[Service], *, on_rejected: OnRejected, access: Access) -> None:
        self._server = grpc.aio.server(options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        self._names = [service.name for service in services]
        guarded = GuardedServer(self._server, on_rejected, access)
        for service in services:
            service.add(guarded)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self._socket: Path | None = None
        self.port = 0

    async def start(self, *, host: str, port: int, socket_path: Path, credentials: Any = None) -> None:
        """Binds both addresses and starts serving.

        Args:
            host: an IP address.
            port: 0 takes a free one; see `port` afterwards.
            socket_path: in a folder of mode 0700, which is made if absent.
            credentials: of gRPC, for TLS on the port; None for plain TCP.

        Raises:
            StartError: an address can't be had; nothing is served.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise StartError(
                f"gRPC port {port} on {host} can't be had, another process may hold it; "
                "set another by --grpc-port or CRDTMESH_GRPC_PORT"
            ) from None
        prepare_socket(socket_path, "--socket")
        try:
            self._server.add_insecure_port(f"unix:{socket_path}")
        except RuntimeError:
            raise StartError(f"the Unix socket {socket_path} can't be had; set another by --socket") from None
        self._socket = socket_path
        await self._server.start()
        socket_path.chmod(0o600)
        await self.set_serving(serving=True)

    async def set_serving(self, *, serving: bool) -> None:
        """Tells health checks whether calls are welcome."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self, *, grace_s: float) -> None:
        """Refuses new calls, lets those in flight end for `grace_s` seconds, then closes."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
        if self._socket is not None:
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()
            self._socket = None


def prepare_socket(path: Path, flag: str) -> None:
    """Makes the folder, and removes the socket of a process that is gone.

    Args:
        path: of the socket.
        flag: what sets another path, for messages.

    Raises:
        StartError: the path can't be had.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"the folder of the Unix socket {path} can't be made: {error.strerror}") from None
    if not path.is_socket():
        if path.exists():
            raise StartError(f"{path} exists and is not a socket; set another by {flag}")
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.closing(probe):
        if probe.connect_ex(os.fspath(path)) == 0:
            raise StartError(f"the Unix socket {path} is in use by another process; set another by {flag}")
    path.unlink()
