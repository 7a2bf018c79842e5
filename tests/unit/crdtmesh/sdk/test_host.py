"""A host runs the turns of its stream by the rules, seen from the node's side of a real stream."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.sdk import Context, Host, ORSet, PNCounter, System, action
from crdtmesh.sdk.errors import DefinitionError, RegistrationRefused
from crdtmesh.wire import payloads, values
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.spawn.actors import actor_pb2

if TYPE_CHECKING:
    from tests.unit.crdtmesh.sdk.conftest import Node, Stream

ACTORS = {"list": 1, "stock": 2, "echo": 3, "stranger": 4}
ACTIONS = {
    name: index
    for index, name in enumerate(
        [
            "add",
            "add_slowly",
            "add_and_fail",
            "members",
            "sell",
            "say",
            "boom",
            "wait",
            "leak",
            "peek",
            "deadline",
            "unprintable",
        ],
        1,
    )
}
JSON = 1

gates: dict[str, asyncio.Event] = {}
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")


def system() -> System:
    shops = System("shops")

    @shops.actor("list", state=ORSet)
    class ShoppingList:
        @action
        async def add(self, ctx: Context[ORSet[str]], item: str) -> list[str]:
            ctx.state.add(item)
            return sorted(ctx.state)

        @action
        async def add_slowly(self, ctx: Context[ORSet[str]], item: str) -> list[str]:
            ctx.state.add(item)
            await gates[item].wait()
            return sorted(ctx.state)

        @action
        async def add_and_fail(self, ctx: Context[ORSet[str]], item: str) -> None:
            ctx.state.add(item)
            await asyncio.sleep(0)
            raise ValueError(f"no {item} today")

        @action
        def members(self, ctx: Context[ORSet[str]]) -> list[str]:
            return sorted(ctx.state)

        @action
        async def deadline(self, ctx: Context[ORSet[str]], item: str) -> None:
            ctx.state.add(item)
            await asyncio.sleep(60)

        @action
        def unprintable(self, ctx: Context[ORSet[str]], item: str) -> Any:
            ctx.state.add(item)
            return object()

    @shops.actor("stock", state=PNCounter)
    class Stock:
        @action
        def sell(self, ctx: Context[PNCounter], amount: int = 1) -> int:
            ctx.state.decrement(amount)
            return ctx.state.value

    @shops.actor("echo")
    class Echo:
        @action
        def say(self, ctx: Context, text: str) -> str:
            return text

        @action
        async def wait(self, ctx: Context, name: str) -> str:
            task = asyncio.current_task()
            async with asyncio.timeout(5):
                await gates[name].wait()
            assert task is asyncio.current_task()
            return name

        @action
        async def leak(self, ctx: Context) -> str:
            before = variable.get()
            variable.set("dirty")
            await asyncio.sleep(0)
            return f"{before} {variable.get()}"

        @action
        def peek(self, ctx: Context) -> list[Any]:
            return [
                variable.get(),
                dict(ctx.metadata),
                ctx.caller and ctx.caller.name,
                ctx.actor,
                ctx.action,
                ctx.system,
            ]

    return shops


class HostDouble:
    """A running host, and the node's side of its stream."""

    def __init__(self, host: Host, stream: Stream, registration: Any) -> None:
        self.host = host
        self.stream = stream
        self.registration = registration
        self._urls = {0: ""}
        self._next = 0
        self._answers: dict[int, Any] = {}

    async def send(self, *calls: tuple[str, str, Any], timeout_ms: int = 0, **fields: Any) -> list[int]:
        """Sends one batch of turns (actor, action, argument or ... for none); gives their ids."""
        ids = list(range(self._next + 1, self._next + 1 + len(calls)))
        self._next += len(calls)
        await self.stream.send(
            pb.TurnBatch(
                turn=ids,
                actor=[ACTORS[actor] for actor, _, _ in calls],
                action=[ACTIONS[action] for _, action, _ in calls],
                type_url=[JSON if argument is not ... else 0 for _, _, argument in calls],
                payload=[payloads.encode(argument)[1] if argument is not ... else b"" for _, _, argument in calls],
                timeout_ms=[timeout_ms] * len(calls) if timeout_ms else [],
                **fields,
            )
        )
        return ids

    async def answer(self, turn: int) -> tuple[Any, list[tuple[str, Any]]] | str:
        """Result and operations of a turn, or the message of its failure."""
        while turn not in self._answers:
            batch = await self.stream.next()
            for binding in batch.bindings:
                self._urls[binding.handle] = binding.type_url
            count = len(batch.turn)
            for index, number in enumerate(batch.turn):
                url = self._urls[batch.type_url[index]] if batch.type_url else ""
                payload = batch.payload[index] if batch.payload else b""
                mutations = values.mutations_from_bytes(batch.mutations[index] if batch.mutations else b"")
                self._answers[number] = payloads.decode(url, payload), [(o.name, *o.arguments) for o in mutations]
            assert len(batch.type_url) in (0, count)
            for failure in batch.failures:
                self._answers[failure.turn] = ("unknown: " if failure.unknown_action else "") + failure.message
        return self._answers.pop(turn)  # type: ignore[no-any-return]

    async def call(self, actor: str, action_name: str, argument: Any = ..., **fields: Any) -> Any:
        (turn,) = await self.send((actor, action_name, argument), **fields)
        return await self.answer(turn)


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[HostDouble]:
    gates.clear()
    host = Host(system(), node.address)
    task = asyncio.create_task(host.run())
    stream, registration = await node.accept_host()
    await bind(stream)
    double = HostDouble(host, stream, registration)
    yield double
    for gate in gates.values():
        gate.set()
    host.stop()
    while await double.stream.next() is not None:
        pass
    double.stream.close()
    async with asyncio.timeout(5):
        await task


