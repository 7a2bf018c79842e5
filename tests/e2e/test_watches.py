"""Watches of real nodes: by the SDK and by the command line, over restarts and broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator

from crdtmesh.crdts.operations import Operation
from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.watch import MapChange, SetChange, WatchEvent
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes, linked
from tests.e2e.watch import status

Events = AsyncGenerator[WatchEvent, None]


async def following(events: Events, *kinds: str) -> list[WatchEvent]:
    """The next events, which are of these kinds."""
    async with asyncio.timeout(20):
        found = [await anext(events) for _ in kinds]
    assert list(kinds) == [event.kind for event in found]
    return found


async def test_a_watch_shows_a_snapshot_and_then_changes_of_all_nodes_until_it_is_closed(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    async with Client(a.grpc) as client, Client(b.grpc) as other:
        await client.state.update("test", "stock/milk", "PNCounter", Operation("increment", (5,)))
        async with contextlib.aclosing(client.watch("test", prefix="stock/", interval_ms=0)) as events:
            snapshot, present, _ = await following(events, "snapshot", "present", "complete")
            assert ("first", "stock/milk", 5) == (snapshot.reason, present.key, present.value)

            await other.state.update("test", "stock/milk", "PNCounter", Operation("increment", (2,)))
            [changed] = await following(events, "changed")
            assert (5, 7) == (changed.old_value, changed.value)

            await other.state.update("test", "stock/list", "ORSet", Operation("add", ("milk",)))
            [changed] = await following(events, "changed")
            assert SetChange(added=("milk",)) == changed.change

            await client.state.update("test", "stock/list", "ORSet", Operation("remove", ("milk",)))
            [deleted] = await following(events, "deleted")
            assert ("stock/list", ("milk",)) == (deleted.key, deleted.old_value)

            await other.state.update("test", "stock/prices", "LWWMap", Operation("put", ("milk", 3)))
            await following(events, "changed")
            await other.state.update("test", "stock/prices", "LWWMap", Operation("put", ("milk", 4)))
            [changed] = await following(events, "changed")
            assert MapChange(changed={"milk": (3, 4)}) == changed.change

        # Its token goes on where it was; the changes that came meanwhile are one.
        for _ in range(3):
            await client.state.update("test", "stock/milk", "PNCounter", Operation("increment", (1,)))
        async with contextlib.aclosing(client.watch("test", prefix="stock/", token=changed.token)) as events:
            [again] = await following(events, "changed")
            assert (7, 10) == (again.old_value, again.value)

        # Another node does not know the token.
        async with contextlib.aclosing(other.watch("test", "stock/milk", token=changed.token)) as events:
            snapshot, _ = await following(events, "snapshot", "present")
            assert "other_node" == snapshot.reason


async def test_a_watch_goes_on_by_itself_when_its_node_restarts_and_says_that_it_begins_again(nodes: Nodes) -> None:
    a = await nodes.start("a")
    async with Client(a.grpc, timeout=20) as client, contextlib.aclosing(client.watch("test", "stock")) as events:
        await following(events, "snapshot", "absent", "complete")
        await a.kill()
        await a.start()
        snapshot, *_ = await following(events, "snapshot", "absent", "complete")
        assert "other_node" == snapshot.reason
        await client.state.update("test", "stock", "PNCounter", Operation("increment", (5,)))
        [changed] = await following(events, "changed")
        assert (None, 5) == (changed.old_value, changed.value)


async def test_the_command_prints_lines_of_json_and_a_watch_ends_with_its_client(nodes: Nodes) -> None:
    a = await nodes.start("a")
    async with Client(a.grpc) as client:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "crdtmesh.cli", "state", "watch", "test/stock", "--endpoint", a.grpc),
            *("--interval", "0", "--format", "json"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            lines = [json.loads(await asyncio.wait_for(process.stdout.readline(), 20)) for _ in range(3)]
            assert ["snapshot", "absent", "complete"] == [line["event"] for line in lines]
            assert await watches_are(a, 1)
            await client.state.update("test", "stock", "PNCounter", Operation("increment", (5,)))
            line = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
            assert ("changed", "test", "stock", 5) == (line["event"], line["system"], line["key"], line["value"])
        finally:
            process.kill()
            await process.wait()
        assert await eventually(lambda: watches_are(a, 0))


async def watches_are(node: LocalNode, count: int) -> bool:
    """Whether so many readers watch at a node."""
    return (await status(node)).counters["watches.readers"] == count
