"""Each station of an order asks for the next one."""

from __future__ import annotations

import pytest

from crdtmesh.sdk import Context
from examples.orders import Desk, Order, Parcel, Store, Till


def test_the_desk_forwards_what_is_sold() -> None:
    ctx: Context[None] = Context(None)
    Desk().order(ctx, Order("tea"))
    assert ctx.asks is not None
    assert "store" == ctx.asks.workflow.forward.actor
    with pytest.raises(ValueError, match="no jam here"):
        Desk().order(ctx, Order("jam"))


def test_the_store_pipes_its_parcel_and_the_till_tells_the_ledger() -> None:
    ctx: Context[None] = Context(None)
    parcel = Store().pack(ctx, Order("tea", 3))
    assert Parcel(Order("tea", 3), 1_050) == parcel
    assert "3 x tea: 1050 cents" == Till().charge(ctx, parcel)
    assert ctx.asks is not None
    assert ["ledger"] == [effect.request.actor.id.name for effect in ctx.asks.workflow.effects]
    assert "till" == ctx.asks.workflow.pipe.actor
