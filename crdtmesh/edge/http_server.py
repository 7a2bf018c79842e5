"""The HTTP server: Spawn's protocol for its SDKs, health and metrics. Glue; what a request means is decided elsewhere.

Paths are those of Spawn's proxy, with and without `/api/v1`. What a path names is not read: the body says it, and SDKs
escape names in paths differently. Each error has a body that SDKs decode, since an empty one reads as success to some.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from aiohttp import web
from aiohttp.web_request import BaseRequest
from google.protobuf.message import DecodeError, Message

from crdtmesh.edge.access import Access
from crdtmesh.edge.access import Forbidden as Refused
from crdtmesh.edge.callbacks import CallbackRefused
from crdtmesh.edge.http_guard import Forbidden, check_origin, enter, is_remote
from crdtmesh.edge.http_hosts import HttpHosts
from crdtmesh.edge.intake import MALFORMED, OnRejected
from crdtmesh.edge.server import prepare_socket
from crdtmesh.edge.spawn_api import SpawnApi, invocation_refused, spawn_refused
from crdtmesh.errors import StartError
from crdtmesh.observability.metrics import Metrics
from crdtmesh.runtime.errors import ErrorCode, RegistrationRefused
from crdtmesh.wire import registration
from crdtmesh.wire.gen.spawn.actors import protocol_pb2

M = TypeVar("M", bound=Message)

# Spawn's own limit. A state may be half as large; it only comes in answers, which are bounded elsewhere.
BODY_SIZE_BYTES_MAX: Final = 8_000_000
# An SDK keeps a pool, the largest of 256. An idle connection costs some 10 kB, a busy one a body.
CONNECTIONS_MAX: Final = 1_024
# Pools of SDKs keep idle connections for up to 100 s; one that is closed under a request costs them a retry.
IDLE_MAX_S: Final = 120.0
# A body comes from the same machine, or from the next one. One that takes longer is held back to hold us up.
BODY_TIMEOUT_S: Final = 30.0
# SDKs put names into paths, three bytes for each byte that they escape. A name of thousands is answered in words.
LINE_SIZE_BYTES_MAX: Final = 64 * 1024
# The least digits that say all revisions: a revision is a 63-bit number.
REVISION_DIGITS_MAX: Final = 19

_PREFIX: Final = "/api/v1"
_OCTETS: Final = {"Content-Type": "application/octet-stream; charset=utf-8", "Connection": "keep-alive"}
_STATUSES: Final = {ErrorCode.FORBIDDEN: 403, ErrorCode.LIMIT_REACHED: 429}
_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
# None at all counts as the first.
_CONTENT_TYPES: Final = frozenset({"application/octet-stream", "application/protobuf", "application/x-protobuf"})


class HttpView(Protocol):
    """What the server shows of its node."""

    @property
    def is_ready(self) -> bool:
        """Whether calls are welcome."""

    @property
    def is_draining(self) -> bool:
        """Whether the node is shutting down."""

    @property
    def metrics(self) -> Metrics:
        """What the node measures."""


@dataclass(frozen=True, slots=True)
class _Route:
    """What serves a path.

    Attributes:
        label: stands for it in metrics.
        serve: makes the response.
        refuse: makes the body that says that the request can't be used; None for those without one.
        method: its name among those that not everyone may use; None for what everyone may.
    """

    label: str
    serve: Callable[[BaseRequest], Awaitable[web.Response]]
    refuse: Callable[[str], Message] | None = None
    method: str | None = None


class Unusable(Exception):
    """A request that can't be used; nothing was done.

    Attributes:
        status: the HTTP status that says so.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _BoundedServer(web.Server):
    """Closes connections beyond the bound as they come."""

    on_rejected: OnRejected

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > CONNECTIONS_MAX:
            self.on_rejected("connections_full", f"{CONNECTIONS_MAX} are open")
            # Not at once: its handler, which is about to start, would find itself without a server.
            asyncio.get_running_loop().call_soon(transport.abort)


