"""The service `State` of one node: the edge's own servicer, with requests and answers of the wire.

Left out is gRPC, whose core can't run in virtual time: a call is a task of the node's loop, and its deadline ends it as
gRPC does when a client no longer waits.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from crdtmesh.crdts.values import PlainValue
from crdtmesh.edge.errors import ERROR_TRAILER, OUTCOME_TRAILER
from crdtmesh.edge.pending import PendingCalls, Reply
from crdtmesh.edge.state import StateServicer
from crdtmesh.engine import Engine
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.messages import NO_TERMS, CallFailure, UpdateTerms
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import state_pb2, values_pb2
from crdtmesh.wire.levels import level_to_proto
from simulations.history import Call
from simulations.recorder import SERVED, label
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.workload import SYSTEM


class Aborted(Exception):
    """The service ended a call with a status."""

    def __init__(self, status: Any, details: str, trailers: Sequence[tuple[str, str]]) -> None:
        super().__init__(details)
        self.status = status
        self.details = details
        self.trailers = tuple(trailers)

    @property
    def is_certain(self) -> bool:
        """Whether nothing was applied."""
        return dict(self.trailers).get(OUTCOME_TRAILER) == "not_applied"

    @property
    def reason(self) -> str:
        """The code, as the other calls have it, and the words."""
        return f"{dict(self.trailers).get(ERROR_TRAILER, '').upper()}: {self.details}"


class EdgeContext:
    """What the servicer may ask of gRPC."""

    def __init__(self, time_remaining: Callable[[], float | None] = lambda: None) -> None:
        self.time_remaining = time_remaining

    async def write(self, message: Any) -> None:
        """Only a stream has somebody to write to."""
        raise AssertionError(f"written to a call without a stream: {message!r:.64}")

    async def send_initial_metadata(self, initial_metadata: Sequence[tuple[str, str]]) -> None:
        """Nothing reads it."""

    async def abort(self, code: Any, details: str = "", trailing_metadata: Sequence[tuple[str, str]] = ()) -> None:
        """Ends the call."""
        raise Aborted(code, details, trailing_metadata)

    def set_trailing_metadata(self, trailing_metadata: Sequence[tuple[str, str]]) -> None:
        """Nothing reads it."""


class LabelledCalls(PendingCalls):
    """The edge's calls in flight; their updates can be told by the recorder."""

    async def update(
        self, updates: Sequence[tuple[EntryKey, tuple[Any, ...]]], terms: UpdateTerms = NO_TERMS
    ) -> Reply | CallFailure:
        """Passes an update on with its call."""
        call = SERVED.get()
        assert call is not None
        (key, operations), *others = updates
        return await super().update([(key, label(call, operations)), *others], terms)


class Edge:
    """The service of one run of a node.

    Attributes:
        servicer: the edge's.
    """

    def __init__(self, engine: Engine, *, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.servicer = StateServicer(engine, LabelledCalls(engine), system=SYSTEM)

    async def serve(self, call: Call) -> None:
        """Serves a call, and fills in what it was answered.

        Raises:
            Aborted: it was answered with a status.
            TimeoutError: its client no longer waits.
        """
        SERVED.set(call)
        due_ns = self._scheduler.now_ns + call.timeout_ns
        context = EdgeContext(lambda: max(0.0, (due_ns - self._scheduler.now_ns) / SECOND_NS))
        async with asyncio.timeout(call.timeout_ns / SECOND_NS):
            if call.is_update:
                await self._update(call, context)
            elif call.is_list:
                await self._list(call, context)
            else:
                await self._get(call, context)

    async def _update(self, call: Call, context: EdgeContext) -> None:
        level, options = level_to_proto(call.level)
        mutations = values.mutations_from_operations(call.operations)
        request = state_pb2.UpdateStateRequest(
            key=_name(call.key),
            mutations=mutations,
            level=level,
            level_options=options,
            others=[state_pb2.EntryUpdate(key=_name(key), mutations=mutations) for key in call.others],
            operation_id=call.operation_id,
            ttl_ms=call.ttl_ms,
        )
        response = await self.servicer.Update(request, context)
        call.value, call.token = _plain(response.value), response.token

    async def _get(self, call: Call, context: EdgeContext) -> None:
        level, options = level_to_proto(call.level)
        request = state_pb2.GetStateRequest(
            key=_name(call.key), level=level, level_options=options, after=[call.brought] if call.brought else []
        )
        response = await self.servicer.Get(request, context)
        call.value = _plain(response.value) if response.found else None
        call.token = response.token

    async def _list(self, call: Call, context: EdgeContext) -> None:
        request = state_pb2.ListStateRequest(system=call.key.system, prefix=call.key.key)
        response = await self.servicer.List(request, context)
        call.value = {entry.key.key: _plain(entry.value) for entry in response.entries}


def _name(key: EntryKey) -> state_pb2.StateKey:
    return state_pb2.StateKey(system=key.system, key=key.key, type=key.type_name)


def _plain(value: values_pb2.Value) -> PlainValue:
    return values.plain_from_value(value)[1]
