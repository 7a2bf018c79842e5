"""Spawn's requests, whichever door they came by: what they ask of the runtime, and Spawn's answers to them."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from crdtmesh.edge.pending import PendingCalls
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import CallExtra, CallFailure
from crdtmesh.runtime.workflow import Invocation
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from crdtmesh.wire.invocations import invocation_from, set_payload

# Spawn's own way to give a call a deadline, in milliseconds.
TIMEOUT_METADATA: Final = "request-timeout"
# The runtime cuts it further; this keeps ten thousand digits from being a number.
TIMEOUT_MS_MAX: Final = 2**31


class Invoked(NamedTuple):
    """How a call ended: Spawn's answer to it, and what precisely went wrong, if anything did."""

    response: protocol_pb2.InvocationResponse
    failure: CallFailure | None


class SpawnApi:
    """Calls with Spawn's messages.

    Args:
        pending: makes the calls.
    """

    def __init__(self, pending: PendingCalls) -> None:
        self._pending = pending

    async def invoke(
        self, request: protocol_pb2.InvocationRequest, *, system: str = "", timeout_ms: int = 0
    ) -> Invoked:
        """One call.

        Args:
            request: as it came.
            system: the actor system when the request names none; empty when it must.
            timeout_ms: the caller's deadline when its metadata have none; 0 for the node's default.
        """
        asked = invocation_from(request, system=system, wall_ms=time.time_ns() // 1_000_000)
        unserved = _unserved(asked)
        if unserved is not None:
            return _failed(request, CallFailure(0, ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED, unserved))
        call = self._pending.enqueue if asked.is_async else self._pending.invoke
        reply = await call(
            asked.actor,
            asked.action,
            type_url=asked.type_url,
            payload=asked.payload,
            timeout_ms=_timeout_ms(asked) or timeout_ms,
            extra=_extra(asked),
        )
        if isinstance(reply, CallFailure):
            return _failed(request, reply)
        response = _response(request, protocol_pb2.OK, "")
        if reply is not None:
            set_payload(response, *reply)
        return Invoked(response, None)

    def spawn(self, request: protocol_pb2.SpawnRequest, *, revision: int) -> protocol_pb2.SpawnResponse:
        """Instances of UNNAMED templates.

        Args:
            request: whom to spawn.
            revision: of the state to start from; 0 for the newest.
        """
        del revision
        problem = "Error on create Actors. Details: "
        if request.actors:
            actor = request.actors[0]
            problem += f"actor {actor.name[:64]!r}: " + _NO_TEMPLATES
        else:
            problem += "the request names no actor"
        return spawn_refused(problem)


def spawn_refused(message: str) -> protocol_pb2.SpawnResponse:
    """The answer to a request for instances that there will not be."""
    return protocol_pb2.SpawnResponse(status=protocol_pb2.RequestStatus(status=protocol_pb2.ERROR, message=message))


def invocation_refused(message: str) -> protocol_pb2.InvocationResponse:
    """The answer to what could not even be read as a call."""
    return protocol_pb2.InvocationResponse(
        status=protocol_pb2.RequestStatus(status=protocol_pb2.ERROR, message=message)
    )


_NO_TEMPLATES: Final = (
    "spawning from an UNNAMED template (register_ref, id.parent) is not served yet; register the actor as NAMED"
)


def _unserved(asked: Invocation) -> str | None:
    """What the request asks for and this version doesn't do; silence would be worse."""
    if not asked.actor.system:
        return "system.name is empty; name the actor system"
    if not asked.actor.name:
        return "actor.id.name is empty; name the actor to call"
    if asked.scheduled_ms:
        return "scheduled_to is not served yet; call without it"
    if asked.templates:
        return _NO_TEMPLATES
    if asked.is_pooled:
        return "pooled is not served yet; call without it"
    return None


def _timeout_ms(asked: Invocation) -> int:
    """The deadline that Spawn's metadata name; 0 for none."""
    named = asked.metadata.get(TIMEOUT_METADATA, "")
    if not (named.isascii() and named.isdecimal()):
        return 0
    return int(named) if len(named) < len(str(TIMEOUT_MS_MAX)) else TIMEOUT_MS_MAX


def _extra(asked: Invocation) -> CallExtra | None:
    if not asked.metadata and asked.caller is None:
        return None
    return CallExtra(dict(asked.metadata), asked.caller)


def _response(
    request: protocol_pb2.InvocationRequest, status: protocol_pb2.Status, message: str
) -> protocol_pb2.InvocationResponse:
    return protocol_pb2.InvocationResponse(
        status=protocol_pb2.RequestStatus(status=status, message=message), system=request.system, actor=request.actor
    )


def _failed(request: protocol_pb2.InvocationRequest, failure: CallFailure) -> Invoked:
    is_unknown = failure.code is ErrorCode.UNKNOWN_ACTOR
    status = protocol_pb2.ACTOR_NOT_FOUND if is_unknown else protocol_pb2.ERROR
    return Invoked(_response(request, status, failure.message), failure)
