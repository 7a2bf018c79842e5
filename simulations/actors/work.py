"""The actors of one run, put together: clients, hosts, the watcher, and what nodes hold at the end."""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime import opaque
from crdtmesh.runtime.definition import OPAQUE_TYPE, ActorAddress, ActorDefinition, state_key
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.sdk.actors import System
from crdtmesh.wire import payloads
from simulations.actors.book import Book, Kept
from simulations.actors.checkers import check_actors, check_in_peace
from simulations.actors.desk import ActorClient, Desks, Nodes
from simulations.actors.office import NUMBERS, Office, addresses
from simulations.actors.watcher import Watcher
from simulations.clocks import WALL_BASE_MS, MachineClock
from simulations.history import History, Outcome
from simulations.node import SimulatedNode
from simulations.plan import ActorPlan
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler, SeedStreams
from simulations.trace import Trace

if TYPE_CHECKING:
    from crdtmesh.replication.entry import Entry

# A timer is late by a period, a takeover, and a call that waits for its owner.
BEAT_LATE_NS: Final = 10 * SECOND_NS


class ActorWork:
    """What a run has of actors.

    Attributes:
        book: gets all that happens.
        desks: where the clients ask.
    """

    def __init__(
        self,
        plan: ActorPlan,
        mesh: Nodes,
        *,
        scheduler: Scheduler,
        streams: SeedStreams,
        trace: Trace,
        history: History,
    ) -> None:
        self.book = Book()
        self.desks = Desks(mesh, scheduler=scheduler, trace=trace)
        self._plan = plan
        self._mesh = mesh
        self._scheduler = scheduler
        self._history = history
        self._clients = [
            ActorClient(
                plan, rng=streams.stream("asking", number), scheduler=scheduler, desks=self.desks, book=self.book
            )
            for number in range(plan.clients)
        ]
        Watcher(mesh, scheduler=scheduler, book=self.book, history=history)

    def opened(self, node: SimulatedNode) -> None:
        """A node runs: its activations are written down from here on."""
        lives = node.engine.runtime._lives  # private, as in `watcher`
        tell = lives.on_activated

        def activated(definition: ActorDefinition, now_ns: int) -> None:
            begun = self.book.activations.setdefault((node.name, definition.address.name), [])
            begun.append(self._scheduler.now_ns)
            tell(definition, now_ns)

        lives.on_activated = activated

    def start(self) -> None:
        """The clients begin."""
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """They begin no new call."""
        # What a clock that was ahead has put off for longer is not waited for.
        self.book.patience_ms = WALL_BASE_MS + self._scheduler.now_ns // MILLISECOND_NS + self._plan.later_ms_max
        for client in self._clients:
            client.stop()

    def declare(self, system: System, node: str, *, rng: random.Random, clock: MachineClock) -> None:
        """Adds the actors to what a host offers."""
        office = Office(node, plan=self._plan, book=self.book, rng=rng, scheduler=self._scheduler, clock=clock)
        office.declare(system, self._plan)

    def unwell(self) -> list[str]:
        """What is still to come."""
        if any(ask.outcome is Outcome.OPEN for ask in reversed(self.book.asks)):
            return ["an actor's answer is awaited"]
        for ask in self.book.unmade(self._history, wall_ms=self.book.patience_ms):
            return [f"ask {ask.number} of {ask.actor.name}, kept by {ask.node}, was not made yet"]
        return self._silent()

    def _silent(self) -> list[str]:
        """Timers that do not beat although they once began to, their last beat in some way known."""
        since_ns = self._scheduler.now_ns - self._plan.timer_ms * MILLISECOND_NS - BEAT_LATE_NS
        last: dict[str, int] = {beat.name: beat.at_ns for beat in self.book.beats}
        return [f"the timer of {name} has stopped" for name, at_ns in sorted(last.items()) if at_ns < since_ns]

    def verdict(self, *, was_peaceful: bool) -> list[str]:
        """Broken promises."""
        finals = {name: self._held(node) for name, node in self._mesh.nodes.items() if node.is_ready}
        failures = check_actors(self.book, self._history, finals)
        return failures + ([f"peace: {text}" for text in check_in_peace(self.book)] if was_peaceful else [])

    def counted(self) -> Mapping[str, int]:
        """What happened, for the report."""
        twice = sum(len(runs) > 1 for runs in self.book.runs_of().values())
        seconds = self.book.overlapped_ns // SECOND_NS
        return {"actor.overlapped_s": seconds, "actor.made_twice": twice, "actor.beats": len(self.book.beats)}

    def _held(self, node: SimulatedNode) -> Mapping[str, Kept]:
        return {address.name: _kept(node, address) for address in addresses(self._plan)}


def _kept(node: SimulatedNode, address: ActorAddress) -> Kept:
    key = EntryKey(address.system, state_key(address), OPAQUE_TYPE)
    view = node.replica.read(key)
    if view is None:
        return Kept((), frozenset())
    state = opaque.from_plain(view.value())
    lost = [loser for _, loser in opaque.losers(cast("Entry", view).store)]
    aside = node.replica.read(key._replace(type_name=opaque.LOSERS_TYPE))
    put = {} if aside is None else aside.value()
    lost += [opaque.from_plain(value) for value in put.values()] if isinstance(put, dict) else []
    return Kept(tuple(_numbers(state)), frozenset(number for loser in lost for number in _numbers(loser)))


def _numbers(state: OpaqueState) -> list[int]:
    value: Any = payloads.decode(state.type_url, state.data) if state.type_url else {}
    return list(value.get(NUMBERS, []))
