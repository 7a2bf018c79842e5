"""Clients that listen to channels, and actors that are stopped, across real nodes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

import pytest

from crdtmesh.sdk.client import Client
from crdtmesh.sdk.context import ActorRef
from crdtmesh.sdk.errors import CallError, UnknownAction, UnknownActor
from crdtmesh.sdk.subscriptions import ChannelMessage
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes, Trio


async def test_a_client_hears_what_actors_broadcast_on_whatever_node_they_are(trio: Trio) -> None:
    async with Client(trio.b.grpc) as reader, Client(trio.a.grpc) as client:
        heard: list[ChannelMessage] = []

        async def listen() -> None:
            async with contextlib.aclosing(reader.subscribe("test", "sold")) as messages:
                while True:
                    heard.append(await anext(messages))

        listener = asyncio.create_task(listen())

        async def reached() -> bool:
            await client.invoke("test", "anna", "put", "milk", parent="basket")
            await client.invoke("test", "anna", "check_out", "till")
            return bool(heard)

        assert await eventually(reached)
        first = heard[0]
        assert "milk" == first.value[0]
        assert ActorRef("test", "anna", "basket") == first.publisher
        assert 0 == first.lagged
        listener.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener


async def test_the_command_line_prints_what_is_broadcast(trio: Trio) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crdtmesh.cli", "actors", "subscribe", "test/sold", "--count", "1", "--format", "json"),
        *("--endpoint", trio.c.grpc),
        stdout=asyncio.subprocess.PIPE,
    )
    async with Client(trio.a.grpc) as client:

        async def ended() -> bool:
            await client.invoke("test", "bert", "put", "tea", parent="basket")
            await client.invoke("test", "bert", "check_out", "till")
            return process.returncode is not None

        assert await eventually(ended, timeout_s=30.0)
    assert process.stdout is not None
    line = json.loads((await process.stdout.read()).decode())
    assert ("test/bert", 0) == (line["publisher"], line["lagged"])


async def test_a_topic_that_can_not_be_one_is_refused(trio: Trio) -> None:
    async with Client(trio.b.grpc) as client, contextlib.aclosing(client.subscribe("test", "a\nb")) as messages:
        with pytest.raises(CallError, match="printable"):
            await anext(messages)


async def test_a_stopped_actor_is_out_of_memory_on_all_nodes_and_comes_back_with_its_state(nodes: Nodes) -> None:
    a = await nodes.start("a", actors=True)
    async with Client(a.grpc) as client:

        async def put() -> bool:
            with contextlib.suppress(CallError):
                await client.invoke("test", "cart", "put", "milk")
                return True
            return False

        assert await eventually(put)
        assert [True] == await client.stop("test", "cart")
        assert [False] == await client.stop("test", "cart")
        assert ["milk"] == (await client.invoke("test", "cart", "show"))["items"]
        with pytest.raises(UnknownActor, match="did you mean 'cart'"):
            await client.stop("test", "carts")


async def test_a_watch_says_that_its_reader_came_and_that_it_went(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client, Client(trio.b.grpc) as other, asyncio.timeout(30):
        watching = client.answers("test", "room", "people", "ann", on_open="enter", on_cancel="leave")
        async with contextlib.aclosing(watching) as seen:
            assert [] == await anext(seen)
            joined = other.answers("test", "room", "people", "bob", on_open="enter", on_cancel="leave")
            assert ["ann"] == await anext(joined)
            assert ["bob"] == await anext(seen)
            await joined.aclose()
            assert [] == await anext(seen)

        async def is_empty() -> bool:
            people: list[str] = await other.invoke("test", "room", "people", "carl")
            return not people

        assert await eventually(is_empty)


async def test_a_watch_whose_first_action_is_unknown_does_not_begin(trio: Trio) -> None:
    async with Client(trio.a.grpc) as client:
        watching = client.answers("test", "room", "people", "dan", on_open="entre", on_cancel="leave")
        async with contextlib.aclosing(watching) as seen:
            with pytest.raises(UnknownAction, match="did you mean 'enter'"):
                await anext(seen)
