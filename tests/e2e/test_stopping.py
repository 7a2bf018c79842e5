"""Ctrl-C, SIGTERM and `leave`: what is in flight ends, the others are told, the exit code is 0."""

import asyncio
import signal
from pathlib import Path

import pytest

from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Nodes, hosted, linked
from tests.e2e.watch import member_states, value


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_calls_in_flight_end_tells_the_others_and_exits_0(nodes: Nodes, number: int) -> None:
    a = await nodes.start("a", actors=True)
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    assert await eventually(lambda: hosted([a]))

    async with Client(a.grpc) as client:
        call = asyncio.create_task(client.invoke("test", "echo", "wait", 1.5))
        counted = asyncio.create_task(client.invoke("test", "count", "add", 2))
        await asyncio.sleep(0.5)
        a.signal(number)
        assert "waited" == await call
        assert 2 == await counted
        with pytest.raises(CallError) as refused:
            await client.invoke("test", "echo", "echo", "late", timeout=2)

    assert "not_applied" == refused.value.outcome
    assert 0 == await a.stop()
    assert not Path(a.socket).exists()

    async def told() -> bool:
        return await member_states(b) == {"a": "left", "b": "alive"}

    assert await eventually(told, timeout_s=3.0)
    assert 2 == await value(b, "count")


async def test_a_second_signal_does_not_hurt(nodes: Nodes) -> None:
    node = await nodes.start("a", actors=True)

    node.signal(signal.SIGINT)
    node.signal(signal.SIGTERM)

    assert 0 == await node.stop()


async def test_leave_tells_the_others_stops_the_node_and_exits_0(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))

    ran = await crdtmesh("leave", "--format", "json", endpoint=b.grpc)

    assert {"left": True} == ran.json()
    assert 0 == await b.ended()
    assert {"a": "alive", "b": "left"} == await member_states(a)
    assert 1 == (await crdtmesh("status", "--timeout", "1", endpoint=b.grpc)).code


async def test_a_node_that_left_is_welcome_again(nodes: Nodes) -> None:
    a = await nodes.start("a")
    b = await nodes.start("b", join=a)
    assert await eventually(lambda: linked([a, b]))
    assert 0 == await b.stop()
    await b.start()

    async def back() -> bool:
        return await member_states(a) == {"a": "alive", "b": "alive"} and await linked([a, b])

    assert await eventually(back)


async def test_a_call_that_outlasts_the_drain_is_cut_and_unknown(nodes: Nodes) -> None:
    node = await nodes.start("a", "--drain-timeout-s", "0.3", actors=True)
    assert await eventually(lambda: hosted([node]))

    async with Client(node.grpc) as client:
        call = asyncio.create_task(client.invoke("test", "echo", "wait", 30, timeout=40))
        await asyncio.sleep(0.5)
        node.signal(signal.SIGTERM)
        with pytest.raises(CallError) as cut:
            await call

    assert "unknown" == cut.value.outcome
    assert 0 == await node.stop()
