"""Spawn's requests, whichever door they came by: what they ask of the runtime, and Spawn's answers to them."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from crdtmesh.edge.access import Access
from crdtmesh.edge.pending import PendingCalls
from crdtmesh.engine import Engine
from crdtmesh.engine_ports import CommitLost
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.runtime.errors import ErrorCode, Outcome, RuntimeRefusal
from crdtmesh.runtime.messages import CallExtra, CallFailure
from crdtmesh.runtime.workflow import Invocation
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from crdtmesh.wire.invocations import address_from, invocation_from, set_payload
from crdtmesh.wire.registration import ACCEPTED

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
        engine: of the node.
        pending: makes the calls.
        access: who may make which.
    """

    def __init__(self, engine: Engine, pending: PendingCalls, access: Access) -> None:
        self._access = access
        self._engine = engine
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
        refusal = self._access.check_call(asked.actor, asked.action, asked.caller)
        if refusal is not None:
            return _failed(request, CallFailure(0, refusal.code, Outcome.NOT_APPLIED, refusal.reason))
        # The reply to a call for later says that it is kept.
        is_enqueued = asked.is_async and not asked.scheduled_ms
        call = self._pending.enqueue if is_enqueued else self._pending.invoke
        reply = await call(
            self._engine.runtime.instance(asked.actor, asked.templates),
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

    async def spawn(
        self, request: protocol_pb2.SpawnRequest, *, system: str = "", revision: int = 0
    ) -> protocol_pb2.SpawnResponse:
        """Instances of UNNAMED templates; they are remembered on disk when this returns.

        Args:
            request: whom to spawn.
            system: the actor system of ids that name none.
            revision: of the state to start from, once; 0 for the newest.
        """
        if not request.actors:
            return spawn_refused(f"{_SPAWN_FAILED}the request names no actor")
        instances = [address_from(actor, system) for actor in request.actors]
        try:
            self._engine.spawn(instances)
            await self._engine.committed()
        except (RuntimeRefusal, ReplicationError, CommitLost) as error:
            return spawn_refused(f"{_SPAWN_FAILED}{error}")
        for instance in instances if revision else ():
            reply = await self._pending.restore(instance, revision)
            if isinstance(reply, CallFailure):
                return spawn_refused(f"{_SPAWN_FAILED}{reply.message}")
        return protocol_pb2.SpawnResponse(status=protocol_pb2.RequestStatus(status=protocol_pb2.OK, message=ACCEPTED))


def spawn_refused(message: str) -> protocol_pb2.SpawnResponse:
    """The answer to a request for instances that there will not be."""
    return protocol_pb2.SpawnResponse(status=protocol_pb2.RequestStatus(status=protocol_pb2.ERROR, message=message))


def invocation_refused(message: str) -> protocol_pb2.InvocationResponse:
    """The answer to what could not even be read as a call."""
    return protocol_pb2.InvocationResponse(
        status=protocol_pb2.RequestStatus(status=protocol_pb2.ERROR, message=message)
    )


# Spawn's words.
_SPAWN_FAILED: Final = "Error on create Actors. Details: "


def _unserved(asked: Invocation) -> str | None:
    """What the request asks for and this version doesn't do; silence would be worse."""
    if not asked.actor.system:
        return "system.name is empty; name the actor system"
    if not asked.actor.name:
        return "actor.id.name is empty; name the actor to call"
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
    if not asked.metadata and asked.caller is None and not asked.scheduled_ms:
        return None
    return CallExtra(dict(asked.metadata), asked.caller, scheduled_ms=asked.scheduled_ms)


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
