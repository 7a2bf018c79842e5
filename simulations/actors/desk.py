"""The clients of actors, and the desk at each node where they ask: an edge without gRPC."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import Outcome as CallOutcome
from crdtmesh.runtime.messages import CallExtra, CallFailure, ReplyColumns
from crdtmesh.wire import payloads
from simulations.actors.book import Ask, Book
from simulations.actors.office import NOTE, addresses
from simulations.history import Outcome
from simulations.node import SimulatedNode
from simulations.plan import ActorPlan
from simulations.scheduler import MILLISECOND_NS, Scheduler
from simulations.trace import Trace
from simulations.workload import SYSTEM

TIMEOUT_MS_MIN: Final = 2_000
TIMEOUT_MS_MAX: Final = 20_000
REFUSAL_NS: Final = MILLISECOND_NS

# An instance is named by its template, or by its own name once it is known.
BARE: Final = 0.5

Answered = Callable[[Ask], None]


class Nodes(Protocol):
    """The mesh, as the clients see it."""

    nodes: dict[str, SimulatedNode]

    @property
    def names(self) -> Sequence[str]:
        """Of all nodes, up or down."""
        ...


class Desk:
    """The asks at one run of one node; a caller of its engine."""

    def __init__(self, node: SimulatedNode, *, scheduler: Scheduler, trace: Trace) -> None:
        self._node = node
        self._scheduler = scheduler
        self._trace = trace
        self._open: dict[int, tuple[Ask, Answered]] = {}
        node.when_ready(self._arrive)

    def _arrive(self) -> None:
        self._caller = self._node.engine.open_caller(self)

    def submit(self, ask: Ask, done: Answered) -> None:
        """Takes an ask; `done` is called once, whatever becomes of the node."""
        self._open[ask.number] = (ask, done)
        self._node.when_ready(partial(self._begin, ask))

    def lost(self) -> None:
        """The process is gone."""
        for number in list(self._open):
            self._complete(number, Outcome.UNKNOWN, "the node is gone")

    def deliver_replies(self, columns: ReplyColumns) -> None:
        """Takes the engine's replies."""
        for number in columns.ids:
            self._complete(number, Outcome.OK, "")
        for failure in columns.failures:
            self._failed(failure)

    def _begin(self, ask: Ask) -> None:
        self._node.loop.call_soon(self._invoke, ask)

    def _invoke(self, ask: Ask) -> None:
        type_url, payload = payloads.encode(ask.number)
        extra = None
        if ask.later_ms:
            ask.due_ms = self._node.wall_ms() + ask.later_ms
            extra = CallExtra({}, None, scheduled_ms=ask.due_ms)
        call = (ask.number, ask.actor, NOTE, type_url, payload, ask.timeout_ms, extra)
        self._node.engine.invoke(self._caller, [call])

    def _failed(self, failure: CallFailure) -> None:
        outcome = Outcome.FAILED if failure.outcome is CallOutcome.NOT_APPLIED else Outcome.UNKNOWN
        self._complete(failure.id, outcome, f"{failure.code.name}: {failure.message}")

    def _complete(self, number: int, outcome: Outcome, reason: str) -> None:
        entry = self._open.pop(number, None)
        if entry is None:
            return
        ask, done = entry
        if outcome is Outcome.OK:
            ask.needed = len(self._node.replica.voters(SYSTEM)) // 2 + 1
        ask.outcome, ask.reason, ask.completed_ns = outcome, reason, self._scheduler.now_ns
        self._trace.note("answer", self._node.name, number, outcome, reason)
        # In the client's own time, not within this node's.
        self._scheduler.after(0, partial(done, ask))


class Desks:
    """The desks of all nodes; one for each run of a node."""

    def __init__(self, mesh: Nodes, *, scheduler: Scheduler, trace: Trace) -> None:
        self._mesh = mesh
        self._scheduler = scheduler
        self._trace = trace
        self._desks: dict[str, tuple[SimulatedNode, Desk]] = {}

    @property
    def names(self) -> Sequence[str]:
        """Of all nodes, up or down."""
        return self._mesh.names

    def submit(self, ask: Ask, done: Answered) -> None:
        """Hands an ask to its node; a node that is down refuses it."""
        self._trace.note("ask", ask.node, ask.number, ask.actor.name, ask.later_ms)
        node = self._mesh.nodes.get(ask.node)
        if node is None:
            ask.outcome, ask.reason = Outcome.FAILED, "the node is down"
            ask.completed_ns = self._scheduler.now_ns
            self._scheduler.after(REFUSAL_NS, partial(done, ask))
            return
        known = self._desks.get(ask.node)
        if known is None or known[0] is not node:
            desk = Desk(node, scheduler=self._scheduler, trace=self._trace)
            known = self._desks[ask.node] = (node, desk)
        known[1].submit(ask, done)

    def lost(self, node: SimulatedNode) -> None:
        """A node's process is gone."""
        known = self._desks.get(node.name)
        if known is not None and known[0] is node:
            known[1].lost()


class ActorClient:
    """One client of actors, which has one call at a time."""

    def __init__(self, plan: ActorPlan, *, rng: random.Random, scheduler: Scheduler, desks: Desks, book: Book) -> None:
        self._plan = plan
        self._rng = rng
        self._scheduler = scheduler
        self._desks = desks
        self._book = book
        self._node = rng.choice(desks.names)
        self._actors = addresses(plan)
        self._is_stopped = False

    def start(self) -> None:
        """Begins to call."""
        self._think()

    def stop(self) -> None:
        """Begins no new call."""
        self._is_stopped = True

    def _think(self, _ask: Ask | None = None) -> None:
        self._scheduler.after(int(self._rng.expovariate(1 / self._plan.think_ns_mean)), self._call)

    def _call(self) -> None:
        if self._is_stopped:
            return
        rng, plan = self._rng, self._plan
        if rng.random() >= plan.stickiness:
            self._node = rng.choice(self._desks.names)
        ask = Ask(
            number=len(self._book.asks),
            node=self._node,
            actor=self._named(rng.choice(self._actors)),
            later_ms=rng.randint(1, plan.later_ms_max) if rng.random() < plan.later else 0,
            timeout_ms=rng.randint(TIMEOUT_MS_MIN, TIMEOUT_MS_MAX),
            invoked_ns=self._scheduler.now_ns,
        )
        self._book.asks.append(ask)
        self._desks.submit(ask, self._think)

    def _named(self, actor: ActorAddress) -> ActorAddress:
        is_known = any(run.name == actor.name for run in reversed(self._book.runs))
        return actor._replace(parent="") if is_known and self._rng.random() < BARE else actor


def asks_by_actor(book: Book) -> Mapping[str, list[Ask]]:
    """The asks of each actor, by its name."""
    found: dict[str, list[Ask]] = {}
    for ask in book.asks:
        found.setdefault(ask.actor.name, []).append(ask)
    return found
