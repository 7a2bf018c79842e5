"""What real nodes tell of one key."""

from __future__ import annotations

from crdtmesh.crdts.operations import Operation
from crdtmesh.sdk.client import Client
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked


async def test_two_nodes_explain_one_entry_alike_and_each_knows_its_own_replica_id(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    async with Client(a.grpc) as client, Client(b.grpc) as other:
        await client.state.update("test", "stock", "PNCounter", Operation("increment", (5,)))
        await other.state.update("test", "stock", "PNCounter", Operation("increment", (2,)))

        async def alike() -> bool:
            first, second = await client.explain("test", "stock"), await other.explain("test", "stock")
            return first.value == 7 and first.fingerprint == second.fingerprint

        assert await eventually(alike)
        found = await client.explain("test", "stock")
        assert {"a", ""} == {writer.node for writer in found.writers}
        assert {1} == {writer.last for writer in found.writers}

    told = (await crdtmesh("state", "explain", "test/stock", "--format", "json", endpoint=b.grpc)).json()
    assert ("PNCounter", 7, found.fingerprint) == (told["type_name"], told["value"], told["fingerprint"])
    table = await crdtmesh("state", "explain", "test/stock", endpoint=b.grpc)
    assert f"in shard {found.shard}," in table.out
    both = ("state", "explain", "test/stock", "--peer", "a")
    compared = (await crdtmesh(*both, "--format", "json", endpoint=b.grpc)).json()
    assert ("a", "b", found.fingerprint) == (
        compared["peer"]["node"],
        compared["node"],
        compared["peer"]["fingerprint"],
    )
    assert {"a", "b"} == {writer["node"] for writer in compared["writers"]}
    assert "a holds the same" in (await crdtmesh(*both, endpoint=b.grpc)).out
    silent = await crdtmesh("state", "explain", "test/stock", "--peer", "z", "--format", "json", endpoint=b.grpc)
    assert "timeout" == silent.error()["code"]
    missing = await crdtmesh("state", "explain", "test/nothing", "--format", "json", endpoint=b.grpc)
    assert "invalid_request" == missing.error()["code"]
