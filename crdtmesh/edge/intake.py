"""Guards what comes in by gRPC: bytes that are no message end their call as the client's mistake, counted.

Left to itself gRPC calls them an error of the server, of unknown outcome, and logs a traceback for each. What its own
HTTP/2 layer refuses (bytes that are no HTTP/2, messages above the limit) it closes without telling us.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from crdtmesh.edge.access import Access, Forbidden
from crdtmesh.edge.columns import MalformedBatch
from crdtmesh.edge.context import CallerContext, Context
from crdtmesh.edge.errors import abort
from crdtmesh.runtime.errors import ErrorCode

MALFORMED: Final = "malformed_message"

# (reason, detail): something that came in was refused.
OnRejected = Callable[[str, str], None]
Behavior = Callable[[Any, Any], Awaitable[Any]]


class GuardedServer:
    """Stands in for a server while services are added to it."""

    def __init__(self, server: grpc.aio.Server, on_rejected: OnRejected, access: Access) -> None:
        self._server = server
        self._on_rejected = on_rejected
        self._access = access

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Ignored: the same handlers come with their names right after."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the methods of a service, each behind its guard."""
        guarded = {name: self._guarded(f"{service}/{name}", handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, guarded),))
        self._server.add_registered_method_handlers(service, guarded)

    def _guarded(self, method: str, handler: Any) -> Any:
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._entered(method, handler.stream_stream),
                _batch_reader(handler.request_deserializer),
                handler.response_serializer,
            )
        if handler.response_streaming:
            behavior = self._entered(method, handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(
                self._unary(behavior, handler.request_deserializer), None, handler.response_serializer
            )
        behavior = self._entered(method, handler.unary_unary)
        return grpc.unary_unary_rpc_method_handler(
            self._unary(behavior, handler.request_deserializer), None, handler.response_serializer
        )

    def _entered(self, method: str, behavior: Behavior) -> Behavior:
        """A behavior that only those reach who may; where everyone may, it costs nothing."""
        if self._access.is_open:
            return behavior

        async def serve(request: Any, context: CallerContext) -> Any:
            await self._enter(method, context)
            return await behavior(request, context)

        return serve

    async def _enter(self, method: str, context: CallerContext) -> None:
        host = context.peer()
        headers = dict(context.invocation_metadata() or ())
        names = context.auth_context().get("x509_subject_alternative_name", ())
        uris = [name.decode(errors="replace") for name in names if name.startswith(b"spiffe://")]
        try:
            self._access.enter(
                method,
                is_local=host.startswith("unix:"),
                authorization=str(headers.get("authorization", "")),
                uris=uris,
                host=host,
            )
        except Forbidden as refused:
            code = ErrorCode.LIMIT_REACHED if refused.is_too_often else ErrorCode.FORBIDDEN
            status = grpc.StatusCode.UNAUTHENTICATED if refused.is_anonymous else None
            await abort(context, code, str(refused), status=status)

    def _unary(self, behavior: Behavior, parse: Callable[[bytes], Any]) -> Callable[[bytes, Context], Awaitable[Any]]:
        async def serve(data: bytes, context: Context) -> Any:
            try:
                request = parse(data)
            except DecodeError as error:
                self._on_rejected(MALFORMED, str(error))
                await abort(context, ErrorCode.INVALID_REQUEST, str(error))
            return await behavior(request, context)

        return serve


def _batch_reader(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A parser that raises what the servicers of streams end the stream for."""

    def read(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError as error:
            raise MalformedBatch(str(error)) from None

    return read
