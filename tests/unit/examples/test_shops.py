"""The example's actors do what their docstrings say; the demo runs them on real nodes."""

from __future__ import annotations

import pytest

from crdtmesh.sdk import Context, LWWRegister, ORSet, PNCounter
from crdtmesh.sdk.loading import load_system
from examples.shops import Price, ShoppingList, Stock, system


def test_stock_is_sold_as_long_as_there_is_some() -> None:
    ctx = Context(PNCounter(3))
    assert 1 == Stock().sell(ctx, 2)
    with pytest.raises(ValueError, match="only 1 left"):
        Stock().sell(ctx, 2)
    assert 6 == Stock().deliver(ctx, 5)
    assert 6 == Stock().level(ctx)


def test_lists_hold_each_item_once() -> None:
    ctx = Context(ORSet(["milk"]))
    assert 2 == ShoppingList().add(ctx, "bread")
    assert 2 == ShoppingList().add(ctx, "milk")
    assert 1 == ShoppingList().remove(ctx, "milk")
    assert 1 == ShoppingList().remove(ctx, "never there")
    assert ["bread"] == ShoppingList().items(ctx)


def test_prices_are_above_zero() -> None:
    ctx: Context[LWWRegister[int]] = Context(LWWRegister())
    assert Price().show(ctx) is None
    with pytest.raises(ValueError, match="above zero"):
        Price().change(ctx, 0)
    assert 120 == Price().change(ctx, 120)
    assert 120 == Price().show(ctx)


def test_the_application_is_found_in_a_checkout_and_in_an_installed_package() -> None:
    assert set(system.actors) == set(load_system("examples.shops:system").actors)
    assert set(system.actors) == set(load_system("crdtmesh.examples.shops:system").actors)