async def bind(stream: Stream) -> None:
    """Names the handles, and gives the two actors with a state theirs, as a node does before their first turn."""
    bindings = [
        pb.Binding(handle=handle, actor=actor_pb2.ActorId(system="shops", name=name)) for name, handle in ACTORS.items()
    ]
    bindings += [pb.Binding(handle=handle, action=name) for name, handle in ACTIONS.items()]
    bindings.append(pb.Binding(handle=JSON, type_url=payloads.JSON_TYPE_URL))
    await stream.send(pb.TurnBatch(bindings=bindings, states=[whole("list", ["bread"]), whole("stock", 10)]))


def whole(actor: str, value: Any) -> pb.StateUpdate:
    name = "ORSet" if actor == "list" else "PNCounter"
    return pb.StateUpdate(actor=ACTORS[actor], value=values.value_from_plain(name, value))


def change(added: list[Any], removed: list[Any]) -> pb.StateUpdate:
    return pb.StateUpdate(
        actor=ACTORS["list"],
        set=pb.SetChange(
            added=list(map(values.data_from_plain, added)), removed=list(map(values.data_from_plain, removed))
        ),
    )


async def test_registration_names_actors_actions_and_state_types(node: Node) -> None:
    async with running(node) as host:
        actors = host.registration.actor_system.registry.actors
        assert "shops" == host.registration.actor_system.name
        assert {"list", "stock", "echo"} == set(actors)
        assert "crdtmesh.v1.ORSet" == actors["list"].settings.state_type
        assert not actors["echo"].settings.stateful
        assert ["sell"] == [item.name for item in actors["stock"].actions]


async def test_turn_sees_the_state_and_answers_with_its_operations(node: Node) -> None:
    async with running(node) as host:
        assert (["bread", "milk"], [("add", "milk")]) == await host.call("list", "add", "milk")
        assert (8, [("decrement", 2)]) == await host.call("stock", "sell", 2)


