"""The actors that end-to-end tests call."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field

from crdtmesh.sdk import Context, LWWRegister, ORSet, PNCounter, System, action, listens

system = System("test")


@system.actor("echo")
class Echo:
    @action
    def echo(self, ctx: Context, value: str) -> str:
        return value

    @action
    async def wait(self, ctx: Context, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "waited"

    @action
    def fail(self, ctx: Context, reason: str) -> None:
        raise RuntimeError(reason)

    @action
    def die(self, ctx: Context) -> None:
        os._exit(9)


@system.actor("count", state=PNCounter)
class Count:
    @action
    def add(self, ctx: Context[PNCounter], amount: int) -> int:
        ctx.state.increment(amount)
        return ctx.state.value

    @action
    def add_and_fail(self, ctx: Context[PNCounter], amount: int) -> None:
        ctx.state.increment(amount)
        raise RuntimeError("after the increment")

    @action
    def value(self, ctx: Context[PNCounter]) -> int:
        return ctx.state.value


@system.actor("list", state=ORSet)
class Shopping:
    @action
    def add(self, ctx: Context[ORSet], item: str) -> int:
        ctx.state.add(item)
        return len(ctx.state)

    @action
    def remove(self, ctx: Context[ORSet], item: str) -> int:
        ctx.state.discard(item)
        return len(ctx.state)


@system.actor("price", state=LWWRegister)
class Price:
    @action
    def set(self, ctx: Context[LWWRegister], price: int) -> int:
        ctx.state.set(price)
        return price


@dataclass
class Goods:
    items: list[str] = field(default_factory=list)
    node: int = 0


@system.actor("cart", state=Goods)
@system.actor("basket", state=Goods, unnamed=True)
class Cart:
    @action
    def put(self, ctx: Context[Goods], item: str) -> Goods:
        """Gives the state, with the process id of the node that runs the actor."""
        ctx.state.items.append(item)
        ctx.state.node = os.getppid()
        return ctx.state

    @action
    def show(self, ctx: Context[Goods]) -> Goods:
        return ctx.state

    @action
    def check_out(self, ctx: Context[Goods], till: str) -> Goods:
        ctx.broadcast("sold", ctx.state.items)
        return ctx.pipe("till", "pay", ctx.state)


@system.actor("till")
class Till:
    @action
    def pay(self, ctx: Context, goods: Goods) -> int:
        return len(goods.items)


@system.actor("sales", state=ORSet)
class Sales:
    @listens("sold")
    def sold(self, ctx: Context[ORSet[str]], items: list[str]) -> None:
        for item in items:
            ctx.state.add(item)


@system.actor("room", state=ORSet)
class Room:
    @action
    def enter(self, ctx: Context[ORSet[str]], name: str) -> None:
        ctx.state.add(name)

    @action
    def leave(self, ctx: Context[ORSet[str]], name: str) -> None:
        ctx.state.discard(name)

    @action
    def people(self, ctx: Context[ORSet[str]], name: str) -> list[str]:
        """Who is there beside the one who asks."""
        return sorted(other for other in ctx.state if other != name)
