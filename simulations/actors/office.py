"""The actors of a run, as a user declares them. Each writes down the numbers of the calls that it was given.

| actor | state | written | where |
|---|---|---|---|
| `ledger-N` | opaque | at a majority | at its owner |
| `diary-0` | opaque | at `local` | at its owner |
| `pool-0` | opaque | at `local` | at another node too when its owner is out of reach |
| `peace-0` | opaque | at a majority, with an action that merges what lost | at its owner |
| `cart`, its instances `cart-N` | opaque | at a majority | at its owner |
| `clock`, its instances `clock-N` | opaque, with a timer | at a majority | at its owner |
"""

import asyncio
import random
from typing import Any, Final

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.sdk.actors import System
from crdtmesh.sdk.context import Context
from crdtmesh.sdk.marks import action, timer
from simulations.actors.book import Beat, Book, TurnRun
from simulations.clocks import MachineClock
from simulations.hosts import HandlerFailed
from simulations.plan import ActorPlan
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.workload import SYSTEM

NOTE: Final = "note"
"""The action of all of them."""

NUMBERS: Final = "numbers"

CART: Final = "cart"
CLOCK: Final = "clock"
DIARY: Final = "diary-0"
POOL: Final = "pool-0"
PEACE: Final = "peace-0"


def addresses(plan: ActorPlan) -> list[ActorAddress]:
    """The actors that clients call."""
    named = [*(f"ledger-{index}" for index in range(plan.ledgers)), DIARY, POOL, PEACE]
    spawned = [(f"{kind}-{index}", kind) for kind in (CART, CLOCK) for index in range(plan.ledgers)]
    return [*(ActorAddress(SYSTEM, name) for name in named), *(ActorAddress(SYSTEM, *pair) for pair in spawned)]


class Office:
    """What the handlers on one host have at hand."""

    def __init__(
        self, node: str, *, plan: ActorPlan, book: Book, rng: random.Random, scheduler: Scheduler, clock: MachineClock
    ) -> None:
        self.node = node
        self._plan = plan
        self._book = book
        self._rng = rng
        self._scheduler = scheduler
        self._clock = clock

    async def note(self, ctx: Context[Any], number: int) -> int:
        """Writes a number down, and counts them."""
        plan, rng = self._plan, self._rng
        numbers = ctx.state.get(NUMBERS, [])
        run = TurnRun(
            ask=number,
            name=ctx.actor,
            node=self.node,
            began_ns=self._scheduler.now_ns,
            wall_ms=self._clock.wall_ms(),
            seen=frozenset(numbers),
        )
        self._book.runs.append(run)
        if rng.random() < plan.turns_waiting:
            await asyncio.sleep(rng.randint(0, plan.handler_ns_max) / SECOND_NS)
        ctx.state[NUMBERS] = [*numbers, number]
        if rng.random() < plan.turns_failing:
            raise HandlerFailed("drawn")
        return len(numbers)

    def beat(self, name: str) -> None:
        """A timer was due."""
        self._book.beats.append(Beat(name=name, node=self.node, at_ns=self._scheduler.now_ns))

    def declare(self, system: System, plan: ActorPlan) -> None:
        """Adds the actors to what the host offers."""
        office = self

        class Ledger:
            @action(name=NOTE)
            async def note(self, ctx: Context[Any], number: int) -> int:
                return await office.note(ctx, number)

        class Peace(Ledger):
            @action
            def resolve(self, ctx: Context[Any], loser: dict[str, Any]) -> None:
                numbers = ctx.state.get(NUMBERS, [])
                ctx.state[NUMBERS] = [*numbers, *(item for item in loser.get(NUMBERS, []) if item not in numbers)]

        class Clock(Ledger):
            @timer(every=plan.timer_ms / 1_000)
            def tick(self, ctx: Context[Any]) -> None:
                office.beat(ctx.actor)

        system.actor(*(f"ledger-{index}" for index in range(plan.ledgers)), state=dict)(Ledger)
        system.actor(DIARY, state=dict, write="local")(Ledger)
        system.actor(POOL, state=dict, write="local", placement="available")(Ledger)
        system.actor(PEACE, state=dict)(Peace)
        system.actor(CART, state=dict, unnamed=True)(Ledger)
        system.actor(CLOCK, state=dict, unnamed=True)(Clock)
