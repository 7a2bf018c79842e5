"""Readers of `State.Watch`: the SDK's own loop in a process of its own, and the edge's servicer in the node.

Between them is a memory stream with room for a few messages, as flow control leaves it. A reader takes its time; its
connection breaks with a message on the way, or with its node; it comes back with the token of what it has, to the same
node or to another one.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.sdk.errors import CallError
from crdtmesh.sdk.watch import WatchEvent, watch_events, watch_request
from crdtmesh.wire.gen.crdtmesh.v1 import state_pb2
from simulations.clocks import MachineClock
from simulations.edge import Aborted, EdgeContext
from simulations.history import History, WatchRecord
from simulations.hosts import Pipe
from simulations.loop import VirtualLoop
from simulations.node import SimulatedNode
from simulations.plan import StatePlan
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.trace import Trace
from simulations.watch_model import WatchModel
from simulations.workload import SYSTEM, UP_PREFIX

# What gRPC and the kernel hold of a stream that nobody reads.
UNREAD_MAX: Final = 3
NOBODY_S: Final = 0.25
# Whether a reader that comes back tries the node where it was.
BACK_TO_THE_SAME: Final = 0.7

SELECTIONS: Final = (("", ""), ("", ""), ("", "ORSet"), (UP_PREFIX, ""))
"""Prefix and type."""


class Mesh(Protocol):
    """The mesh, as a reader sees it."""

    nodes: dict[str, SimulatedNode]

    def failed(self, what: str) -> None:
        """Something raised and nobody caught it."""
        ...


class Broken(Exception):
    """The connection is gone."""


class Connection(EdgeContext):
    """One connection of a reader to a node: the context of the node's side, the stream of the reader's."""

    def __init__(self, node: SimulatedNode, reader: "Reader", *, scheduler: Scheduler, rng: random.Random) -> None:
        super().__init__()
        self.node = node
        self._reader = reader
        self._pipe = Pipe(scheduler, rng, reader.loop)
        self._unread = 0
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._aborted: Aborted | None = None

    # --- the node's side

    def open(self, request: state_pb2.WatchStateRequest) -> None:
        """The request arrives at the node."""
        self._task = self.node.loop.create_task(self._serve(request))

    async def write(self, message: Any) -> None:
        """Sends a message, and waits until there is room for the next one."""
        self._unread += 1
        self._pipe.put(message.SerializeToString())
        while self._unread >= UNREAD_MAX:
            self._room.clear()
            await self._room.wait()

    def lost(self) -> None:
        """The node's process is gone."""
        self._pipe.put(None)

    async def _serve(self, request: state_pb2.WatchStateRequest) -> None:
        try:
            await self.node.calls.edge.servicer.Watch(request, self)
        except Aborted as error:
            self._aborted = error
            self._pipe.put(None)

    def _was_read(self) -> None:
        self._unread -= 1
        self._room.set()

    # --- the reader's side

    def __aiter__(self) -> AsyncIterator[state_pb2.WatchStateResponse]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[state_pb2.WatchStateResponse]:
        while (data := await self._pipe.get()) is not None:
            self.node.loop.call_soon(self._was_read)
            if self._reader.is_unlucky():
                raise Broken
            yield state_pb2.WatchStateResponse.FromString(data)
        if self._aborted is None:
            raise Broken
        trailers = grpc.aio.Metadata(*self._aborted.trailers)
        raise grpc.aio.AioRpcError(self._aborted.status, grpc.aio.Metadata(), trailers, self._aborted.details)

    def cancel(self) -> None:
        """The reader goes."""
        self.node.loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Reader:
    """One reader, which watches for as long as the run lasts.

    Attributes:
        loop: of its process.
    """

    def __init__(
        self,
        number: int,
        plan: StatePlan,
        *,
        rng: random.Random,
        scheduler: Scheduler,
        mesh: Mesh,
        history: History,
        trace: Trace,
    ) -> None:
        self._number = number
        self._plan = plan
        self._rng = rng
        self._scheduler = scheduler
        self._mesh = mesh
        self._history = history
        self._trace = trace
        self._prefix, self._type_name = rng.choice(SELECTIONS)
        self._is_calm = False
        self._calmed = asyncio.Event()
        self._connection: Connection | None = None
        self._node = ""
        self._model = WatchModel()
        self.loop = VirtualLoop(  # type: ignore[abstract]  # it has what production uses
            f"reader {number}", scheduler=scheduler, clock=MachineClock(scheduler), rng=rng, failed=mesh.failed
        )

    def start(self) -> None:
        """Begins to watch."""
        self.loop.call_soon(lambda: self.loop.create_task(self._watch()))

    def calm(self) -> None:
        """Reads at once, and keeps its connection, from now on; one that is away comes back."""
        self._is_calm = True
        self.loop.call_soon(self._calmed.set)

    def lost(self, node: SimulatedNode) -> None:
        """A node's process is gone."""
        if self._connection is not None and self._connection.node is node:
            self._connection.lost()

    def close(self) -> None:
        """Ends its process."""
        self.loop.kill()

    def is_unlucky(self) -> bool:
        """Whether the connection breaks now."""
        return not self._is_calm and self._rng.random() < self._plan.away

    def unwell(self) -> list[str]:
        """What keeps it from being well, as sentences."""
        node = self._mesh.nodes.get(self._node)
        if node is None or not node.is_ready or not self._model.is_complete:
            return [f"reader {self._number} has no complete snapshot"]
        values = {view.key: view.value() for view in node.replica.entries(SYSTEM, self._prefix)}
        return [f"reader {self._number} of {self._node} {text}" for text in self._model.unlike(self.selected(values))]

    def selected(self, values: Mapping[EntryKey, PlainValue]) -> Mapping[EntryKey, PlainValue]:
        """Those of a node's entries that it watches."""
        return {key: value for key, value in values.items() if self._type_name in ("", key.type_name)}

    # --- inside

    async def _watch(self) -> None:
        """One watch after the other: a node may end one, and the next begins anew."""
        while True:
            record = WatchRecord(self._number, self._prefix, self._type_name)
            self._history.watches.append(record)
            self._model = WatchModel()
            try:
                await self._follow(record)
            except CallError as error:
                record.is_over = True
                self._trace.note("watch_ended", self._node, self._number, str(error))
                await asyncio.sleep(NOBODY_S)

    async def _follow(self, record: WatchRecord) -> None:
        plan, rng = self._plan, self._rng
        request = watch_request(
            SYSTEM, None, prefix=self._prefix, type_name=self._type_name, interval_ms=plan.interval_ms, token=""
        )
        while True:
            try:
                async for event in watch_events(self._dial, request):
                    self._take(record, event)
                    if plan.slow_ns_max and not self._is_calm:
                        await asyncio.sleep(rng.randint(0, plan.slow_ns_max) / SECOND_NS)
            except Broken:
                await asyncio.sleep(NOBODY_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._calmed.wait(), rng.randint(0, plan.away_ns_max) / SECOND_NS)

    def _take(self, record: WatchRecord, event: WatchEvent) -> None:
        record.steps.append((self._node, event))
        self._model.take(event)
        self._trace.note("watched", self._node, self._number, event.kind, event.key, event.token)

    async def _dial(self, request: state_pb2.WatchStateRequest) -> Connection:
        ready = [name for name, node in self._mesh.nodes.items() if node.is_ready]
        if not ready:
            raise Broken
        is_back = self._node in ready and self._rng.random() < BACK_TO_THE_SAME
        self._node = self._node if is_back else self._rng.choice(ready)
        node = self._mesh.nodes[self._node]
        self._connection = Connection(node, self, scheduler=self._scheduler, rng=self._rng)
        sent = state_pb2.WatchStateRequest.FromString(request.SerializeToString())
        node.loop.call_soon(self._connection.open, sent)
        return self._connection
