"""Shopping carts with a state of their own class: one instance for each customer, on one node at a time.

    crdtmesh up --system market --actors examples.cart:system
    crdtmesh actors spawn market/cart mary
    crdtmesh invoke market/mary put '{"item": "milk", "cents": 120}'
    crdtmesh invoke market/mary total

Whichever node is asked, the call runs where the cart is. When that node dies, another one takes the cart over: every
answered turn is on the disks of a majority.
"""

from dataclasses import dataclass, field

from crdtmesh.sdk import Context, System, action

system = System("market")


@dataclass
class Line:
    """One item in a cart."""

    item: str
    cents: int
    count: int = 1


@dataclass
class Cart:
    """What a customer wants to buy."""

    lines: list[Line] = field(default_factory=list)
    is_paid: bool = False


@system.actor("cart", unnamed=True, state=Cart)
class ShoppingCart:
    """The cart of one customer."""

    @action
    def put(self, ctx: Context[Cart], line: Line) -> int:
        """Puts an item in; gives the number of lines."""
        if ctx.state.is_paid:
            ctx.state = Cart()
        ctx.state.lines.append(line)
        return len(ctx.state.lines)

    @action
    def total(self, ctx: Context[Cart]) -> int:
        """What all of it costs, in cents."""
        return sum(line.cents * line.count for line in ctx.state.lines)

    @action
    def pay(self, ctx: Context[Cart], cents: int) -> Cart:
        """Pays the whole cart, or raises; gives what was bought."""
        total = self.total(ctx)
        if cents < total:
            raise ValueError(f"expected {total} cents, got {cents}")
        ctx.state.is_paid = True
        return ctx.state

    @action
    def resolve(self, ctx: Context[Cart], lost: Cart) -> None:
        """Puts back what a second activation, during a cut, took in: nothing that a customer wanted is lost."""
        ctx.state.lines += [line for line in lost.lines if line not in ctx.state.lines]
