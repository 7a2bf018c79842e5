"""The client for scripts does from any thread what the asyncio client does in its loop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from crdtmesh.sdk.errors import HandlerError, NotConnected
from crdtmesh.sdk.sync import Client
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2 as pb
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2
from tests.unit.crdtmesh.sdk.test_client import Names, reply

if TYPE_CHECKING:
    from tests.unit.crdtmesh.sdk.conftest import Node


async def test_calls_block_until_their_answer_or_failure(node: Node) -> None:
    def script() -> list[Any]:
        with Client(node.address, timeout=5) as client:
            answer = client.invoke("shops", "list", "add", "milk")
            with pytest.raises(HandlerError, match="no"):
                client.actor("shops", "list").add(item="bread")
            client.send("shops", "list", "add", "eggs", at=datetime.fromtimestamp(2_000_000_000, UTC))
            client.spawn("shops", "mary", parent="cart")
            return [answer]

    running = asyncio.create_task(asyncio.to_thread(script))
    stream = await node.stream()
    names = Names()
    (first,) = names.calls(await stream.next())
    assert ("shops", "list", "add", "milk") == first[1:]
    await reply(stream, (first[0], ["milk"]))
    (second,) = names.calls(await stream.next())
    failure = pb.CallFailure(id=second[0], code=values_pb2.HANDLER_ERROR, outcome=values_pb2.NOT_APPLIED, message="no")
    await stream.send(pb.ReplyBatch(failures=[failure]))
    assert [["milk"]] == await running
    assert [2_000_000_000_000, "mary"] == [node.unary[0].scheduled_to, node.unary[1].actors[0].name]


def test_it_is_used_in_its_block_and_entered_once() -> None:
    client = Client("127.0.0.1:1", timeout=0.1)
    with pytest.raises(NotConnected, match="in `with`"):
        client.members()
    with client, pytest.raises(NotConnected):
        client.members()
    with pytest.raises(RuntimeError, match="entered once"), client:
        pass
    client.close()
