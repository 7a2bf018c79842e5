"""One shop of the demo: clients that call its own node only, and write down what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from typing import Final

from crdtmesh.demo.ledger import Ledger, Outcome
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError, NotConnected

SYSTEM: Final = "shops"
ACTORS: Final = "crdtmesh.examples.shops:system"
PRODUCTS: Final = ("apples", "bread", "milk")
LISTS: Final = ("monday", "saturday")
PRICE: Final = "price-apples"

WORKERS: Final = 8
CALL_TIMEOUT_S: Final = 3.0
# A shop whose node is down asks again at this pace.
PAUSE_S: Final = 0.1
# Items a shop keeps on the lists before it takes the oldest off again.
ITEMS_KEPT: Final = 50


class Shop:
    """The clients of one node.

    Args:
        name: of the node; also tells this shop's items and prices from those of others.
        number: of the shop; prices of different shops never collide.
        client: connected to that node alone.
        ledger: of all shops together.
        rng: draws what is done.
    """

    def __init__(self, name: str, number: int, client: Client, ledger: Ledger, rng: random.Random) -> None:
        self.name = name
        self.outcomes: dict[Outcome, int] = {"acknowledged": 0, "unknown": 0, "refused": 0}
        self._number = number
        self._client = client
        self._ledger = ledger
        self._rng = rng
        self._made = 0
        self._items: list[tuple[str, str]] = []

    async def run(self, until_s: float) -> None:
        """Calls without a pause until the given time of the loop."""
        loop = asyncio.get_running_loop()

        async def work() -> None:
            while loop.time() < until_s:
                await self._one_call()

        await asyncio.gather(*(work() for _ in range(WORKERS)))

    async def _one_call(self) -> None:
        draw = self._rng.random()
        if draw < 0.3:
            await self._count("deliver", self._rng.randint(1, 5))
        elif draw < 0.6:
            await self._count("sell", self._rng.randint(1, 3))
        elif draw < 0.8:
            await self._list()
        elif draw < 0.9:
            self._made += 1
            cents = self._made * 10 + self._number
            self._ledger.priced(cents, await self._told(self._invoke(PRICE, "change", cents)))
        else:
            product = self._rng.choice(PRODUCTS)
            self._ledger.read(await self._told(self._invoke(f"stock-{product}", "level")))

    async def _count(self, action: str, amount: int) -> None:
        actor = f"stock-{self._rng.choice(PRODUCTS)}"
        outcome = await self._told(self._invoke(actor, action, amount))
        self._ledger.counted(actor, amount if action == "deliver" else -amount, outcome)

    async def _list(self) -> None:
        if len(self._items) > ITEMS_KEPT:
            actor, item = self._items.pop(0)
            self._ledger.removed(item, await self._told(self._invoke(actor, "remove", item)))
            return
        self._made += 1
        actor, item = f"list-{self._rng.choice(LISTS)}", f"{self.name}-{self._made}"
        outcome = await self._told(self._invoke(actor, "add", item))
        self._ledger.added(item, outcome)
        if outcome == "acknowledged":
            self._items.append((actor, item))

    def _invoke(self, actor: str, action: str, argument: int | str | None = None) -> Awaitable[object]:
        return self._client.invoke(SYSTEM, actor, action, argument, timeout=CALL_TIMEOUT_S)

    async def _told(self, call: Awaitable[object]) -> Outcome:
        """How a call ended, in the words of the ledger."""
        outcome: Outcome = "acknowledged"
        try:
            await call
        except CallError as error:
            outcome = "unknown" if error.outcome == "unknown" else "refused"
            if isinstance(error, NotConnected) or outcome == "unknown":
                await asyncio.sleep(PAUSE_S)
        self.outcomes[outcome] += 1
        return outcome
