"""Nodes and hosts that vanish, stall and come back: nothing acknowledged is lost, nothing is said that isn't known."""

import asyncio
import shutil
import signal

import pytest

from crdtmesh.local_node import LocalNode
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError, HostLost, PeerLost
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes, Trio, hosted, linked, start_trio
from tests.e2e.watch import digests, member_states, start_ids, status, value


@pytest.fixture
async def trio(nodes: Nodes) -> Trio:
    return await start_trio(nodes)


async def test_a_host_that_dies_in_a_call_leaves_its_outcome_unknown_and_is_started_again(nodes: Nodes) -> None:
    node = await nodes.start("a", actors=True)
    assert await eventually(lambda: hosted([node]))

    async with Client(node.grpc) as client:
        await client.invoke("test", "count", "add", 3)
        waiting = asyncio.create_task(client.invoke("test", "echo", "wait", 30))
        with pytest.raises(HostLost) as died:
            await client.invoke("test", "echo", "die")
        with pytest.raises(HostLost):
            await waiting

        assert "unknown" == died.value.outcome
        assert await eventually(lambda: _answers(client))
        assert 3 == await client.invoke("test", "count", "value")
    assert "host.ended" in node.log_path.read_text()


async def test_a_killed_node_comes_back_with_all_it_acknowledged(trio: Trio) -> None:
    told = asyncio.create_task(_add_until_cut(trio.c))
    before = await start_ids(trio.a)
    await asyncio.sleep(1.0)
    await trio.c.kill()
    acknowledged = await told
    async with Client(trio.b.grpc) as client:
        await client.invoke("test", "list", "add", "while-c-was-down")
    await trio.c.start()

    async def everywhere() -> bool:
        return len(await digests(trio.all)) == 1

    assert acknowledged
    assert await eventually(everywhere)
    for node in trio.all:
        found = await value(node, "list")
        assert isinstance(found, list | tuple)
        assert set() == {*acknowledged, "while-c-was-down"} - set(found)
    assert await eventually(lambda: _all_alive(trio))
    after = await start_ids(trio.a)
    assert before["c"] != after["c"]
    assert (before["a"], before["b"]) == (after["a"], after["b"])
    assert 0 == (await status(trio.a)).counters["gossip.name_conflicts"]


async def test_a_node_killed_with_routed_calls_leaves_them_unknown(nodes: Nodes) -> None:
    door = await nodes.start("door")
    worker = await nodes.start("worker", join=door, actors=True)
    async with Client(door.grpc) as client:
        assert await eventually(lambda: _answers(client))
        calls = [asyncio.create_task(client.invoke("test", "echo", "wait", 20)) for _ in range(8)]
        await asyncio.sleep(0.5)
        await worker.kill()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(CallError) as refused:
            await client.invoke("test", "echo", "echo", "x", timeout=2)
        await worker.start()

        assert await eventually(lambda: _answers(client))
    assert {(PeerLost, "unknown")} == {(type(error), getattr(error, "outcome", "")) for error in ended}
    assert "not_applied" == refused.value.outcome


async def test_a_stalled_node_recovers_without_loss(trio: Trio) -> None:
    trio.c.signal(signal.SIGSTOP)
    try:
        async with Client(trio.a.grpc) as client:
            for number in range(20):
                await client.invoke("test", "list", "add", f"stalled-{number}")

        async def noticed() -> bool:
            return (await member_states(trio.a))["c"] != "alive"

        assert await eventually(noticed)
    finally:
        trio.c.signal(signal.SIGCONT)

    async def recovered() -> bool:
        return await _all_alive(trio) and await linked(trio.all) and len(await digests(trio.all)) == 1

    assert await eventually(recovered, timeout_s=25.0)
    found = await value(trio.c, "list")
    assert isinstance(found, list | tuple)
    assert {f"stalled-{number}" for number in range(20)} <= set(found)
    async with Client(trio.c.grpc) as client:
        assert "x" == await client.invoke("test", "echo", "echo", "x")


async def _all_alive(trio: Trio) -> bool:
    return all([await member_states(node) == {"a": "alive", "b": "alive", "c": "alive"} for node in trio.all])


async def _add_until_cut(node: LocalNode) -> list[str]:
    """Adds items one after the other until the node is gone; gives those that it acknowledged."""
    acknowledged: list[str] = []
    async with Client(node.grpc, timeout=3.0) as client:
        while True:
            item = f"{node.name}-{len(acknowledged)}"
            try:
                await client.invoke("test", "list", "add", item)
            except CallError:
                return acknowledged
            acknowledged.append(item)


async def _answers(client: Client) -> bool:
    """Whether a call gets through; until it does, it is refused and not lost."""
    try:
        await client.invoke("test", "echo", "echo", "x", timeout=2)
    except CallError as error:
        if error.outcome == "unknown":
            raise
        return False
    return True


async def test_a_node_that_lost_its_disk_gets_everything_back(nodes: Nodes) -> None:
    first = await nodes.start("a", actors=True)
    second = await nodes.start("b", join=first, actors=True)
    assert await eventually(lambda: linked([first, second]))
    assert await eventually(lambda: hosted([first, second]))
    async with Client(second.grpc) as client:
        await asyncio.gather(*(client.invoke("test", "count", "add", 1) for _ in range(50)))

        async def arrived() -> bool:
            return await value(first, "count") == 50

        assert await eventually(arrived)
    await second.kill()
    shutil.rmtree(nodes.folder / "b")
    await second.start()
    assert await eventually(lambda: hosted([second]))

    async def back() -> bool:
        return await value(second, "count") == 50

    assert await eventually(back)
    async with Client(second.grpc) as client:
        assert 51 == await client.invoke("test", "count", "add", 1)
