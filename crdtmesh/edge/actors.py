"""The services `Actors` and `ActorHost`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from crdtmesh.directory import Directory
from crdtmesh.edge.call_stream import CallStream
from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import trailers
from crdtmesh.edge.host_stream import HostStream
from crdtmesh.edge.pending import PendingCalls
from crdtmesh.edge.server import Service
from crdtmesh.engine import Engine
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome, RegistrationRefused
from crdtmesh.runtime.messages import CallExtra, CallFailure
from crdtmesh.wire import registration
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, actors_pb2_grpc
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2

# Spawn's own way to give a call a deadline, in milliseconds.
TIMEOUT_METADATA: Final = "request-timeout"
NOOP_URL: Final = "type.googleapis.com/spawn.Noop"


class ActorsServicer(actors_pb2_grpc.ActorsServicer):
    """Calls to actors."""

    def __init__(self, engine: Engine, pending: PendingCalls, directory: Directory, *, system: str) -> None:
        self._engine = engine
        self._pending = pending
        self._directory = directory
        self._system = system

    async def Register(  # noqa: N802 - the name is the protocol's
        self, request: protocol_pb2.RegistrationRequest, context: Context
    ) -> protocol_pb2.RegistrationResponse:
        """Declares actors; they become callable when a host connects."""
        try:
            self._engine.register(registration.definitions_from(request))
        except RegistrationRefused as error:
            context.set_trailing_metadata(trailers(ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED))
            return registration.refused(str(error))
        return registration.accepted()

    async def Invoke(  # noqa: N802
        self, request: protocol_pb2.InvocationRequest, context: Context
    ) -> protocol_pb2.InvocationResponse:
        """One call with Spawn's messages."""
        actor = request.actor.id
        address = ActorAddress(actor.system or request.system.name or self._system, actor.name, actor.parent)
        unserved = _unserved(request)
        if unserved is not None:
            return _failed(request, context, CallFailure(0, ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED, unserved))
        kind = request.WhichOneof("payload")
        type_url, payload = {
            "value": (request.value.type_url, request.value.value),
            "noop": (NOOP_URL, b""),
            None: ("", b""),
        }[kind]
        call = self._pending.enqueue if getattr(request, "async") else self._pending.invoke
        reply = await call(
            address,
            request.action_name,
            type_url=type_url,
            payload=payload,
            timeout_ms=_timeout_ms(request, context),
            extra=_extra(request),
        )
        if isinstance(reply, CallFailure):
            return _failed(request, context, reply)
        response = protocol_pb2.InvocationResponse(
            status=protocol_pb2.RequestStatus(status=protocol_pb2.OK), system=request.system, actor=request.actor
        )
        if reply is not None and reply[0]:
            response.value.type_url, response.value.value = reply
        return response

    async def InvokeStream(  # noqa: N802
        self, request_iterator: AsyncIterator[actors_pb2.CallBatch], context: Context
    ) -> None:
        """Many calls over one stream."""
        await CallStream(self._engine, context).run(request_iterator)

    async def List(  # noqa: N802
        self, request: actors_pb2.ListActorsRequest, context: Context
    ) -> actors_pb2.ListActorsResponse:
        """The actors that live nodes offer."""
        return actors_pb2.ListActorsResponse(
            actors=[
                actors_pb2.ActorInfo(
                    id=actor_pb2.ActorId(system=offer.address.system, name=offer.address.name),
                    state_type=offer.state_type,
                    actions=offer.actions,
                    nodes=nodes,
                )
                for offer, nodes in self._directory.actors(self._engine.runtime.offers())
                if request.system in ("", offer.address.system)
            ]
        )


class ActorHostServicer(actors_pb2_grpc.ActorHostServicer):
    """Hosts of actors."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Connect(  # noqa: N802
        self, request_iterator: AsyncIterator[actors_pb2.HostBatch], context: Context
    ) -> None:
        """One host."""
        await HostStream(self._engine, context).run(request_iterator)


def services(engine: Engine, pending: PendingCalls, directory: Directory, *, system: str) -> list[Service]:
    """Both services, for the server."""
    actors = ActorsServicer(engine, pending, directory, system=system)
    hosts = ActorHostServicer(engine)
    return [
        Service("crdtmesh.v1.Actors", lambda server: actors_pb2_grpc.add_ActorsServicer_to_server(actors, server)),
        Service("crdtmesh.v1.ActorHost", lambda server: actors_pb2_grpc.add_ActorHostServicer_to_server(hosts, server)),
    ]


def _unserved(request: protocol_pb2.InvocationRequest) -> str | None:
    """What the request asks for and this version doesn't do; silence would be worse."""
    if not request.actor.id.name:
        return "actor.id.name is empty; name the actor to call"
    if request.scheduled_to:
        return "scheduled_to is not served yet; call without it"
    if request.register_ref or request.actor.id.parent:
        return (
            "spawning from an UNNAMED template (register_ref, id.parent) is not served yet; register the actor as NAMED"
        )
    if request.pooled:
        return "pooled is not served yet; call without it"
    return None


def _timeout_ms(request: protocol_pb2.InvocationRequest, context: Context) -> int:
    """The caller's deadline in milliseconds, from Spawn's metadata or from gRPC; 0 when it named none."""
    named = request.metadata.get(TIMEOUT_METADATA, "")
    if named.isdecimal():
        return min(int(named), 2**31)
    remaining_s = context.time_remaining()
    return max(1, int(remaining_s * 1000)) if remaining_s is not None else 0


def _extra(request: protocol_pb2.InvocationRequest) -> CallExtra | None:
    if not request.metadata and not request.HasField("caller"):
        return None
    caller = request.caller
    address = ActorAddress(caller.system, caller.name, caller.parent) if caller.name else None
    return CallExtra(dict(request.metadata), address)


def _failed(
    request: protocol_pb2.InvocationRequest, context: Context, failure: CallFailure
) -> protocol_pb2.InvocationResponse:
    context.set_trailing_metadata(trailers(failure.code, failure.outcome))
    status = protocol_pb2.ACTOR_NOT_FOUND if failure.code is ErrorCode.UNKNOWN_ACTOR else protocol_pb2.ERROR
    return protocol_pb2.InvocationResponse(
        status=protocol_pb2.RequestStatus(status=status, message=failure.message),
        system=request.system,
        actor=request.actor,
    )
