"""An actor with an opaque state runs on one node, is called on all, and is taken over with its state."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError, UnknownAction, UnknownActor
from tests.e2e.actors import Goods
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes, hosted, linked


async def test_an_opaque_actor_outlives_its_node_with_its_state_and_its_schedule(nodes: Nodes) -> None:
    a = await nodes.start("a", actors=True)
    b, c = await asyncio.gather(nodes.start("b", join=a, actors=True), nodes.start("c", join=a, actors=True))
    trio = [a, b, c]
    assert await eventually(lambda: linked(trio))
    assert await eventually(lambda: hosted(trio))

    answers = [await _call(node.grpc, "put", node.name) for node in trio]
    assert [["a"], ["a", "b"], ["a", "b", "c"]] == [answer.items for answer in answers]
    (pid,) = {answer.node for answer in answers}
    (owner,) = [node for node in trio if node.pid == pid]
    others = [node for node in trio if node is not owner]

    async with Client(others[0].grpc) as client:
        await client.send("test", "cart", "put", "later", delay=4.0)
    await owner.kill()

    taken: Any = await eventually(lambda: _answered(others[0].grpc), timeout_s=30.0)
    assert ["a", "b", "c"] == taken.items[:3]

    async def kept() -> bool:
        return "later" in (await _call(others[1].grpc, "show")).items

    assert await eventually(kept, timeout_s=20.0)
    after = await _call(others[1].grpc, "put", "after")
    assert after.node in {node.pid for node in others}


async def test_an_instance_broadcasts_and_pipes_to_other_nodes_until_it_is_deleted(nodes: Nodes) -> None:
    a = await nodes.start("a", actors=True)
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    assert await eventually(lambda: hosted([a]))

    async with Client(b.grpc) as client:
        await client.spawn("test", "mary", parent="basket")
        await client.invoke("test", "mary", "put", "milk")
        assert 1 == await client.invoke("test", "mary", "check_out", "till")

        async def sold() -> bool:
            entry = await client.state.get("test", "sales")
            return entry is not None and ("milk",) == entry.value

        assert await eventually(sold)

        assert [True, True] == await client.delete("test", "mary", "sales")
        assert [False] == await client.delete("test", "mary")
        with pytest.raises(UnknownActor):
            await client.invoke("test", "mary", "show")
        assert Goods() == await client.invoke("test", "mary", "show", parent="basket", returns=Goods)


async def test_answers_of_an_actor_are_watched_from_any_node(nodes: Nodes) -> None:
    a = await nodes.start("a", actors=True)
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    assert await eventually(lambda: hosted([a]))

    async with Client(a.grpc) as writer, Client(b.grpc) as reader:
        await writer.invoke("test", "cart", "put", "milk")
        async with (
            asyncio.timeout(20),
            contextlib.aclosing(reader.answers("test", "cart", "show", returns=Goods)) as answers,
        ):
            assert ["milk"] == (await anext(answers)).items
            await writer.invoke("test", "cart", "put", "bread")
            assert ["milk", "bread"] == (await anext(answers)).items
        async with asyncio.timeout(20), contextlib.aclosing(reader.answers("test", "cart", "shw")) as answers:
            with pytest.raises(UnknownAction):
                await anext(answers)


async def _call(address: str, action: str, argument: Any = None) -> Goods:
    async with Client(address) as client:
        return await client.invoke("test", "cart", action, argument, returns=Goods)


async def _answered(address: str) -> Goods | None:
    """The state, once somebody has taken the actor over."""
    try:
        return await _call(address, "show")
    except CallError:
        return None
