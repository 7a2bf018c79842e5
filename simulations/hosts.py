"""Actor hosts: the SDK's own session and handlers in a process of their own, joined to their node by a memory stream.

Both ends are production code, the SDK's `Session` here and the edge's `HostStream` in the node; the messages pass as
bytes. Only gRPC is left out, whose core can't run in virtual time. The handler is a user's: it waits, it fails after it
has changed its state, and otherwise does to the state what the caller asked for.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Final

import grpc
import grpc.aio

from crdtmesh.crdts.operations import Operation
from crdtmesh.edge.host_stream import HostStream
from crdtmesh.runtime.messages import TurnColumns
from crdtmesh.sdk.actors import System
from crdtmesh.sdk.context import Context
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.live.mixed_maps import MixedMap
from crdtmesh.sdk.live.registry import live_type
from crdtmesh.sdk.marks import action
from crdtmesh.sdk.session import Session
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from simulations.loop import VirtualLoop
from simulations.plan import WorkloadPlan
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler

APPLY: Final = "apply"
"""The action: does to the state what the payload says."""

CALL_LABEL: Final = "call"
"""The metadata entry that tells the recorder which call a turn is."""

# A message through a Unix socket between two processes.
STREAM_NS_MAX: Final = MILLISECOND_NS // 2


class HandlerFailed(Exception):
    """What the handler raises when it is drawn to."""


class Handler:
    """The user's code, for every actor."""

    def __init__(self, plan: WorkloadPlan, rng: random.Random) -> None:
        self._plan = plan
        self._rng = rng

    @action(name=APPLY)
    async def apply(self, ctx: Context[Any], data: bytes) -> None:
        """Waits or not, then does what is asked."""
        plan, rng = self._plan, self._rng
        if rng.random() < plan.turns_waiting:
            await asyncio.sleep(rng.randint(0, plan.handler_ns_max) / SECOND_NS)
        fails = rng.random() < plan.turns_failing
        for operation in values.mutations_from_bytes(data):
            perform(ctx.state, operation)
        if fails:
            raise HandlerFailed("drawn")


def perform(state: LiveState, operation: Operation) -> None:
    """Does an operation to a live object; one that finds nothing to remove does nothing."""
    name, arguments = operation.name, operation.arguments
    while isinstance(state, MixedMap) and name == "update":
        state = state[str(arguments[0]), live_type(str(arguments[1]))]
        name, arguments = str(arguments[2]), arguments[3:]
    try:
        getattr(state, name)(*arguments)
    except KeyError:
        return


def system_of(name: str, actors: Mapping[str, str]) -> System:
    """The declaration of the actors: name to data type."""
    system = System(name)
    for actor, type_name in actors.items():
        system.actor(actor, state=type_name)(Handler)
    return system


class Pipe:
    """One direction of a stream: messages as bytes, in order, into the loop of the reader."""

    def __init__(self, scheduler: Scheduler, rng: random.Random, reader: VirtualLoop) -> None:
        self._scheduler = scheduler
        self._rng = rng
        self._reader = reader
        self._arrival_ns = 0
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, data: bytes | None) -> None:
        """Sends a message; None is the end."""
        due_ns = self._scheduler.now_ns + self._rng.randint(0, STREAM_NS_MAX)
        self._arrival_ns = max(due_ns, self._arrival_ns)
        self._scheduler.at(self._arrival_ns, partial(self._reader.call_soon, self._messages.put_nowait, data))

    async def get(self) -> bytes | None:
        """The next message; None at the end."""
        return await self._messages.get()


class _NodeEnd:
    """What the edge sees of the stream: requests to read, a context to write to."""

    def __init__(self, requests: Pipe, responses: Pipe) -> None:
        self._requests = requests
        self._responses = responses

    async def write(self, message: Any) -> None:
        self._responses.put(message.SerializeToString())

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Nothing reads it."""

    async def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        del trailing_metadata
        raise AssertionError(f"the node aborted a host's stream: {code}: {details}")

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Nothing reads it."""

    def time_remaining(self) -> float | None:
        return None

    async def messages(self) -> AsyncIterator[pb.HostBatch]:
        while (data := await self._requests.get()) is not None:
            yield pb.HostBatch.FromString(data)


class _HostEnd:
    """What the SDK sees of the stream, and of the channel that it opens it on."""

    def __init__(self, requests: Pipe, responses: Pipe) -> None:
        self._requests = requests
        self._responses = responses

    def stream_stream(self, *_: Any, **__: Any) -> Callable[[], "_HostEnd"]:
        return lambda: self

    async def write(self, message: Any) -> None:
        self._requests.put(message.SerializeToString())

    async def read(self) -> Any:
        data = await self._responses.get()
        return grpc.aio.EOF if data is None else pb.TurnBatch.FromString(data)

    async def done_writing(self) -> None:
        self._requests.put(None)

    def cancel(self) -> None:
        self._requests.put(None)


class RecordedHostStream(HostStream):
    """The node's side of a host, which notes what call each turn is."""

    turned: Callable[[int, int], None]

    def deliver_turns(self, columns: TurnColumns) -> None:
        """Notes the calls of the turns, and queues them."""
        for turn, extra in columns.extras:
            if CALL_LABEL in extra.metadata:  # the node's own calls have none
                self.turned(turn, int(extra.metadata[CALL_LABEL]))
        super().deliver_turns(columns)


class HostProcess:
    """One run of an actor host.

    Args:
        loop: of the host's process.
        node_loop: of the node's.
        engine: of the node.
        turned: told which call a turn is, when it is handed out.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        node_loop: VirtualLoop,
        engine: Any,
        scheduler: Scheduler,
        rng: random.Random,
        plan: WorkloadPlan,
        system: System,
        turned: Callable[[int, int], None],
    ) -> None:
        self.loop = loop
        self._node_loop = node_loop
        self._engine = engine
        self._system = system
        self._turned = turned
        handler = Handler(plan, rng)
        self._users: dict[str, object] = {
            name: handler if spec.actor_class is Handler else spec.actor_class() for name, spec in system.actors.items()
        }
        self._requests = Pipe(scheduler, rng, node_loop)
        self._responses = Pipe(scheduler, rng, loop)

    def start(self) -> None:
        """Connects; the session lasts as long as both processes."""
        self._node_loop.call_soon(self._accept)
        self.loop.call_soon(self._connect)

    def crash(self) -> None:
        """The host's process is gone; the node's kernel closes the stream."""
        self.loop.kill()
        self._requests.put(None)

    def _accept(self) -> None:
        end = _NodeEnd(self._requests, self._responses)
        stream = RecordedHostStream(self._engine, end)
        stream.turned = self._turned
        self._node_loop.create_task(stream.run(end.messages()))

    def _connect(self) -> None:
        end = _HostEnd(self._requests, self._responses)
        self.loop.create_task(Session(end, self._system, self._users).run())
