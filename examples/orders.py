"""An order that goes through several actors: a check, a forward, a pipe and an effect.

    crdtmesh up --system orders --actors examples.orders:system
    crdtmesh invoke orders/desk order '{"item": "tea", "count": 3}'
    crdtmesh invoke orders/ledger sum

The caller asks the desk and gets the till's answer, wherever desk, store and till run.
"""

from dataclasses import dataclass
from typing import Any

from crdtmesh.sdk import Context, PNCounter, System, action

CENTS = {"tea": 350, "coffee": 420}

system = System("orders")


@dataclass
class Order:
    """What is ordered."""

    item: str
    count: int = 1


@dataclass
class Parcel:
    """What the store has packed."""

    order: Order
    cents: int


@system.actor("desk")
class Desk:
    """Where orders come in."""

    @action
    def order(self, ctx: Context, order: Order) -> Any:
        """Refuses what is not sold, and hands the rest to the store as it came."""
        if order.item not in CENTS:
            raise ValueError(f"no {order.item} here")
        return ctx.forward("store", "pack")


@system.actor("store")
class Store:
    """Packs orders."""

    @action
    def pack(self, ctx: Context, order: Order) -> Parcel:
        """Gives the parcel to the till, whose answer the caller gets."""
        return ctx.pipe("till", "charge", Parcel(order, CENTS[order.item] * order.count))


@system.actor("till")
class Till:
    """Writes bills."""

    @action
    def charge(self, ctx: Context, parcel: Parcel) -> str:
        """The bill; the ledger hears of it, and nobody waits for that."""
        ctx.effect("ledger", "add", parcel.cents)
        return f"{parcel.order.count} x {parcel.order.item}: {parcel.cents} cents"


@system.actor("ledger", state=PNCounter)
class Ledger:
    """What was earned."""

    @action
    def add(self, ctx: Context[PNCounter], cents: int) -> None:
        """Takes a bill in."""
        ctx.state.increment(cents)

    @action
    def sum(self, ctx: Context[PNCounter]) -> int:
        """All of it, in cents."""
        return ctx.state.value
