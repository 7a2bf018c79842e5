"""Deleting entries, and updating several at once, on real nodes."""

from __future__ import annotations

import json

from crdtmesh.crdts.operations import Operation
from crdtmesh.sdk.client import Client
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked


async def test_a_deleted_key_is_gone_everywhere_and_free_again(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    async with Client(a.grpc) as client, Client(b.grpc) as other:
        await client.state.update("test", "list", "ORSet", Operation("add", ("milk",)), ttl=60, write="all")
        assert await other.state.delete("test", "list")
        assert not await other.state.delete("test", "list")
        assert not await other.state.delete("test", "list", "ORSet")

        async def gone() -> bool:
            return await client.state.get("test", "list", "ORSet") is None

        assert await eventually(gone)
        await client.state.update("test", "list", "ORSet", Operation("add", ("eggs",)))
        found = await client.state.get("test", "list", "ORSet")
        assert found is not None
        assert (["eggs"], None) == ([*found.value] if isinstance(found.value, list | tuple) else [], found.expires_at)

    shown = await crdtmesh("state", "delete", "test/list", "--write", "all", endpoint=a.grpc)
    assert "deleted" == shown.out.strip()
    delete = ("state", "delete", "test/list", "--type", "ORSet", "--format", "json")
    assert (await crdtmesh(*delete, endpoint=a.grpc)).json()["found"] is False
    await crdtmesh("state", "update", "test/rights", "increment", "5", "--type", "BoundedCounter", endpoint=a.grpc)
    refused = await crdtmesh("state", "delete", "test/rights", "--format", "json", endpoint=a.grpc)
    assert "invalid_operation" == refused.error()["code"]


async def test_a_batch_updates_several_entries_at_once_or_none(nodes: Nodes) -> None:
    a = await nodes.start("a")
    batch = [["{o7}/lines", "ORSet", "add", "milk"], ["{o7}/lines", "ORSet", "add", "eggs"]]
    batch.append(["{o7}/total", "PNCounter", "increment", 5])  # type: ignore[list-item]
    asked = ("state", "batch", json.dumps(batch), "--system", "test", "--format", "json")
    assert {"changed": True, "values": [["eggs", "milk"], 5]} == (await crdtmesh(*asked, endpoint=a.grpc)).json()
    apart = [["one", "PNCounter", "increment", 1], ["two", "PNCounter", "increment", 1]]
    for text, code in ((json.dumps(apart), 1), ("[[1]]", 2), ("{}", 2)):
        refused = await crdtmesh("state", "batch", text, "--system", "test", endpoint=a.grpc)
        assert code == refused.code, refused
    listed = (await crdtmesh("state", "list", "test/", "--format", "json", endpoint=a.grpc)).json()
    assert ["{o7}/lines", "{o7}/total"] == [entry["key"] for entry in listed["entries"]]
