"""Unary calls: by name, with their failures as the SDK's errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

from crdtmesh.sdk.errors import (
    CallError,
    CallTimeout,
    ConnectionLost,
    InvalidRequest,
    NotConnected,
    Outcome,
    error_for,
)
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2_grpc, cluster_pb2_grpc, state_pb2_grpc

__all__ = ["Unary", "call_unary"]

Unary: TypeAlias = Callable[[str, Any, float | None], Awaitable[Any]]
"""Calls a method ("State.Get") with a message and a timeout in seconds, None for the default."""

_STUBS: Final[dict[str, Any]] = {
    "Actors": actors_pb2_grpc.ActorsStub,
    "Cluster": cluster_pb2_grpc.ClusterStub,
    "State": state_pb2_grpc.StateStub,
}


async def call_unary(channel: Any, method: str, request: Any, *, timeout_s: float) -> Any:
    """Calls a method on a channel that is connected.

    Raises:
        CallError: one of its subclasses.
    """
    if channel is None:
        raise NotConnected("the connection broke before the call was sent", outcome="not_applied")
    service, _, name = method.partition(".")
    try:
        return await getattr(_STUBS[service](channel), name)(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise _error(error) from None
    except asyncio.CancelledError:
        # A channel that is closed cancels its calls, which looks like a cancellation of ours.
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        raise ConnectionLost("the connection broke with the call in flight", outcome="unknown") from None


def _error(error: grpc.aio.AioRpcError) -> CallError:
    trailers = dict(error.trailing_metadata() or ())
    message = error.details() or str(error.code())
    if (code := trailers.get("crdtmesh-error")) is not None:
        outcome: Outcome = "not_applied" if trailers.get("crdtmesh-outcome") == "not_applied" else "unknown"
        return error_for(str(code), message, outcome)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CallTimeout("the node did not answer in time", outcome="unknown")
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return ConnectionLost(message, outcome="unknown")
    if error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT):
        return InvalidRequest(message, outcome="not_applied")
    return CallError(message, outcome="unknown")
