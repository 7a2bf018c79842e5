"""Backups of real nodes."""

from __future__ import annotations

from pathlib import Path

from crdtmesh.crdts.operations import Operation
from crdtmesh.sdk.client import Client
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, linked


async def test_a_backup_of_a_running_node_restores_into_a_node_that_catches_up(nodes: Nodes, tmp_path: Path) -> None:
    a = await nodes.start("a")
    async with Client(a.grpc) as client:
        for number in range(50):
            await client.state.update("test", f"k{number}", "PNCounter", Operation("increment", (number,)))
        directory = ("--data-dir", str(nodes.folder / "a"), "--name", "a", "--cluster", nodes.cluster)
        file = tmp_path / "a.backup"
        made = (await crdtmesh("backup", str(file), *directory, "--format", "json")).json()
        assert ("a", nodes.cluster, file.stat().st_size) == (made["node"], made["cluster"], made["bytes"])
        await client.state.update("test", "k1", "PNCounter", Operation("increment", (100,)))
        await client.state.update("test", "k2", "PNCounter", Operation("reset"))

        again = await crdtmesh("backup", str(file), *directory)
        assert 1 == again.code
        assert "exists" in again.err
        full = await crdtmesh("restore", str(file), *directory)
        assert 1 == full.code
        assert "not empty" in full.err
        restored = nodes.folder / "b"
        to = ("--data-dir", str(restored), "--name", "b", "--cluster", nodes.cluster)
        foreign = await crdtmesh("restore", str(file), *to[:-1], "other")
        assert 1 == foreign.code
        assert not restored.exists()
        assert "b" == (await crdtmesh("restore", str(file), *to, "--format", "json")).json()["node"]

        b = await nodes.start("b", join=a)
        assert await eventually(lambda: linked([a, b]))
        async with Client(b.grpc) as other:

            async def caught_up() -> bool:
                one = await other.state.get("test", "k1", "PNCounter")
                two = await other.state.get("test", "k2", "PNCounter")
                return one is not None and one.value == 101 and two is None

            assert await eventually(caught_up)
            kept = await other.state.get("test", "k49", "PNCounter")
            assert kept is not None
            assert 49 == kept.value
