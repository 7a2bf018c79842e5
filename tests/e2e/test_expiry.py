"""Entries that expire, on real nodes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from crdtmesh.crdts.operations import Operation
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.watch import WatchEvent
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked


async def test_what_expires_is_gone_on_every_node_unless_it_is_touched(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    put = ("state", "update", "test/gone", "add", '"milk"', "--type", "ORSet", "--ttl", "2s")
    assert '["milk"]' == (await crdtmesh(*put, endpoint=a.grpc)).out.strip()
    async with Client(a.grpc) as client, Client(b.grpc) as other:
        await client.state.update("test", "kept", "ORSet", Operation("add", ("eggs",)), ttl=2)
        await crdtmesh("state", "update", "test/kept", "--ttl", "1h", endpoint=a.grpc)

        async def gone() -> bool:
            return [await each.state.get("test", "gone", "ORSet") for each in (client, other)] == [None, None]

        assert await eventually(gone)
        kept = await other.state.get("test", "kept", "ORSet")
        assert kept is not None
        assert isinstance(kept.value, list | tuple)
        assert ["eggs"] == list(kept.value)
        assert kept.expires_at is not None
        assert abs(kept.expires_at - time.time() - 3_600) < 60
        assert ["kept"] == [entry.key async for entry in other.state.list("test")]
    shown = (await crdtmesh("state", "get", "test/kept", "--format", "json", endpoint=b.grpc)).json()
    assert kept.expires_at == shown["expires_at"]


async def test_a_ttl_that_is_none_or_a_type_that_cannot_expire_is_refused(nodes: Nodes) -> None:
    a = await nodes.start("a")
    wrong = await crdtmesh("state", "update", "test/x", "add", "1", "--ttl", "soon", endpoint=a.grpc)
    assert 2 == wrong.code
    assert "such as 90s" in wrong.err
    nothing = await crdtmesh("state", "update", "test/x", endpoint=a.grpc)
    assert 2 == nothing.code
    rights = (
        "state",
        "update",
        "test/r",
        "increment",
        "5",
        "--type",
        "BoundedCounter",
        "--ttl",
        "1h",
        "--format",
        "json",
    )
    assert "invalid_operation" == (await crdtmesh(*rights, endpoint=a.grpc)).error()["code"]


async def test_a_watch_says_that_an_entry_has_expired(nodes: Nodes) -> None:
    node = await nodes.start("a")
    async with Client(node.grpc) as client:
        watching = asyncio.create_task(_until_deleted(client.watch("test", "gone")))
        await client.state.update("test", "gone", "ORSet", Operation("add", ("milk",)), ttl=2)
        event = await asyncio.wait_for(watching, timeout=30)
    assert (True, ["milk"]) == (event.is_expired, list(event.old_value))  # type: ignore[arg-type]


async def _until_deleted(events: AsyncIterator[WatchEvent]) -> WatchEvent:
    async for event in events:
        if event.kind == "deleted":
            return event
    raise AssertionError("the watch ended")
