"""Levels with real nodes: what is acknowledged when some are gone, what times out, and what the operator can do."""

from __future__ import annotations

import asyncio
import time

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallTimeout, InvalidOperation, InvalidRequest
from crdtmesh.sdk.state import EntryUpdate, Session
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, Trio, linked, start_trio
from tests.e2e.watch import remembers, status

INCREMENT = Operation("increment", (1,))


@pytest.fixture
async def trio(nodes: Nodes) -> Trio:
    trio = await start_trio(nodes)
    assert await eventually(lambda: all_vote(trio.all))
    return trio


async def linked_to(node: LocalNode, peer: str) -> bool:
    """Whether a node has a link to a peer."""
    return any(found.name == peer and found.is_linked for found in (await status(node)).peers)


async def all_vote(nodes: list[LocalNode]) -> bool:
    """Whether each of these names all of them as voters of the mesh."""
    for node in nodes:
        systems = {system.system: system.voters for system in (await status(node)).systems}
        if len(systems.get("_mesh", ())) < len(nodes):
            return False
    return True


async def test_levels_with_one_and_with_two_of_three_nodes_gone(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client:
        for level in ("local", "to(2)", "majority", "majority(min_cap=3)", "all"):
            await client.state.update("test", level, "PNCounter", INCREMENT, write=level)
            entry = await client.state.get("test", level, "PNCounter", read=level)
            assert entry is not None
            assert 1 == entry.value
            async with Client(trio.b.grpc) as other:
                keys = [entry.key async for entry in other.state.list("test", read=level)]
            assert level in keys or level == "local"

        await trio.c.kill()
        await client.state.update("test", "stock", "PNCounter", INCREMENT, write="majority")
        with pytest.raises(CallTimeout) as late:
            await client.state.update("test", "stock", "PNCounter", INCREMENT, write="all", timeout=2)
        assert "unknown" == late.value.outcome
        assert "2 of 3" in str(late.value)
        await trio.c.start()
        assert await eventually(lambda: linked(trio.all))
        await client.state.update("test", "stock", "PNCounter", INCREMENT, write="all")
        async with Client(trio.c.grpc) as other:
            entry = await other.state.get("test", "stock", "PNCounter")
            assert entry is not None
            assert 3 == entry.value, "what was unknown is there after all"

        await trio.b.kill()
        await trio.c.kill()
        with pytest.raises(CallTimeout) as late:
            await client.state.update("test", "stock", "PNCounter", INCREMENT, write="majority", timeout=2)
        assert "unknown" == late.value.outcome
        with pytest.raises(CallTimeout) as late:
            await client.state.get("test", "stock", "PNCounter", read="majority", timeout=2)
        assert "not_applied" == late.value.outcome
        before = time.monotonic()
        await client.state.update("test", "stock", "PNCounter", INCREMENT, write="local")
        assert time.monotonic() - before < 1


async def test_calls_of_actors_take_levels_in_their_metadata(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client:
        await client.invoke("test", "count", "add", 3, metadata={"crdtmesh.write": "all"})
        async with Client(trio.b.grpc) as other:
            entry = await other.state.get("test", "count", "PNCounter")
            assert entry is not None
            assert 3 == entry.value
        await asyncio.gather(trio.b.kill(), trio.c.kill())
        with pytest.raises(CallTimeout) as late:
            await client.invoke("test", "count", "add", 3, metadata={"crdtmesh.write": "majority"}, timeout=2)
        assert "unknown" == late.value.outcome


async def test_member_that_is_gone_is_removed_from_the_majorities(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client:
        with pytest.raises(InvalidRequest):
            await client.remove_member("c")
        await trio.c.kill()

        async def is_dead() -> bool:
            return any(member.name == "c" and member.state == "dead" for member in await client.members())

        assert await eventually(is_dead, timeout_s=40)
        removed = await crdtmesh("members", "remove", "c", "--format", "json", endpoint=trio.a.grpc)
        assert "_mesh" in removed.json()["systems"]
        await client.state.update("test", "stock", "PNCounter", INCREMENT, write="all", timeout=5)
        again = await crdtmesh("members", "remove", "c", "--format", "json", endpoint=trio.a.grpc)
        assert {"removed": False, "systems": []} == again.json()


async def test_commands_take_levels_and_say_what_became_of_the_update(nodes: Nodes) -> None:
    node = await nodes.start("a", "--expected-nodes", "3")
    update = ("state", "update", "shops/milk", "increment", "5", "--type", "PNCounter", "--format", "json")
    ran = await crdtmesh(*update, "--write", "local", endpoint=node.grpc)
    told = ran.json()
    token = told.pop("token")
    assert {"changed": True, "value": 5} == told
    again = await crdtmesh("state", "get", "shops/milk", "--format", "json", "--token", token, endpoint=node.grpc)
    assert 5 == again.json()["value"]
    wrong = await crdtmesh("state", "get", "shops/milk", "--format", "json", "--token", "0.eA==", endpoint=node.grpc)
    assert ("invalid_request", "not_applied") == (wrong.error()["code"], wrong.error()["outcome"])
    late = await crdtmesh(*update, "--write", "majority", "--timeout", "2", endpoint=node.grpc)
    assert ("timeout", "unknown") == (late.error()["code"], late.error()["outcome"])
    read = ("state", "get", "shops/milk", "--type", "PNCounter", "--format", "json")
    late = await crdtmesh(*read, "--read", "majority", "--timeout", "2", endpoint=node.grpc)
    assert ("timeout", "not_applied") == (late.error()["code"], late.error()["outcome"])
    late = await crdtmesh("state", "list", "shops/", "--read", "to(1)", "--format", "json", endpoint=node.grpc)
    assert ["milk"] == [entry["key"] for entry in late.json()["entries"]]
    late = await crdtmesh(
        "state", "list", "shops/", "--read", "majority", "--timeout", "2", "--format", "json", endpoint=node.grpc
    )
    assert ("timeout", "not_applied") == (late.error()["code"], late.error()["outcome"])
    wrong = await crdtmesh("state", "list", "shops/", "--read", "most", endpoint=node.grpc)
    assert "--read: level local, to(n), majority" in wrong.err
    wrong = await crdtmesh(*update, "--write", "most", endpoint=node.grpc)
    assert "--write: level local, to(n), majority" in wrong.err
    listed = await crdtmesh("members", "--format", "json", endpoint=node.grpc)
    assert ["a"] == [member["name"] for member in listed.json()["members"]]


async def test_several_entries_change_together_or_not_at_all(trio: Trio) -> None:
    lines = EntryUpdate("{order-7}/lines", "ORSet", [Operation("add", ("milk",))])
    total = EntryUpdate("{order-7}/total", "PNCounter", [Operation("increment", (5,))])
    async with Client(trio.a.grpc) as client:
        assert (True, (("milk",), 5)) == await client.state.update_together("test", [lines, total], write="all")
        nothing = [
            EntryUpdate(lines.key, "ORSet", [Operation("remove", ("x",))]),
            EntryUpdate(total.key, "PNCounter", []),
        ]
        assert (False, (("milk",), 5)) == await client.state.update_together("test", nothing)
        apart = [EntryUpdate(f"order-{number}", "ORSet", [Operation("add", (1,))]) for number in range(8)]
        with pytest.raises(InvalidOperation, match="in braces") as refused:
            await client.state.update_together("test", apart)
        assert "not_applied" == refused.value.outcome
    async with Client(trio.c.grpc) as client:
        for update, value in ((lines, ("milk",)), (total, 5)):
            entry = await client.state.get("test", update.key)
            assert entry is not None
            assert value == entry.value


async def test_session_reads_its_own_writes_at_another_node(trio: Trio) -> None:
    session = Session()
    async with Client(trio.a.grpc) as writer, Client(trio.b.grpc) as reader:
        for number in range(1, 30):
            await writer.state.update("test", "stock", "PNCounter", INCREMENT, session=session)
            entry = await reader.state.get("test", "stock", "PNCounter", session=session)
            assert entry is not None
            assert number == entry.value
        assert await eventually(lambda: remembers(trio.c, 2))
        await trio.c.kill()
        await writer.state.update("test", "stock", "PNCounter", INCREMENT, session=session)
        await trio.a.kill()
        await trio.c.start()
        async with Client(trio.c.grpc) as late:
            # Nobody on its join list is there; it remembers the others.
            entry = await late.state.get("test", "stock", "PNCounter", session=session, timeout=10)
            assert entry is not None
            assert 30 == entry.value


async def test_retry_of_an_unknown_update_is_not_done_twice(trio: Trio) -> None:
    await asyncio.gather(trio.b.kill(), trio.c.kill())
    async with Client(trio.a.grpc) as client:
        with pytest.raises(CallTimeout) as late:
            await client.state.update(
                "test", "stock", "PNCounter", INCREMENT, write="majority", operation_id="order-7", timeout=2
            )
        assert "unknown" == late.value.outcome
        await trio.b.start()
        assert await eventually(lambda: linked_to(trio.a, "b"), timeout_s=30)
        changed, value = await client.state.update(
            "test", "stock", "PNCounter", INCREMENT, write="majority", operation_id="order-7", timeout=10
        )
        assert (False, 1) == (changed, value)
    async with Client(trio.b.grpc) as other:
        entry = await other.state.get("test", "stock", "PNCounter")
        assert entry is not None
        assert 1 == entry.value
        changed, value = await other.state.update("test", "stock", "PNCounter", INCREMENT, operation_id="order-7")
        assert (False, 1) == (changed, value)