async def test_a_released_actor_starts_from_the_state_that_comes_next(node: Node) -> None:
    async with running(node) as host:
        await host.call("list", "add", "milk")
        result = await host.call("list", "members", released=[ACTORS["list"]], states=[change(["eggs"], [])])
        assert (["eggs"], []) == result


async def test_host_applies_its_own_operations_and_those_of_others(node: Node) -> None:
    async with running(node) as host:
        await host.call("list", "add", "milk")
        result = await host.call("list", "members", states=[change(["eggs"], ["bread"])])
        assert (["eggs", "milk"], []) == result
        assert (5, [("decrement", 1)]) == await host.call("stock", "sell", states=[whole("stock", 6)])


async def test_failed_turn_leaves_nothing(node: Node) -> None:
    async with running(node) as host:
        assert "ValueError: no milk today" == await host.call("list", "add_and_fail", "milk")
        assert (["bread"], []) == await host.call("list", "members")


async def test_result_that_can_not_travel_leaves_nothing(node: Node) -> None:
    async with running(node) as host:
        assert "JSON form" in await host.call("list", "unprintable", "milk")
        assert (["bread"], []) == await host.call("list", "members")


async def test_wrong_argument_is_an_error_that_says_what_was_expected(node: Node) -> None:
    async with running(node) as host:
        message = "sell: argument 'amount': expected an integer, got True (bool)"
        assert message == await host.call("stock", "sell", True)


async def test_invalid_operation_raises_in_the_handler(node: Node) -> None:
    async with running(node) as host:
        assert "decrement: expected 0 or more, got -1; call increment" == await host.call("stock", "sell", -1)
        assert (9, [("decrement", 1)]) == await host.call("stock", "sell")


async def test_unknown_action_and_actor_are_told_apart_from_failures(node: Node) -> None:
    async with running(node) as host:
        assert "unknown: echo has no action 'boom'" in await host.call("echo", "boom", "x")
        assert "unknown: this host has no actor 'stranger'" == await host.call("stranger", "say", "x")


async def test_turns_of_one_actor_run_in_order_and_one_at_a_time(node: Node) -> None:
    async with running(node) as host:
        gates["milk"] = asyncio.Event()
        slow, fast = await host.send(("list", "add_slowly", "milk"), ("list", "members", ...))
        (other,) = await host.send(("stock", "sell", 1))
        assert (9, [("decrement", 1)]) == await host.answer(other)
        gates["milk"].set()
        assert (["bread", "milk"], [("add", "milk")]) == await host.answer(slow)
        assert (["bread", "milk"], []) == await host.answer(fast)


async def test_state_that_comes_during_a_turn_waits_for_its_end(node: Node) -> None:
    async with running(node) as host:
        gates["milk"] = asyncio.Event()
        (slow,) = await host.send(("list", "add_slowly", "milk"))
        (later,) = await host.send(("list", "members", ...), states=[change(["eggs"], [])])
        assert "hello" == (await host.call("echo", "say", "hello"))[0]
        gates["milk"].set()
        assert (["bread", "milk"], [("add", "milk")]) == await host.answer(slow)
        assert (["bread", "eggs", "milk"], []) == await host.answer(later)


async def test_many_turns_that_wait_run_at_once(node: Node) -> None:
    async with running(node) as host:
        gates["a"] = asyncio.Event()
        turns = []
        for _ in range(3):
            turns += await host.send(("echo", "wait", "a"), ("list", "members", ...), ("stock", "sell", 0))
        gates["a"].set()
        results = [await host.answer(turn) for turn in turns]
        assert [("a", []), (["bread"], []), (10, [])] * 3 == results


async def test_context_variables_do_not_leak_from_turn_to_turn(node: Node) -> None:
    async with running(node) as host:
        assert ("clean dirty", []) == await host.call("echo", "leak")
        assert "clean" == (await host.call("echo", "peek"))[0][0]


