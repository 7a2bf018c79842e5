"""Calls at one node, as its edge would take them: to actors, to the state, reads, and requests of the service `State`.

A client is told what the node's engine says. What the node has not answered when its process dies is unknown.
"""

from functools import partial
from typing import Final

from crdtmesh.engine import Engine
from crdtmesh.engine_ports import CommitLost
from crdtmesh.replication.levels import WRITE_LEVEL_METADATA, parse_level
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import Outcome as CallOutcome
from crdtmesh.runtime.messages import CallExtra, CallFailure, ReplyColumns, UpdateTerms
from crdtmesh.wire import payloads, values
from crdtmesh.wire.gen.crdtmesh.v1.values_pb2 import Value
from simulations.edge import Aborted, Edge
from simulations.history import Call, Outcome, Route
from simulations.hosts import APPLY, CALL_LABEL
from simulations.loop import VirtualLoop
from simulations.recorder import label, voters_of
from simulations.scheduler import MILLISECOND_NS, Scheduler
from simulations.trace import Trace
from simulations.workload import Done

READ_ACTION: Final = "get"


class CallServer:
    """The clients' side of one run of a node; a caller of its engine.

    Args:
        engine: of the node.
        loop: of the node's process.
        scheduler: virtual time.
        trace: gets every reply.
        node: name, for the trace.

    Attributes:
        edge: the service `State`.
    """

    def __init__(self, engine: Engine, *, loop: VirtualLoop, scheduler: Scheduler, trace: Trace, node: str) -> None:
        self._engine = engine
        self._loop = loop
        self._scheduler = scheduler
        self._trace = trace
        self._node = node
        self._open: dict[int, tuple[Call, Done]] = {}
        self._caller = engine.open_caller(self)
        self.edge = Edge(engine, scheduler=scheduler)

    def submit(self, call: Call, done: Done) -> None:
        """Takes a call; `done` is called once, whatever becomes of this node."""
        self._open[call.number] = (call, done)
        self._loop.call_soon(self._begin, call)

    def lost(self) -> None:
        """The process is gone."""
        for number in list(self._open):
            self._complete(number, Outcome.UNKNOWN, "the node is gone")

    def deliver_replies(self, columns: ReplyColumns) -> None:
        """Takes the engine's replies."""
        for number, type_url, payload in zip(columns.ids, columns.type_urls, columns.payloads, strict=True):
            if number in self._open:
                call = self._open[number][0]
                if not call.is_update and type_url:
                    call.value = values.plain_from_value(Value.FromString(payload))[1]
                self._complete(number, Outcome.OK, "")
        for failure in columns.failures:
            self._failed(failure)

    def _begin(self, call: Call) -> None:
        if call.level != "local":
            call.needed = self._needed(call)
            call.voters = self._voters(call)
        address = ActorAddress(call.key.system, call.key.key)
        timeout_ms = call.timeout_ns // MILLISECOND_NS
        if call.route is Route.EDGE:
            self._loop.create_task(self._serve(call))
        elif call.route is Route.ACTOR:
            action = APPLY if call.is_update else READ_ACTION
            type_url, payload = (
                payloads.encode(values.mutations_to_bytes(call.operations)) if call.is_update else ("", b"")
            )
            metadata = {CALL_LABEL: str(call.number), WRITE_LEVEL_METADATA: call.level}
            extra = CallExtra(metadata if call.is_update else {}, None)
            self._engine.invoke(self._caller, [(call.number, address, action, type_url, payload, timeout_ms, extra)])
        elif call.is_update:
            level = parse_level(call.level)
            terms = UpdateTerms(level=level, ttl_ms=call.ttl_ms, timeout_ms=timeout_ms)
            self._engine.update_state(self._caller, call.number, call.key, label(call), terms=terms)
        else:
            self._loop.create_task(self._read(call))

    def _needed(self, call: Call) -> int:
        voters = len(self._voters(call))
        return max(1, {"majority": voters // 2 + 1, "all": voters}.get(call.level, 2))

    def _voters(self, call: Call) -> frozenset[str]:
        return voters_of(self._engine.replica, call.key.system)

    async def _serve(self, call: Call) -> None:
        try:
            await self.edge.serve(call)
        except Aborted as error:
            outcome = Outcome.FAILED if error.is_certain else Outcome.UNKNOWN
            self._complete(call.number, outcome, error.reason)
        except TimeoutError:
            self._complete(call.number, Outcome.UNKNOWN, "TIMEOUT: no answer in time")
        else:
            self._complete(call.number, Outcome.OK, "")

    async def _read(self, call: Call) -> None:
        view = self._engine.replica.read(call.key)
        value = view.value() if view is not None else None
        try:
            await self._engine.committed()
        except CommitLost as error:
            self._complete(call.number, Outcome.UNKNOWN, str(error))
        else:
            call.value = value
            self._complete(call.number, Outcome.OK, "")

    def _failed(self, failure: CallFailure) -> None:
        outcome = Outcome.FAILED if failure.outcome is CallOutcome.NOT_APPLIED else Outcome.UNKNOWN
        self._complete(failure.id, outcome, f"{failure.code.name}: {failure.message}")

    def _complete(self, number: int, outcome: Outcome, reason: str) -> None:
        entry = self._open.pop(number, None)
        if entry is None:
            return
        call, done = entry
        if outcome is Outcome.OK and call.level != "local":
            # The list may have grown since the update was sent: the fewer it names, the less is promised.
            call.needed = min(call.needed, self._needed(call))
            call.voters |= self._voters(call)
        call.outcome = outcome
        call.reason = reason
        call.completed_ns = self._scheduler.now_ns
        self._trace.note("reply", self._node, number, outcome, reason, repr(call.value))
        # In the client's own time, not within this node's.
        self._scheduler.after(0, partial(done, call))
