"""One `Actors.InvokeStream`: batches of calls in, batches of replies out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import repeat
from typing import Any, Final

import grpc

from crdtmesh.edge.access import Access
from crdtmesh.edge.columns import BoundNames, MalformedBatch, NameBinder, bound, column, cuts
from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import failure_to_proto
from crdtmesh.edge.pump import Pump
from crdtmesh.edge.tasks import companion
from crdtmesh.engine import Engine
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import Outcome
from crdtmesh.runtime.messages import CallExtra, CallFailure, ReplyColumns
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2

# Beside its payload a reply costs a tuple and a few references.
REPLY_OVERHEAD_BYTES: Final = 100


class CallStream:
    """The node's side of one caller."""

    def __init__(self, engine: Engine, context: Context, access: Access) -> None:
        self._engine = engine
        self._access = access
        self._context = context
        self._names = BoundNames()
        self._binder = NameBinder()
        self._pump: Pump[ReplyColumns] = Pump(context.write, self._batches)

    async def run(self, requests: AsyncIterator[actors_pb2.CallBatch]) -> None:
        """Serves the stream until the caller ends it or goes away; then its calls are cancelled."""
        caller = self._engine.open_caller(self)
        try:
            async with companion(self._pump.run()):
                async for batch in requests:
                    calls = self._calls(batch)
                    self._engine.invoke(caller, self._permitted(calls) if self._access.limits_calls else calls)
                    if batch.cancelled:
                        self._engine.cancel(caller, batch.cancelled)
                    await self._pump.room()
        except MalformedBatch as error:
            self._engine.client_rejected("malformed_batch", str(error))
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        finally:
            self._engine.close_caller(caller)

    def deliver_replies(self, columns: ReplyColumns) -> None:
        """Queues replies for writing."""
        count = len(columns.ids) + len(columns.failures)
        self._pump.put(columns, sum(map(len, columns.payloads)) + count * REPLY_OVERHEAD_BYTES)

    def _permitted(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Those that policies let pass; the others are answered."""
        refused = ReplyColumns()
        for call in calls:
            extra = call[6]
            refusal = self._access.check_call(call[1], call[2], extra.caller if extra is not None else None)
            if refusal is None:
                yield call
            else:
                refused.failures.append(CallFailure(call[0], refusal.code, Outcome.NOT_APPLIED, refusal.reason))
        if refused.failures:
            self.deliver_replies(refused)

    def _calls(self, batch: actors_pb2.CallBatch) -> Iterator[tuple[Any, ...]]:
        if batch.bindings:
            self._names.bind(batch.bindings)
        ids = list(batch.id)
        count = len(ids)
        return zip(
            ids,
            column(bound(self._names.actors, batch.actor, "actor"), count, ActorAddress("", ""), "actor"),
            column(bound(self._names.actions, batch.action, "action"), count, "", "action"),
            column(bound(self._names.type_urls, batch.type_url, "type_url"), count, "", "type_url"),
            column(batch.payload, count, b"", "payload"),
            column(batch.timeout_ms, count, 0, "timeout_ms"),
            _extras(batch, ids) if batch.extras else repeat(None, count),
            strict=False,
        )

    def _batches(self, items: list[ReplyColumns]) -> Iterator[actors_pb2.ReplyBatch]:
        columns = items[0]
        for more in items[1:]:
            columns.ids += more.ids
            columns.type_urls += more.type_urls
            columns.payloads += more.payloads
            columns.failures += more.failures
        failures = [failure_to_proto(failure) for failure in columns.failures]
        for cut in cuts(columns.payloads):
            type_urls = [self._binder.type_url(url) for url in columns.type_urls[cut]]
            yield actors_pb2.ReplyBatch(
                bindings=self._binder.take_new(),
                id=columns.ids[cut],
                type_url=type_urls,
                payload=columns.payloads[cut],
                failures=failures,
            )
            failures = []


def _extras(batch: actors_pb2.CallBatch, ids: list[int]) -> list[CallExtra | None]:
    by_id = {extra.id: extra for extra in batch.extras}
    return [_extra(by_id[call]) if call in by_id else None for call in ids]


def _extra(extra: actors_pb2.CallExtra) -> CallExtra:
    caller = extra.caller
    address = ActorAddress(caller.system, caller.name, caller.parent) if caller.name else None
    return CallExtra(dict(extra.metadata), address)
