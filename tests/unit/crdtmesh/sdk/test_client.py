"""A client's calls, seen from the node's side of a real stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from crdtmesh.sdk import Client
from crdtmesh.sdk.calls import GRACE_S
from crdtmesh.sdk.errors import (
    CallError,
    CallTimeout,
    ConnectionLost,
    HandlerError,
    InvalidRequest,
    MailboxFull,
    NoHost,
    NotConnected,
    UnknownActor,
    error_for,
)
from crdtmesh.wire import payloads
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2

if TYPE_CHECKING:
    from tests.unit.crdtmesh.sdk.conftest import Node, Stream


class Names:
    """What a client has bound on its stream."""

    def __init__(self) -> None:
        self.actors: dict[int, tuple[str, str]] = {}
        self.actions: dict[int, str] = {}
        self.urls: dict[int, str] = {0: ""}

    def calls(self, batch: Any) -> list[tuple[int, str, str, str, Any]]:
        """(id, system, actor, action, argument) of each call in a batch."""
        for binding in batch.bindings:
            kind = binding.WhichOneof("target")
            if kind == "actor":
                self.actors[binding.handle] = (binding.actor.system, binding.actor.name)
            elif kind == "action":
                self.actions[binding.handle] = binding.action
            else:
                self.urls[binding.handle] = binding.type_url
        return [
            (number, *self.actors[actor], self.actions[action], payloads.decode(self.urls[url], payload))
            for number, actor, action, url, payload in zip(
                batch.id, batch.actor, batch.action, batch.type_url, batch.payload, strict=True
            )
        ]


async def reply(stream: Stream, *results: tuple[int, Any]) -> None:
    await stream.send(
        pb.ReplyBatch(
            bindings=[pb.Binding(handle=1, type_url=payloads.JSON_TYPE_URL)],
            id=[number for number, _ in results],
            type_url=[0 if result is None else 1 for _, result in results],
            payload=[payloads.encode(result)[1] for _, result in results],
        )
    )


async def test_call_carries_names_and_argument_and_brings_the_answer(node: Node) -> None:
    async with Client(node.address) as client:
        task = asyncio.create_task(client.invoke("shops", "list", "add", {"item": "milk"}, metadata={"k": "v"}))
        stream = await node.stream()
        batch = await stream.next()
        (call,) = Names().calls(batch)
        assert ("shops", "list", "add", {"item": "milk"}) == call[1:]
        assert {"k": "v"} == dict(batch.extras[0].metadata)
        assert 9_000 < batch.timeout_ms[0] <= 10_000
        await reply(stream, (call[0], ["milk"]))
        assert ["milk"] == await task


async def test_calls_of_one_loop_turn_go_out_together_and_replies_come_in_any_order(node: Node) -> None:
    async with Client(node.address) as client:
        first = asyncio.create_task(client.invoke("s", "a0", "x"))
        stream = await node.stream()
        names = Names()
        names.calls(await stream.next())
        tasks = [asyncio.create_task(client.invoke("s", f"a{number}", "x", number)) for number in range(50)]
        calls = names.calls(await stream.next())
        assert [("s", f"a{number}", "x", number) for number in range(50)] == [call[1:] for call in calls]
        await reply(stream, *[(call[0], call[4]) for call in reversed(calls)], (1, None))
        assert list(range(50)) == await asyncio.gather(*tasks)
        assert await first is None


async def test_actor_proxy_turns_methods_into_calls(node: Node) -> None:
    async with Client(node.address) as client:
        shopping = client.actor("shops", "list", timeout=1.0)
        tasks = [
            asyncio.ensure_future(call) for call in (shopping.add("milk"), shopping.move(a="x", b=2), shopping.show())
        ]
        stream = await node.stream()
        calls = Names().calls(await stream.next())
        assert [("add", "milk"), ("move", {"a": "x", "b": 2}), ("show", None)] == [call[3:] for call in calls]
        await reply(stream, *[(call[0], "ok") for call in calls])
        assert ["ok"] * 3 == await asyncio.gather(*tasks)
        with pytest.raises(TypeError, match="expected one positional argument"):
            shopping.move("x", 2)


@pytest.mark.parametrize(
    ("code", "outcome", "expected"),
    [
        (values_pb2.UNKNOWN_ACTOR, values_pb2.NOT_APPLIED, (UnknownActor, "unknown_actor", "not_applied")),
        (values_pb2.HANDLER_ERROR, values_pb2.NOT_APPLIED, (HandlerError, "handler_error", "not_applied")),
        (values_pb2.MAILBOX_FULL, values_pb2.NOT_APPLIED, (MailboxFull, "mailbox_full", "not_applied")),
        (values_pb2.TIMEOUT, values_pb2.OUTCOME_UNKNOWN, (CallTimeout, "timeout", "unknown")),
        (99, 0, (CallError, "unspecified", "unknown")),
    ],
)
async def test_failures_become_typed_errors(node: Node, code: Any, outcome: Any, expected: Any) -> None:
    async with Client(node.address) as client:
        task = asyncio.create_task(client.invoke("s", "a", "x"))
        stream = await node.stream()
        await stream.next()
        await stream.send(
            pb.ReplyBatch(failures=[pb.CallFailure(id=1, code=code, outcome=outcome, message="no more milk")])
        )
        with pytest.raises(CallError, match="no more milk") as caught:
            await task
        assert expected == (type(caught.value), caught.value.code, caught.value.outcome)


def test_every_code_of_the_wire_has_its_error() -> None:
    names = [
        name.lower() for name in values_pb2.ErrorCode.DESCRIPTOR.values_by_name if name != "ERROR_CODE_UNSPECIFIED"
    ]
    assert names == [error_for(name, "", "unknown").code for name in names]


async def test_broken_stream_is_unknown_for_calls_in_flight_and_the_next_address_takes_over(
    node: Node, second_node: Node
) -> None:
    async with Client(node.address, second_node.address) as client:
        lost = asyncio.create_task(client.invoke("s", "a", "x", "lost"))
        stream = await node.stream()
        await stream.next()
        assert node.address == client.address
        await node.stop()
        with pytest.raises(ConnectionLost) as caught:
            await lost
        assert "unknown" == caught.value.outcome
        task = asyncio.create_task(client.invoke("s", "a", "x", "kept"))
        stream = await second_node.stream()
        names = Names()
        (call,) = names.calls(await stream.next())
        assert "kept" == call[4]
        await reply(stream, (call[0], "ok"))
        assert "ok" == await task
        assert second_node.address == client.address


async def test_address_without_a_node_is_passed_over(node: Node, second_node: Node) -> None:
    await node.stop()
    async with Client(node.address, second_node.address) as client:
        task = asyncio.create_task(client.invoke("s", "a", "x"))
        stream = await second_node.stream()
        await stream.next()
        await reply(stream, (1, "ok"))
        assert "ok" == await task


async def test_call_that_was_never_sent_is_not_applied(node: Node) -> None:
    await node.stop()
    async with Client(node.address) as client:
        with pytest.raises(NotConnected, match="no node answers") as caught:
            await client.invoke("s", "a", "x", timeout=0.1)
        assert "not_applied" == caught.value.outcome


async def test_silent_node_times_a_call_out_as_unknown_and_is_left(node: Node, second_node: Node) -> None:
    async with Client(node.address, second_node.address) as client:
        started = asyncio.get_running_loop().time()
        task = asyncio.create_task(client.invoke("s", "a", "x", timeout=0.5))
        stream = await node.stream()
        await stream.next()
        with pytest.raises(CallTimeout) as caught:
            await task
        assert "unknown" == caught.value.outcome
        assert asyncio.get_running_loop().time() - started >= 0.5 + GRACE_S
        await second_node.stream()


async def test_node_that_answers_others_is_kept_and_told_of_the_timeout(node: Node) -> None:
    async with Client(node.address) as client:
        late = asyncio.create_task(client.invoke("s", "a", "x", timeout=0.5))
        stream = await node.stream()
        await stream.next()
        other = asyncio.create_task(client.invoke("s", "b", "x"))
        await stream.next()
        await reply(stream, (2, "ok"))
        assert "ok" == await other
        with pytest.raises(CallTimeout):
            await late
        assert [1] == list((await stream.next()).cancelled)


async def test_cancelled_call_is_taken_back(node: Node) -> None:
    async with Client(node.address) as client:
        task = asyncio.create_task(client.invoke("s", "a", "x"))
        stream = await node.stream()
        await stream.next()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [1] == list((await stream.next()).cancelled)


async def test_calls_beyond_the_bound_wait_their_turn(node: Node) -> None:
    async with Client(node.address, in_flight_max=2) as client:
        tasks = [asyncio.create_task(client.invoke("s", "a", "x", number)) for number in range(3)]
        stream = await node.stream()
        names = Names()
        assert [0, 1] == [call[4] for call in names.calls(await stream.next())]
        await reply(stream, (2, "ok"))
        assert [2] == [call[4] for call in names.calls(await stream.next())]
        await reply(stream, (1, "ok"), (3, "ok"))
        assert ["ok"] * 3 == await asyncio.gather(*tasks)
        assert 0 == len(client._stream._calls)


async def test_closing_the_client_ends_its_calls(node: Node) -> None:
    async with Client(node.address) as client:
        task = asyncio.create_task(client.invoke("s", "a", "x"))
        stream = await node.stream()
        await stream.next()
    with pytest.raises(ConnectionLost, match="closed"):
        await task
    with pytest.raises(NotConnected, match="not open"):
        await client.invoke("s", "a", "x")


async def test_reply_for_nobody_and_of_unknown_calls_is_dropped(node: Node) -> None:
    async with Client(node.address) as client:
        task = asyncio.create_task(client.invoke("s", "a", "x"))
        stream = await node.stream()
        await stream.next()
        await reply(stream, (77, "who"), (1, "ok"))
        assert "ok" == await task


async def test_unary_failures_carry_code_and_outcome(node: Node) -> None:
    async with Client(node.address) as client:
        with pytest.raises(CallError) as caught:
            await client.members(timeout=1)  # this node serves no Cluster
        assert ("invalid_request", "not_applied") == (caught.value.code, caught.value.outcome)


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1:99999", "http://x:1", "unix:", ""])
def test_malformed_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        Client(address)


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


async def test_an_instance_is_called_with_its_parent_a_write_level_and_an_operation_id(node: Node) -> None:
    async with Client(node.address) as client:
        task = asyncio.create_task(
            client.invoke(
                *("shops", "mary", "put", Cart(["milk"])),
                parent="cart",
                write="all",
                metadata={"k": "v"},
                operation_id="order-7",
            )
        )
        stream = await node.stream()
        batch = await stream.next()
        assert [("mary", "cart")] == [
            (item.actor.name, item.actor.parent) for item in batch.bindings if item.HasField("actor")
        ]
        terms = {"crdtmesh.write": "all", "crdtmesh.operation": "order-7"}
        assert {"k": "v", **terms} == dict(batch.extras[0].metadata)
        (call,) = Names().calls(batch)
        assert {"items": ["milk"]} == call[4]
        await reply(stream, (call[0], {"items": ["milk"]}))
        assert {"items": ["milk"]} == await task
        with pytest.raises(ValueError, match="level"):
            await client.invoke("shops", "mary", "put", write="most")


async def test_an_answer_is_an_object_of_the_class_that_is_asked_for(node: Node) -> None:
    async with Client(node.address) as client:
        tasks = [asyncio.create_task(client.invoke("shops", "cart", "show", returns=Cart)) for _ in range(2)]
        stream = await node.stream()
        first, second = Names().calls(await stream.next())
        await reply(stream, (first[0], {"items": ["milk"]}), (second[0], {"things": []}))
        assert Cart(["milk"]) == await tasks[0]
        with pytest.raises(payloads.PayloadError, match="show: the answer: Cart has no field 'things'"):
            await tasks[1]


async def test_calls_for_later_and_spawns_are_spawn_s_own_messages(node: Node) -> None:
    async with Client(node.address) as client:
        await client.send("shops", "mary", "remind", "milk", parent="cart", delay=2.5)
        await client.send("shops", "mary", "remind", at=datetime.fromtimestamp(2_000_000_000, UTC))
        await client.spawn("shops", "mary", "joe", parent="cart")
        later, absolute, spawned = node.unary
        assert ("cart", "remind", 2_500, True) == (
            later.actor.id.parent,
            later.action_name,
            later.scheduled_to,
            getattr(later, "async"),
        )
        assert 2_000_000_000_000 == absolute.scheduled_to
        assert [("mary", "cart"), ("joe", "cart")] == [(item.name, item.parent) for item in spawned.actors]
        node.refusal = "no template 'cart'"
        with pytest.raises(InvalidRequest, match="no template 'cart'"):
            await client.spawn("shops", "mary", parent="cart")
        with pytest.raises(ValueError, match="time zone"):
            await client.send("shops", "mary", "remind", at=datetime(2030, 1, 1))  # noqa: DTZ001 - refused for that


async def test_deleting_says_for_each_actor_whether_there_was_something(node: Node) -> None:
    async with Client(node.address) as client:
        assert [True, False] == await client.delete("shops", "mary", "nobody", parent="cart")
        assert [("shops", "mary", "cart"), ("shops", "nobody", "cart")] == [
            (actor.system, actor.name, actor.parent) for actor in node.unary[0].actors
        ]


async def test_watched_answers_come_until_the_node_says_why_not(node: Node) -> None:
    node.answers = [{"items": []}, {"items": ["milk"]}]
    async with Client(node.address) as client:
        answers = client.answers("shops", "mary", "show", parent="cart", returns=Cart)
        assert [Cart(), Cart(["milk"])] == [await anext(answers), await anext(answers)]
        with pytest.raises(NoHost, match="no host"):
            await anext(answers)
    (request,) = node.unary
    assert ("mary", "cart", False) == (request.actor.id.name, request.actor.id.parent, getattr(request, "async"))
