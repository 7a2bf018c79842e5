"""A disk that is full: the node says so, acknowledges nothing more, and has lost nothing when there is room again."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError, StorageFailed
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, hosted
from tests.e2e.watch import status, value

SIZE_BYTES = 4 << 20
CHUNK = "x" * 20_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk_makes_the_node_read_only_and_loses_nothing(nodes: Nodes, small_disk: Path) -> None:
    node = await nodes.start("a", "--data-dir", str(small_disk / "a"), "--socket", str(nodes.folder / "s"), actors=True)
    assert await eventually(lambda: hosted([node]))
    acknowledged: set[str] = set()

    async with Client(node.grpc) as client:

        async def add(number: int) -> CallError | None:
            key = f"{number:04}"
            try:
                await client.state.update("test", key, "LWWRegister", Operation("set", (CHUNK,)))
            except CallError as error:
                return error
            acknowledged.add(key)
            return None

        errors: list[CallError | None] = []
        while not any(errors):
            start = len(errors)
            assert start < 2_000, "the disk never filled up"
            errors += await asyncio.gather(*(add(number) for number in range(start, start + 4)))

        failed = [error for error in errors if error is not None]
        with pytest.raises(StorageFailed) as refused:
            await client.state.update("test", "after", "PNCounter", Operation("increment", (1,)))
        assert "not_applied" == refused.value.outcome
        assert {StorageFailed} == {type(error) for error in failed}
        found = await client.status()
        assert "still here" == await client.invoke("test", "echo", "echo", "still here")
        # What memory holds may be more than the disk does, so it is not shown either.
        with pytest.raises(StorageFailed):
            await client.state.get("test", min(acknowledged))
    assert acknowledged
    assert "read_only" == found.state
    assert any("disk" in warning for warning in found.warnings)
    assert "read_only" in (await crdtmesh("status", endpoint=node.grpc)).out

    await node.stop()
    _enlarge(small_disk)
    await node.start()

    assert "ready" == (await status(node)).state
    async with Client(node.grpc) as client:
        kept = {entry.key async for entry in client.state.list("test")}
        assert set() == acknowledged - kept
        await client.state.update("test", "after", "PNCounter", Operation("increment", (1,)))
    assert 1 == await value(node, "after")


def _enlarge(folder: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={4 * SIZE_BYTES}", folder], check=True)
