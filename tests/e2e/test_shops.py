"""The example application while a shop's node comes and goes."""

import pytest

from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError, HandlerError
from tests.e2e.cli import eventually
from tests.e2e.conftest import Nodes, hosted, linked

ACTORS = ("--actors", "crdtmesh.examples.shops:system")


async def test_shops_agree_after_one_of_them_was_away(nodes: Nodes) -> None:
    north = await nodes.start("north", *ACTORS)
    south = await nodes.start("south", *ACTORS, join=north)
    shops = [north, south]
    assert await eventually(lambda: linked(shops))
    assert await eventually(lambda: hosted(shops))

    async with Client(north.grpc) as here, Client(south.grpc) as there:
        assert 10 == await here.invoke("shops", "stock-apples", "deliver", 10)
        await here.invoke("shops", "list-monday", "add", "milk")
        assert await eventually(lambda: _reads(there, "stock-apples", "level", 10))
        assert await eventually(lambda: _reads(there, "list-monday", "items", ["milk"]))

        assert 0 == await south.stop()
        assert 7 == await here.invoke("shops", "stock-apples", "sell", {"amount": 3})
        await here.invoke("shops", "list-monday", "remove", "milk")
        await here.invoke("shops", "price-apples", "change", 120)
        with pytest.raises(HandlerError, match="only 7 left") as refused:
            await here.invoke("shops", "stock-apples", "sell", 8)
        assert "not_applied" == refused.value.outcome
        await south.start()

        assert await eventually(lambda: _reads(there, "stock-apples", "level", 7))
        assert await eventually(lambda: _reads(there, "list-monday", "items", []))
        assert await eventually(lambda: _reads(there, "price-apples", "show", 120))


async def _reads(client: Client, actor: str, action: str, expected: object) -> bool:
    try:
        return bool(expected == await client.invoke("shops", actor, action))
    except CallError:
        return False  # its node is away
