"""A host with opaque actors, templates and workflows, seen from the node's side of a real stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crdtmesh.sdk import Context, Host, System, action, listens, timer
from crdtmesh.wire import payloads
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.spawn.actors import actor_pb2

if TYPE_CHECKING:
    from tests.unit.crdtmesh.sdk.conftest import Node, Stream

CART, MARY, NOOP, JSON = 1, 2, 2, 1
ACTIONS = ["put", "show", "fail", "check_out", "tick"]


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


def system() -> System:
    shops = System("shops")

    @shops.actor(
        "cart", state=Cart, write="local", placement="available", tags={"shelf": "a"}, idle_timeout=2, revisions=8
    )
    @shops.actor("customer", state=Cart, unnamed=True)
    class Shopping:
        def __init__(self) -> None:
            self.calls = 0

        @action
        def put(self, ctx: Context[Cart], item: str) -> list[str]:
            ctx.state.items.append(item)
            return ctx.state.items

        @action
        def show(self, ctx: Context[Cart]) -> list[Any]:
            self.calls += 1
            return [ctx.actor, ctx.ref.parent, self.calls, ctx.state]

        @action
        async def fail(self, ctx: Context[Cart], item: str) -> None:
            ctx.state.items.append(item)
            await asyncio.sleep(0)
            raise ValueError(item)

        @action
        def check_out(self, ctx: Context[Cart]) -> Any:
            ctx.effect("stock", "take", ctx.state)
            ctx.state = Cart()
            return ctx.pipe("till", "pay", "bill")

        @timer(every=0.5)
        @listens("hours")
        def tick(self, ctx: Context[Cart]) -> str:
            return "tick"

    return shops


class Double:
    """The node's side of the stream of a running host."""

    def __init__(self, stream: Stream, registration: Any) -> None:
        self.stream = stream
        self.registration = registration
        self._turn = 0

    async def call(self, actor: int, name: str, argument: Any = ..., **fields: Any) -> Any:
        """The batch that answers one turn."""
        self._turn += 1
        url, payload = (NOOP, b"") if argument is ... else (JSON, payloads.encode(argument)[1])
        await self.stream.send(
            pb.TurnBatch(
                turn=[self._turn],
                actor=[actor],
                action=[ACTIONS.index(name) + 1],
                type_url=[url],
                payload=[payload],
                **fields,
            )
        )
        return await self.stream.next()


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[Double]:
    host = Host(system(), node.address)
    task = asyncio.create_task(host.run())
    stream, registration = await node.accept_host()
    bindings = [
        pb.Binding(handle=CART, actor=actor_pb2.ActorId(system="shops", name="cart")),
        pb.Binding(handle=MARY, actor=actor_pb2.ActorId(system="shops", name="mary", parent="customer")),
        pb.Binding(handle=JSON, type_url=payloads.JSON_TYPE_URL),
        pb.Binding(handle=NOOP, type_url="type.googleapis.com/spawn.Noop"),
    ]
    bindings += [pb.Binding(handle=handle, action=name) for handle, name in enumerate(ACTIONS, 1)]
    await stream.send(pb.TurnBatch(bindings=bindings, states=[held(CART, {"items": ["bread"]}), held(MARY)]))
    yield Double(stream, registration)
    host.stop()
    while await stream.next() is not None:
        pass
    stream.close()
    async with asyncio.timeout(5):
        await task


def held(actor: int, value: Any = None) -> pb.StateUpdate:
    update = pb.StateUpdate(actor=actor)
    update.opaque.SetInParent()
    if value is not None:
        update.opaque.state.type_url, update.opaque.state.value = payloads.encode(value)
    return update


def answer(batch: Any) -> Any:
    return payloads.decode(payloads.JSON_TYPE_URL, batch.payload[0])


async def test_registration_says_state_tags_timers_and_channels(node: Node) -> None:
    async with running(node) as host:
        actors = host.registration.actor_system.registry.actors
        cart, customer = actors["cart"], actors["customer"]
        assert (actor_pb2.NAMED, True, "Cart") == (cart.settings.kind, cart.settings.stateful, cart.settings.state_type)
        assert actor_pb2.UNNAMED == customer.settings.kind
        settings = {"crdtmesh.write": "local", "crdtmesh.placement": "available", "crdtmesh.revisions": "8"}
        assert settings == dict(cart.metadata.tags)
        assert {"shelf": "a"} == dict(cart.state.tags)
        assert {"items": []} == payloads.decode(cart.state.state.type_url, cart.state.state.value)
        assert 2_000 == cart.settings.deactivation_strategy.timeout.timeout
        assert [(500, "tick")] == [(item.seconds, item.action.name) for item in cart.timer_actions]
        (channel,) = map(actor_pb2.Channel.FromString, cart.metadata.channel_group)
        assert ("hours", "tick") == (channel.topic, channel.action)


async def test_a_turn_that_changes_the_state_answers_with_it(node: Node) -> None:
    async with running(node) as host:
        batch = await host.call(CART, "put", "milk")
        assert ["bread", "milk"] == answer(batch)
        (effects,) = batch.effects
        state = effects.state.state
        assert (1, {"items": ["bread", "milk"]}) == (effects.turn, payloads.decode(state.type_url, state.value))

        batch = await host.call(CART, "show")
        assert ["cart", "", 1, {"items": ["bread", "milk"]}] == answer(batch)
        assert not batch.effects


async def test_a_failed_turn_leaves_the_state_as_it_was(node: Node) -> None:
    async with running(node) as host:
        batch = await host.call(CART, "fail", "milk")
        assert "ValueError: milk" == batch.failures[0].message
        assert not batch.effects
        assert {"items": ["bread"]} == answer(await host.call(CART, "show"))[3]


async def test_the_node_s_state_replaces_the_copy(node: Node) -> None:
    async with running(node) as host:
        await host.call(CART, "put", "milk")
        batch = await host.call(CART, "show", states=[held(CART, {"items": ["eggs"]})])
        assert {"items": ["eggs"]} == answer(batch)[3]


async def test_a_state_that_can_not_be_read_fails_the_turn_and_not_the_stream(node: Node) -> None:
    async with running(node) as host:
        batch = await host.call(CART, "show", states=[held(CART, {"things": []})])
        assert "Cart has no field 'things'" in batch.failures[0].message
        assert ["mary", "customer", 1, {"items": []}] == answer(await host.call(MARY, "show"))


async def test_an_instance_has_a_state_and_an_object_of_its_own_until_it_is_released(node: Node) -> None:
    async with running(node) as host:
        await host.call(CART, "show")
        await host.call(MARY, "put", "tea")
        assert ["mary", "customer", 1, {"items": ["tea"]}] == answer(await host.call(MARY, "show"))
        batch = await host.call(MARY, "show", released=[MARY], states=[held(MARY, {"items": ["jam"]})])
        assert ["mary", "customer", 1, {"items": ["jam"]}] == answer(batch)


async def test_workflow_and_state_leave_with_the_answer(node: Node) -> None:
    async with running(node) as host:
        batch = await host.call(CART, "check_out")
        assert "bill" == answer(batch)
        (effects,) = batch.effects
        assert {"items": []} == payloads.decode(effects.state.state.type_url, effects.state.state.value)
        (effect,) = effects.workflow.effects
        assert {"items": ["bread"]} == payloads.decode(effect.request.value.type_url, effect.request.value.value)
        assert ("till", "pay") == (effects.workflow.pipe.actor, effects.workflow.pipe.action_name)


async def test_a_timer_s_call_has_no_argument(node: Node) -> None:
    async with running(node) as host:
        assert "tick" == answer(await host.call(CART, "tick"))
