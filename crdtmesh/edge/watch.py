"""`State.Watch`: one stream for one reader. What is watched and shown is `replication.watching`'s to decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from crdtmesh.crdts import registry
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import abort
from crdtmesh.engine import Engine
from crdtmesh.replication.watch import Selection, WatchBatch, WatchEvent, WatchKind
from crdtmesh.replication.watch_values import SetDifference
from crdtmesh.replication.watching import WatchRefused
from crdtmesh.runtime.errors import ErrorCode
from crdtmesh.watch_streams import WatchEnded, WatchStream
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import state_pb2

INTERVAL_MS_DEFAULT: Final = 50

_MS_NS: Final = 1_000_000

ENDS: Final[Mapping[str, ErrorCode]] = {
    "limit_reached": ErrorCode.LIMIT_REACHED,
    "storage_failed": ErrorCode.STORAGE_FAILED,
    "superseded": ErrorCode.INVALID_REQUEST,
    "draining": ErrorCode.DRAINING,
}


async def watch(engine: Engine, request: state_pb2.WatchStateRequest, context: Context, *, system: str) -> None:
    """Serves one reader until it goes, or its watch ends.

    Args:
        engine: of the node.
        request: what to watch.
        context: of the call.
        system: what is meant when the request names none.
    """
    try:
        selection = _selection(request, system)
        interval_ms = request.interval_ms if request.HasField("interval_ms") else INTERVAL_MS_DEFAULT
        stream = engine.watches.open(selection, interval_ns=interval_ms * _MS_NS, token=request.resume_token)
    except UnknownType as error:
        await abort(context, ErrorCode.INVALID_REQUEST, str(error))
    except WatchRefused as error:
        await abort(context, ErrorCode.LIMIT_REACHED if error.is_limit else ErrorCode.INVALID_REQUEST, str(error))
    except WatchEnded as error:
        await abort(context, ENDS[error.code], str(error))
    try:
        await _serve(stream, context)
    except WatchEnded as error:
        await abort(context, ENDS[error.code], str(error))
    finally:
        # gRPC cancels the call when its client goes.
        stream.close()


async def _serve(stream: WatchStream, context: Context) -> None:
    while True:
        batch, token = await stream.next()
        # Returns when flow control has room for it: a slow reader holds up its own watch only.
        await context.write(_batch_to_proto(batch, token))
        stream.done()


def _selection(request: state_pb2.WatchStateRequest, system: str) -> Selection:
    if request.type:
        registry.get(request.type)
    is_key = request.WhichOneof("selection") == "key"
    return Selection(
        system=request.system or system,
        key=request.key if is_key else None,
        prefix=request.prefix,
        type_name=request.type,
    )


def _batch_to_proto(batch: WatchBatch, token: str) -> state_pb2.WatchStateResponse:
    return state_pb2.WatchStateResponse(
        snapshot_begins=cast("state_pb2.SnapshotReason", int(batch.begins or 0)),
        changes=map(_event_to_proto, batch.events),
        snapshot_complete=batch.completes,
        resume_token=token,
    )


def _event_to_proto(event: WatchEvent) -> state_pb2.StateChange:
    key = event.key
    change = state_pb2.StateChange(
        kind=cast("state_pb2.StateChange.Kind", int(event.kind)),
        key=state_pb2.StateKey(system=key.system, key=key.key, type=key.type_name),
        lagged=event.is_lagged,
        expired=event.is_expired,
    )
    difference = event.difference
    if difference is None:
        if event.kind in (WatchKind.PRESENT, WatchKind.CHANGED):
            change.value.CopyFrom(values.value_from_plain(key.type_name, event.new))
        if event.had:
            change.old_value.CopyFrom(values.value_from_plain(key.type_name, event.old))
    elif isinstance(difference, SetDifference):
        change.set.SetInParent()
        change.set.added.extend(map(values.data_from_plain, difference.added))
        change.set.removed.extend(map(values.data_from_plain, difference.removed))
    else:
        change.map.SetInParent()
        for item in difference.keys:
            message = change.map.keys.add(key=item.key)
            if item.had:
                message.old_value.CopyFrom(values.data_from_plain(item.old, is_read=True))
            if item.has:
                message.new_value.CopyFrom(values.data_from_plain(item.new, is_read=True))
    return change
