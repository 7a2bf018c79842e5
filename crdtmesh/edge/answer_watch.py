"""`Actors.Watch`: an action's answer, made anew whenever the actor's state changes.

The node's own copy of the state says when; whoever runs the actor makes the answer. So a watch works on any node, for
opaque states that live elsewhere too, and what a reader sees is never older than the change that caused it: the call
is made after it.

A watch may begin and end with a change of the state, as a connection does that others should see: one action is called
before the first answer, another one when the reader has gone, each once and with the watch's own payload.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import abort
from crdtmesh.edge.spawn_api import SpawnApi
from crdtmesh.edge.watch import ENDS
from crdtmesh.engine import Engine
from crdtmesh.observability import logs
from crdtmesh.replication.watch import Selection
from crdtmesh.replication.watching import WatchRefused
from crdtmesh.runtime.definition import state_key
from crdtmesh.runtime.errors import ErrorCode
from crdtmesh.watch_streams import WatchEnded, WatchStream
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from crdtmesh.wire.invocations import address_from
from crdtmesh.wire.tags import ON_CANCEL_METADATA, ON_OPEN_METADATA

__all__ = ["AnswerWatches"]

INTERVAL_MS: Final = 50
"""Changes within so much time cause one call. It bounds what an action that changes its own state costs, too."""

_MS_NS: Final = 1_000_000

_LOG: Final = logging.getLogger(__name__)


class AnswerWatches:
    """The watches of answers at one node.

    Args:
        engine: of the node.
        api: makes the calls.
        system: the actor system of ids that name none.
    """

    def __init__(self, engine: Engine, api: SpawnApi, *, system: str) -> None:
        self._engine = engine
        self._api = api
        self._system = system
        # Calls that outlive their watch.
        self._farewells: set[asyncio.Task[None]] = set()

    async def watch(self, request: protocol_pb2.InvocationRequest, context: Context) -> None:
        """Serves one reader until it goes, a call fails, or the watch ends.

        Args:
            request: the call to make again and again.
            context: of the reader.
        """
        if request.scheduled_to or getattr(request, "async"):
            message = "a watch waits for its answers; leave out async, scheduled_to"
            await abort(context, ErrorCode.INVALID_REQUEST, message)
        on_open, on_cancel = (_taken(request, name) for name in (ON_OPEN_METADATA, ON_CANCEL_METADATA))
        actor = self._engine.runtime.resolve(address_from(request.actor.id, request.system.name or self._system))
        selection = Selection(system=actor.system, key=state_key(actor), prefix="", type_name="")
        try:
            stream = self._engine.watches.open(selection, interval_ns=INTERVAL_MS * _MS_NS, token="")
        except WatchRefused as error:
            await abort(context, ErrorCode.LIMIT_REACHED if error.is_limit else ErrorCode.INVALID_REQUEST, str(error))
        except WatchEnded as error:
            await abort(context, ENDS[error.code], str(error))
        try:
            if on_open:
                await self._answer(_calling(request, on_open), context)
            await self._serve(stream, request, context)
        except WatchEnded as error:
            await abort(context, ENDS[error.code], str(error))
        except asyncio.CancelledError:
            # gRPC cancels the call when its client goes.
            if on_cancel:
                self._part(_calling(request, on_cancel))
            raise
        finally:
            stream.close()

    async def _serve(self, stream: WatchStream, request: protocol_pb2.InvocationRequest, context: Context) -> None:
        last = b""
        while True:
            await stream.next()
            stream.done()
            response = await self._answer(request, context)
            answer = response.SerializeToString(deterministic=True)
            if answer != last:
                last = answer
                await context.write(response)

    async def _answer(
        self, request: protocol_pb2.InvocationRequest, context: Context
    ) -> protocol_pb2.InvocationResponse:
        """The answer of one call; its failure ends the watch."""
        invoked = await self._api.invoke(request, system=self._system)
        if invoked.failure is not None:
            await abort(context, invoked.failure.code, invoked.failure.message, invoked.failure.outcome)
        return invoked.response

    def _part(self, request: protocol_pb2.InvocationRequest) -> None:
        """Makes the last call of a watch, for which its reader does not wait."""
        task = asyncio.get_running_loop().create_task(self._say_farewell(request))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _say_farewell(self, request: protocol_pb2.InvocationRequest) -> None:
        invoked = await self._api.invoke(request, system=self._system)
        if invoked.failure is not None:
            code = invoked.failure.code.name.lower()
            logs.event(_LOG, logging.WARNING, "watch.on_cancel_failed", reason=code, action=request.action_name[:64])


def _taken(request: protocol_pb2.InvocationRequest, name: str) -> str:
    """Takes an entry out of a request's metadata; empty when it is not there."""
    value = request.metadata.get(name, "")
    request.metadata.pop(name, None)
    return value


def _calling(request: protocol_pb2.InvocationRequest, action: str) -> protocol_pb2.InvocationRequest:
    """The same call to another action."""
    other = protocol_pb2.InvocationRequest()
    other.CopyFrom(request)
    other.action_name = action
    return other
