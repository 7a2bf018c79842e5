"""Connecting to a node's gRPC endpoint: what an address may be, the options of a channel, and how to wait for it."""

from __future__ import annotations

import asyncio
import os
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from crdtmesh.identity.names import SERVER_NAME
from crdtmesh.sdk.errors import Forbidden, NotConnected
from crdtmesh.wire.gen.crdtmesh.v1 import cluster_pb2, cluster_pb2_grpc

__all__ = ["Backoff", "Credentials", "open_channel", "target_of"]

_MESSAGE_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024  # the node's own limit

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_SIZE_BYTES_MAX),
    # A node that went away without closing its connection is noticed after 15 s. Nodes allow a ping each 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Each attempt is a new one: channels of one process would otherwise share a back-off of up to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
    # The endpoint is on this machine or near; a web proxy from the environment is not meant for it.
    ("grpc.enable_http_proxy", 0),
)

_TLS: Final = "tls:"

_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]/\s]+):\d{1,5}")


def target_of(address: str) -> str:
    """The gRPC target of `HOST:PORT`, `[V6]:PORT`, `tls:HOST:PORT`, `unix:PATH` or an absolute path.

    Raises:
        ValueError: the text has another form.
    """
    if address.startswith("/"):
        return f"unix:{address}"
    if address.startswith("unix:") and len(address) > 5:
        return address
    address = address.removeprefix(_TLS)
    if _ADDRESS.fullmatch(address) and int(address.rpartition(":")[2]) <= 65_535:
        return f"dns:///{address}"
    raise ValueError(f"expected HOST:PORT, tls:HOST:PORT or unix:PATH, got {address!r:.64}; for example 127.0.0.1:9980")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client shows at an endpoint beyond this machine, and whom it believes.

    Attributes:
        authority: file with the certificates of who signs for the cluster, PEM.
        token: as `crdtmesh tokens issue` printed it; empty without one.
        certificate: file with the client's private key and certificate, PEM; None without one.
    """

    authority: Path
    token: str = ""
    certificate: Path | None = None

    def __repr__(self) -> str:
        shown = "..." if self.token else ""
        return f"Credentials(authority={self.authority}, token={shown!r}, certificate={self.certificate})"

    @classmethod
    def from_environment(cls) -> Credentials:
        """Reads `CRDTMESH_AUTHORITY`, `CRDTMESH_TOKEN` or `CRDTMESH_TOKEN_FILE`, and `CRDTMESH_CLIENT_CERTIFICATE`.

        Raises:
            NotConnected: no authority is named, or the token's file can't be read.
        """
        authority = os.environ.get("CRDTMESH_AUTHORITY")
        if authority is None:
            raise NotConnected("tls: needs CRDTMESH_AUTHORITY, the authority's certificate", outcome="not_applied")
        token = os.environ.get("CRDTMESH_TOKEN", "")
        file = os.environ.get("CRDTMESH_TOKEN_FILE")
        certificate = os.environ.get("CRDTMESH_CLIENT_CERTIFICATE")
        if file and not token:
            token = _read(Path(file)).decode(errors="replace").strip()
        return cls(authority=Path(authority), token=token, certificate=Path(certificate) if certificate else None)


def _secure_channel(address: str, credentials: Credentials) -> Any:
    own = None if credentials.certificate is None else _read(credentials.certificate)
    secured = grpc.ssl_channel_credentials(_read(credentials.authority), own, own)
    if credentials.token:
        secured = grpc.composite_channel_credentials(secured, grpc.access_token_call_credentials(credentials.token))
    # Every node's certificate has this name, so any of them may be reached by any address.
    options = (*_OPTIONS, ("grpc.ssl_target_name_override", SERVER_NAME))
    return grpc.aio.secure_channel(target_of(address), secured, options=options)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotConnected(f"{path} can't be read: {error.strerror}", outcome="not_applied") from None


async def open_channel(address: str, *, timeout_s: float) -> Any:
    """A channel that is connected; the caller closes it.

    Args:
        address: as `target_of` takes it; for `tls:` see `Credentials.from_environment`.
        timeout_s: how long to wait, in seconds.

    Raises:
        NotConnected: nobody answers there.
        Forbidden: the node does not let this client in.
    """
    if address.startswith(_TLS):
        channel = _secure_channel(address, Credentials.from_environment())
    else:
        channel = grpc.aio.insecure_channel(target_of(address), options=_OPTIONS)
    try:
        async with asyncio.timeout(timeout_s):
            await _ready(channel, address)
            if address.startswith(_TLS):
                await _let_in(channel)
    except TimeoutError:
        await channel.close()
        raise NotConnected(f"no node answered at {address} in {timeout_s:g} s", outcome="not_applied") from None
    except BaseException:
        await channel.close()
        raise
    return channel


async def _let_in(channel: Any) -> None:
    """Asks for something that every client may have: TLS 1.3 is up before the server has judged the client."""
    try:
        await cluster_pb2_grpc.ClusterStub(channel).Members(cluster_pb2.MembersRequest())
    except grpc.aio.AioRpcError as error:
        text = error.details() or str(error.code())
        if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            raise Forbidden(text, outcome="not_applied") from None
        raise NotConnected(f"the node closes the connection: {text:.200}", outcome="not_applied") from None


async def _ready(channel: Any, address: str) -> None:
    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise NotConnected(f"no node answers at {address}", outcome="not_applied")
        await channel.wait_for_state_change(state)


class Backoff:
    """Delays between attempts: doubling from 50 ms to 2 s, each drawn between half of that and all of it."""

    __slots__ = ("_attempts",)

    FIRST_S: Final = 0.05
    LAST_S: Final = 2.0

    def __init__(self) -> None:
        self._attempts = 0

    def next_s(self) -> float:
        """The next delay, in seconds."""
        ceiling = min(self.FIRST_S * 2**self._attempts, self.LAST_S)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads attempts, keeps no secret

    def reset(self) -> None:
        """Starts again with the shortest delay."""
        self._attempts = 0
