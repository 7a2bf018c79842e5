"""What waits for the disk on a real node, and what does not."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.sdk.client import Client
from tests.e2e.cli import crdtmesh
from tests.e2e.conftest import Nodes

MODES = ("--durability", "later=none", "--durability", "soon=interval(60000)")


@pytest.mark.parametrize(("is_killed", "kept"), [(False, [5, 5, 5]), (True, [0, 0, 5])])
async def test_a_plain_stop_keeps_everything_and_a_crash_what_did_wait(
    nodes: Nodes, is_killed: bool, kept: list[int]
) -> None:
    a = await nodes.start("a", *MODES)
    async with Client(a.grpc) as client:
        # The one that waits comes first: what is written later goes with whatever is written next.
        await client.state.update("test", "sync", "PNCounter", Operation("increment", (5,)))
        for key in ("later", "soon"):
            await client.state.update("test", key, "PNCounter", Operation("increment", (5,)))
        if is_killed:
            await a.kill()
    if not is_killed:
        assert 0 == await a.stop()
    a = await nodes.start("a", *MODES)
    async with Client(a.grpc) as client:
        found = [await client.state.get("test", key, "PNCounter") for key in ("later", "soon", "sync")]
    assert kept == [0 if entry is None else entry.value for entry in found]


async def test_a_mode_that_is_none_stops_the_start(nodes: Nodes) -> None:
    ran = await crdtmesh("up", "--name", "x", "--durability", "x=fast", endpoint="127.0.0.1:1")
    assert 2 == ran.code
    assert "expected sync, interval(1)" in ran.err