class HttpServer:
    """Serves one TCP port and one Unix socket.

    Args:
        view: of the node.
        api: does the calls.
        hosts: takes registrations.
        on_rejected: hears of requests that can't be read, by reason and detail.
        access: who may do what.
    """

    def __init__(
        self, view: HttpView, api: SpawnApi, hosts: HttpHosts, *, on_rejected: OnRejected, access: Access
    ) -> None:
        self._view = view
        self._api = api
        self._hosts = hosts
        self._on_rejected = on_rejected
        self._access = access
        self._register = _Route("/system", self._serve_register, registration.refused, "http/system")
        self._spawn = _Route("/system/{system}/actors/spawn", self._serve_spawn, spawn_refused, "http/spawn")
        self._invoke = _Route(
            "/system/{system}/actors/{actor}/invoke", self._serve_invoke, invocation_refused, "http/invoke"
        )
        self._unknown = _Route("unknown", self._serve_unknown)
        live = _Route("/health/live", self._serve_live)
        ready = _Route("/health/ready", self._serve_ready)
        self._fixed = {
            ("POST", "/system"): self._register,
            ("GET", "/health"): live,
            ("GET", "/health/live"): live,
            ("GET", "/health/liveness"): live,
            ("GET", "/health/ready"): ready,
            ("GET", "/health/readiness"): ready,
            ("GET", "/metrics"): _Route("/metrics", self._serve_metrics, method="http/metrics"),
        }
        self._runner: web.ServerRunner | None = None
        self._socket: Path | None = None
        self.port = 0

    async def start(self, *, host: str, port: int, socket_path: Path, context: ssl.SSLContext | None = None) -> None:
        """Binds both addresses and starts serving.

        Args:
            host: an IP address.
            port: 0 takes a free one; see `port` afterwards.
            socket_path: in a folder of mode 0700, which is made if absent.
            context: for TLS on the port; None for plain TCP.

        Raises:
            StartError: an address can't be had; nothing is served.
        """
        loop = asyncio.get_running_loop()

        def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> BaseRequest:
            return BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_SIZE_BYTES_MAX)

        # No compression: nobody sends any, and a small body could become a huge one.
        server = _BoundedServer(
            self._handle,
            request_factory=request,
            access_log=None,
            auto_decompress=False,
            max_line_size=LINE_SIZE_BYTES_MAX,
            keepalive_timeout=IDLE_MAX_S,
            # Who closes the connection waits for no answer: its call is cancelled.
            handler_cancellation=True,
        )
        server.on_rejected = self._on_rejected
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=context).start()
        except OSError as error:
            raise StartError(
                f"HTTP port {port} on {host} can't be had: {error.strerror}; "
                "set another by --http-port, CRDTMESH_HTTP_PORT or PROXY_HTTP_PORT"
            ) from None
        self.port = self._runner.addresses[0][1]
        prepare_socket(socket_path, "--http-socket")
        try:
            await web.UnixSite(self._runner, socket_path).start()
        except OSError as error:
            raise StartError(
                f"the Unix socket {socket_path} can't be had: {error.strerror}; set another by --http-socket"
            ) from None
        self._socket = socket_path
        socket_path.chmod(0o600)

    async def stop(self) -> None:
        """Refuses new connections, and ends those that there are."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._socket is not None:
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()
            self._socket = None

    # --- one request

    async def _handle(self, request: BaseRequest) -> web.Response:
        began_s = time.perf_counter()
        route = self._route(request.method, request.path)
        try:
            check_origin(request)
            if route.method is not None and not self._access.is_open:
                enter(self._access, route.method, request)
            response = await route.serve(request)
        except Refused as error:
            challenge = {"WWW-Authenticate": "Bearer"} if error.is_anonymous else None
            status = 401 if error.is_anonymous else 429 if error.is_too_often else 403
            response = web.Response(status=status, text=str(error), headers=challenge)
        except Forbidden as error:
            self._on_rejected("forbidden_origin", str(error))
            response = web.Response(status=403, text=str(error))
        except Unusable as error:
            if route.refuse is None:
                response = web.Response(status=error.status, text=str(error))
            else:
                response = _message(error.status, route.refuse(str(error)))
        self._view.metrics.observe_request(request.method, route.label, response.status, time.perf_counter() - began_s)
        return response

    def _route(self, method: str, path: str) -> _Route:
        path = path.removeprefix(_PREFIX)
        route = self._fixed.get((method, path))
        if route is not None:
            return route
        if method == "POST" and path.startswith("/system/") and "/actors/" in path:
            if path.endswith("/invoke"):
                return self._invoke
            if path.endswith("/actors/spawn"):
                return self._spawn
        return self._unknown

    # --- Spawn

    async def _serve_register(self, request: BaseRequest) -> web.Response:
        message = await self._read(request, protocol_pb2.RegistrationRequest)
        if self._view.is_draining:
            raise Unusable(500, f"{NOT_CREATED} the node is stopping; register with another")
        try:
            callback = request.query.get("callback")
            await self._hosts.register(message, callback=callback, is_remote=is_remote(request))
        except (RegistrationRefused, CallbackRefused) as error:
            raise Unusable(500, f"{NOT_CREATED} {error}") from None
        return _message(200, registration.accepted())

    async def _serve_spawn(self, request: BaseRequest) -> web.Response:
        message = await self._read(request, protocol_pb2.SpawnRequest)
        response = await self._api.spawn(message, revision=_revision(request.query.get("revision", "")))
        return _message(200 if response.status.status == protocol_pb2.OK else 500, response)

    async def _serve_invoke(self, request: BaseRequest) -> web.Response:
        message = await self._read(request, protocol_pb2.InvocationRequest)
        invoked = await self._api.invoke(message)
        if invoked.failure is None:
            return _message(200, invoked.response)
        # Spawn means to say 403 where a policy forbids a call.
        return _message(_STATUSES.get(invoked.failure.code, 500), invoked.response)

    async def _read(self, request: BaseRequest, kind: type[M]) -> M:
        """The body as a message.

        Raises:
            Unusable: it is none.
        """
        if request.content_type not in _CONTENT_TYPES:
            raise Unusable(415, f"content type application/octet-stream expected, got {request.content_type[:64]!r}")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Unusable(415, "content encoding identity expected; send the body as it is")
        try:
            if request.content.is_eof():
                body = await request.read()
            else:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    body = await request.read()
        except TimeoutError:
            self._on_rejected("body_too_slow", request.path[:128])
            raise Unusable(408, f"the whole body expected within {BODY_TIMEOUT_S:.0f} s; send it at once") from None
        except web.HTTPRequestEntityTooLarge:
            self._on_rejected("body_too_large", request.path[:128])
            raise Unusable(
                413, f"a body of at most {BODY_SIZE_BYTES_MAX} bytes expected; send a smaller payload"
            ) from None
        try:
            return kind.FromString(body)
        except DecodeError:
            self._on_rejected(MALFORMED, f"{kind.DESCRIPTOR.name} of {len(body)} bytes")
            raise Unusable(
                400, f"a {kind.DESCRIPTOR.full_name} expected, got {len(body)} bytes that are none"
            ) from None

    # --- the rest

    async def _serve_live(self, request: BaseRequest) -> web.Response:
        del request
        return web.Response(body=b'{"status":"up"}', headers=_JSON)

    async def _serve_ready(self, request: BaseRequest) -> web.Response:
        del request
        if self._view.is_ready:
            return web.Response(body=b'{"status":"up"}', headers=_JSON)
        return web.Response(status=503, body=b'{"status":"down"}', headers=_JSON)

    async def _serve_metrics(self, request: BaseRequest) -> web.Response:
        del request
        content_type, text = self._view.metrics.exposition()
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def _serve_unknown(self, request: BaseRequest) -> web.Response:
        del request
        return web.Response(status=404, text="Not found!")


NOT_CREATED: Final = "Error on create Actors. Details:"


def _message(status: int, message: Message) -> web.Response:
    return web.Response(status=status, body=message.SerializeToString(), headers=_OCTETS)


def _revision(text: str) -> int:
    """The digits that it begins with, as Spawn reads it; 0 for none given.

    Raises:
        Unusable: it is given and begins with none.
    """
    if not text:
        return 0
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    if not digits or len(digits) > REVISION_DIGITS_MAX:
        raise Unusable(500, f"{NOT_CREATED} revision: a number expected, got {text[:64]!r}")
    return int(digits)
