# ruff: noqa: ASYNC109 - a timeout here is the deadline that travels to the node, not only our patience
"""Unary calls: by name, with their failures as the SDK's errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
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
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, actors_pb2_grpc, cluster_pb2_grpc, state_pb2_grpc
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2

__all__ = ["Unary", "call_error", "call_unary", "delete", "send", "spawn", "stop", "streamed", "watched"]

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
        raise call_error(error) from None
    except asyncio.CancelledError:
        # A channel that is closed cancels its calls, which looks like a cancellation of ours.
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        raise ConnectionLost("the connection broke with the call in flight", outcome="unknown") from None


async def send(unary: Unary, request: protocol_pb2.InvocationRequest, timeout: float | None) -> None:
    """Puts one call into an actor's queue, or keeps it for later, with Spawn's own messages.

    Raises:
        CallError: the node refused it.
    """
    response = await unary("Actors.Invoke", request, timeout)
    if response.status.status != protocol_pb2.OK:
        found = response.status.status == protocol_pb2.ACTOR_NOT_FOUND
        raise error_for("unknown_actor" if found else "invalid_request", response.status.message, "not_applied")


async def spawn(unary: Unary, system: str, parent: str, names: Sequence[str], timeout: float | None) -> None:
    """Spawns instances of a template.

    Raises:
        CallError: the node refused; spawning twice is the same as once, so a retry is safe.
    """
    ids = [actor_pb2.ActorId(name=name, system=system, parent=parent) for name in names]
    response = await unary("Actors.Spawn", protocol_pb2.SpawnRequest(actors=ids), timeout)
    if response.status.status != protocol_pb2.OK:
        raise error_for("invalid_request", response.status.message, "not_applied")


async def delete(unary: Unary, system: str, parent: str, names: Sequence[str], timeout: float | None) -> list[bool]:
    """Removes actors; whether there was something to remove, for each.

    Raises:
        CallError: deleting twice is the same as once, so a retry is safe.
    """
    ids = [actor_pb2.ActorId(name=name, system=system, parent=parent) for name in names]
    response = await unary("Actors.Delete", actors_pb2.DeleteActorsRequest(actors=ids), timeout)
    return list(response.found)


async def stop(unary: Unary, system: str, parent: str, names: Sequence[str], timeout: float | None) -> list[bool]:
    """Takes actors out of memory; whether each was there.

    Raises:
        CallError: stopping twice does no harm, so a retry is safe.
    """
    ids = [actor_pb2.ActorId(name=name, system=system, parent=parent) for name in names]
    response = await unary("Actors.Stop", actors_pb2.StopActorsRequest(actors=ids), timeout)
    return list(response.stopped)


async def watched(channel: Any, request: protocol_pb2.InvocationRequest) -> AsyncGenerator[tuple[str, bytes], None]:
    """The answers of a watch, as type URL and bytes.

    Raises:
        CallError: the watch ended.
    """
    async for response in streamed(actors_pb2_grpc.ActorsStub(channel).Watch(request), "watch"):
        yield response.value.type_url, response.value.value


async def streamed(call: Any, what: str) -> AsyncGenerator[Any, None]:
    """The messages of a call whose answers are a stream; the call ends with the iterator.

    Raises:
        CallError: the stream ended.
    """
    try:
        async for message in call:
            yield message
        raise ConnectionLost(f"the node ended the {what}", outcome="not_applied")
    except grpc.aio.AioRpcError as error:
        raise call_error(error) from None
    except asyncio.CancelledError:
        # A channel that is closed cancels its calls, which looks like a cancellation of ours.
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        raise ConnectionLost("the connection broke", outcome="not_applied") from None
    finally:
        call.cancel()


def call_error(error: grpc.aio.AioRpcError) -> CallError:
    """What a call that ended with a status raises."""
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
