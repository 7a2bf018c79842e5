"""`Actors.Watch`: an action's answer, made anew whenever the actor's state changes.

The node's own copy of the state says when; whoever runs the actor makes the answer. So a watch works on any node, for
opaque states that live elsewhere too, and what a reader sees is never older than the change that caused it: the call
is made after it.
"""

from __future__ import annotations

from typing import Final

from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import abort
from crdtmesh.edge.spawn_api import SpawnApi
from crdtmesh.edge.watch import ENDS
from crdtmesh.engine import Engine
from crdtmesh.replication.watch import Selection
from crdtmesh.replication.watching import WatchRefused
from crdtmesh.runtime.definition import state_key
from crdtmesh.runtime.errors import ErrorCode
from crdtmesh.watch_streams import WatchEnded, WatchStream
from crdtmesh.wire.gen.spawn.actors import protocol_pb2
from crdtmesh.wire.invocations import address_from

__all__ = ["watch_answer"]

INTERVAL_MS: Final = 50
"""Changes within so much time cause one call. It bounds what an action that changes its own state costs, too."""

_MS_NS: Final = 1_000_000


async def watch_answer(
    engine: Engine, api: SpawnApi, request: protocol_pb2.InvocationRequest, context: Context, *, system: str
) -> None:
    """Serves one reader until it goes, a call fails, or the watch ends.

    Args:
        engine: of the node.
        api: makes the calls.
        request: the call to make again and again.
        context: of the reader.
        system: the actor system of ids that name none.
    """
    if request.scheduled_to or getattr(request, "async"):
        await abort(context, ErrorCode.INVALID_REQUEST, "a watch waits for its answers; leave out async, scheduled_to")
    actor = engine.runtime.resolve(address_from(request.actor.id, request.system.name or system))
    selection = Selection(system=actor.system, key=state_key(actor), prefix="", type_name="")
    try:
        stream = engine.watches.open(selection, interval_ns=INTERVAL_MS * _MS_NS, token="")
    except WatchRefused as error:
        await abort(context, ErrorCode.LIMIT_REACHED if error.is_limit else ErrorCode.INVALID_REQUEST, str(error))
    except WatchEnded as error:
        await abort(context, ENDS[error.code], str(error))
    try:
        await _serve(stream, api, request, context, system)
    except WatchEnded as error:
        await abort(context, ENDS[error.code], str(error))
    finally:
        # gRPC cancels the call when its client goes.
        stream.close()


async def _serve(
    stream: WatchStream, api: SpawnApi, request: protocol_pb2.InvocationRequest, context: Context, system: str
) -> None:
    last = b""
    while True:
        await stream.next()
        stream.done()
        invoked = await api.invoke(request, system=system)
        if invoked.failure is not None:
            await abort(context, invoked.failure.code, invoked.failure.message, invoked.failure.outcome)
        answer = invoked.response.SerializeToString(deterministic=True)
        if answer != last:
            last = answer
            await context.write(invoked.response)
