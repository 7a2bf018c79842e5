"""The cart's actions do what their docstrings say."""

from __future__ import annotations

import pytest

from crdtmesh.sdk import Context
from examples.cart import Cart, Line, ShoppingCart


def test_lines_add_up_until_they_are_paid() -> None:
    ctx = Context(Cart())
    cart = ShoppingCart()
    assert 1 == cart.put(ctx, Line("milk", 120, 2))
    assert 2 == cart.put(ctx, Line("bread", 300))
    assert 540 == cart.total(ctx)
    with pytest.raises(ValueError, match="expected 540 cents"):
        cart.pay(ctx, 500)
    assert cart.pay(ctx, 540).is_paid
    assert 1 == cart.put(ctx, Line("tea", 350))


def test_what_a_lost_activation_took_in_is_put_back() -> None:
    ctx = Context(Cart([Line("milk", 120)]))
    ShoppingCart().resolve(ctx, Cart([Line("milk", 120), Line("tea", 350)]))
    assert [Line("milk", 120), Line("tea", 350)] == ctx.state.lines
