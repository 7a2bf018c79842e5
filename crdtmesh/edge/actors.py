"""The services `Actors` and `ActorHost`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from crdtmesh.directory import Directory
from crdtmesh.edge.access import Access
from crdtmesh.edge.answer_watch import AnswerWatches
from crdtmesh.edge.call_stream import CallStream
from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import abort, trailers
from crdtmesh.edge.host_stream import HostStream
from crdtmesh.edge.pending import PendingCalls
from crdtmesh.edge.removal import Removal
from crdtmesh.edge.server import Service
from crdtmesh.edge.spawn_api import SpawnApi
from crdtmesh.edge.subscription import subscribe
from crdtmesh.engine import Engine
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome, RegistrationRefused
from crdtmesh.runtime.messages import STATE_CHANGED, CallFailure
from crdtmesh.wire import registration
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, actors_pb2_grpc
from crdtmesh.wire.gen.spawn.actors import actor_pb2, protocol_pb2
from crdtmesh.wire.invocations import address_from

# Of one request to delete or to stop; each takes a few milliseconds, one after the other.
ACTORS_MAX: Final = 1_000


class ActorsServicer(actors_pb2_grpc.ActorsServicer):
    """Calls to actors."""

    def __init__(
        self, engine: Engine, pending: PendingCalls, directory: Directory, *, system: str, access: Access
    ) -> None:
        self._engine = engine
        self._access = access
        self._pending = pending
        self._spawn = SpawnApi(engine, pending, access)
        self._watches = AnswerWatches(engine, self._spawn, system=system)
        self._removal = Removal(engine, pending)
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
        remaining_s = context.time_remaining()
        timeout_ms = max(1, int(remaining_s * 1000)) if remaining_s is not None else 0
        invoked = await self._spawn.invoke(request, system=self._system, timeout_ms=timeout_ms)
        if invoked.failure is not None:
            context.set_trailing_metadata(trailers(invoked.failure.code, invoked.failure.outcome))
        return invoked.response

    async def Spawn(  # noqa: N802
        self, request: protocol_pb2.SpawnRequest, context: Context
    ) -> protocol_pb2.SpawnResponse:
        """Instances of templates."""
        return await self._spawn.spawn(request, system=self._system)

    async def Watch(  # noqa: N802
        self, request: protocol_pb2.InvocationRequest, context: Context
    ) -> None:
        """An action's answer, whenever it is another one."""
        await self._watches.watch(request, context)

    async def Stop(  # noqa: N802
        self, request: actors_pb2.StopActorsRequest, context: Context
    ) -> actors_pb2.StopActorsResponse:
        """Actors out of memory."""
        response = actors_pb2.StopActorsResponse()
        for actor in await self._named(request.actors, context):
            reply = await self._pending.stop(actor)
            if isinstance(reply, CallFailure):
                await abort(context, reply.code, f"actor {actor}: {reply.message}", reply.outcome)
            response.stopped.append(reply[0] == STATE_CHANGED)
        return response

    async def Subscribe(  # noqa: N802
        self, request: actors_pb2.SubscribeRequest, context: Context
    ) -> None:
        """What is broadcast on a channel."""
        await subscribe(self._engine, request, context, system=self._system)

    async def _named(self, ids: Sequence[actor_pb2.ActorId], context: Context) -> list[ActorAddress]:
        """The actors that a request is about."""
        actors = [address_from(actor, self._system) for actor in ids]
        if not 0 < len(actors) <= ACTORS_MAX or not all(actor.system and actor.name for actor in actors):
            message = f"1 to {ACTORS_MAX} actors with system and name expected, got {len(actors)}"
            await abort(context, ErrorCode.INVALID_REQUEST, message)
        return actors

    async def Delete(  # noqa: N802
        self, request: actors_pb2.DeleteActorsRequest, context: Context
    ) -> actors_pb2.DeleteActorsResponse:
        """Actors with all that is kept of them."""
        response = actors_pb2.DeleteActorsResponse()
        for actor in await self._named(request.actors, context):
            found = await self._removal.delete(actor)
            if isinstance(found, CallFailure):
                await abort(context, found.code, f"actor {actor}: {found.message}", Outcome.UNKNOWN)
            response.found.append(found)
        return response

    async def InvokeStream(  # noqa: N802
        self, request_iterator: AsyncIterator[actors_pb2.CallBatch], context: Context
    ) -> None:
        """Many calls over one stream."""
        await CallStream(self._engine, context, self._access).run(request_iterator)

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


def services(
    engine: Engine, pending: PendingCalls, directory: Directory, *, system: str, access: Access
) -> list[Service]:
    """Both services, for the server."""
    actors = ActorsServicer(engine, pending, directory, system=system, access=access)
    hosts = ActorHostServicer(engine)
    return [
        Service("crdtmesh.v1.Actors", lambda server: actors_pb2_grpc.add_ActorsServicer_to_server(actors, server)),
        Service("crdtmesh.v1.ActorHost", lambda server: actors_pb2_grpc.add_ActorHostServicer_to_server(hosts, server)),
    ]