async def test_metadata_and_caller_reach_the_handler(node: Node) -> None:
    async with running(node) as host:
        extra = pb.TurnExtra(turn=1, metadata={"k": "v"}, caller=actor_pb2.ActorId(name="list", system="shops"))
        (result, _) = await host.call("echo", "peek", extras=[extra])
        assert [{"k": "v"}, "list", "echo", "peek", "shops"] == result[1:]


async def test_deadline_cancels_a_turn_that_waits(node: Node) -> None:
    async with running(node) as host:
        assert "the deadline passed" == await host.call("list", "deadline", "milk", timeout_ms=30)
        assert (["bread"], []) == await host.call("list", "members")


async def test_cancelled_turns_stop_whether_running_or_queued(node: Node) -> None:
    async with running(node) as host:
        running_turn, queued = await host.send(("list", "deadline", "milk"), ("list", "add", "eggs"))
        await host.stream.send(pb.TurnBatch(cancelled=[running_turn, queued, 999]))
        assert "the caller stopped waiting" == await host.answer(running_turn)
        assert "before the turn started" in str(await host.answer(queued))
        assert (["bread"], []) == await host.call("list", "members")


async def test_answers_of_one_loop_turn_go_out_together(node: Node) -> None:
    async with running(node) as host:
        await host.send(*[("echo", "say", f"{number}") for number in range(200)])
        batch = await host.stream.next()
        assert 200 == len(batch.turn)
        assert 1 == len(batch.bindings)
        assert not batch.mutations


async def test_stop_finishes_the_turns_that_run(node: Node) -> None:
    async with running(node) as host:
        gates["milk"] = asyncio.Event()
        slow, queued = await host.send(("list", "add_slowly", "milk"), ("list", "members", ...))
        await host.call("echo", "say", "here")
        host.host.stop()
        gates["milk"].set()
        assert (["bread", "milk"], [("add", "milk")]) == await host.answer(slow)
        assert (["bread", "milk"], []) == await host.answer(queued)


async def test_host_comes_back_and_starts_from_the_node_s_state(node: Node) -> None:
    async with running(node) as host:
        await host.call("list", "add", "milk")
        gates["never"] = asyncio.Event()
        await host.send(("list", "add_slowly", "never"))  # has no end
        host.stream.close()
        stream, registration = await node.accept_host()
        await bind(stream)
        host.stream = stream
        assert "shops" == registration.actor_system.name
        assert (["bread"], []) == await host.call("list", "members")


async def test_node_that_breaks_the_rules_is_left_and_joined_anew(node: Node) -> None:
    async with running(node) as host:
        await host.stream.send(pb.TurnBatch(turn=[1], actor=[77], action=[1]))
        stream, _ = await node.accept_host()
        host.stream.close()
        await bind(stream)
        host.stream = stream
        assert ("x", []) == await host.call("echo", "say", "x")


async def test_refused_registration_ends_the_host(node: Node) -> None:
    node.refusal = "stock is a PNCounter elsewhere"
    task = asyncio.create_task(Host(system(), node.address).run())
    stream, _ = await node.accept_host()
    with pytest.raises(RegistrationRefused, match="stock is a PNCounter elsewhere"):
        await task
    stream.close()


async def test_host_waits_for_a_node_that_is_not_there_yet(node: Node) -> None:
    await node.stop()
    host = Host(system(), node.address)
    task = asyncio.create_task(host.run())
    await asyncio.sleep(0)
    await node.start()
    stream, _ = await node.accept_host()
    host.stop()
    assert await stream.next() is None
    stream.close()
    await task


async def test_class_that_can_not_be_made_ends_the_host(node: Node) -> None:
    broken = System("broken")

    @broken.actor("a")
    class Broken:
        def __init__(self) -> None:
            raise OSError("no such camera")

        @action
        def say(self, ctx: Context) -> None: ...

    with pytest.raises(DefinitionError, match="no such camera"):
        await Host(broken, node.address).run()


def test_operations_are_the_project_s_own() -> None:
    counter = PNCounter(3)
    counter.increment()
    assert [Operation("increment", (1,))] == counter.pending
