"""Three shops that share their stock, their shopping lists and their prices, while their nodes come and go.

Each shop runs a node and this application on it:

    crdtmesh up --system shops --actors examples.shops:system
    crdtmesh invoke shops/stock-apples deliver 10
    crdtmesh invoke shops/stock-apples sell '{"amount": 2}'
    crdtmesh invoke shops/list-monday add '"milk"'

A shop that is cut off goes on selling, listing and pricing; when it is back, all shops agree:

- the stock of a product is a PN-counter, so every sale and delivery counts, wherever it was made. Two shops that are
  cut off from each other may both sell the last apple: the stock is then below zero, and somebody has to deliver;
- a shopping list is an add-wins set, so what one shop adds stays when another one takes it off at the same time;
- a price is a last-writer-wins register, so all shops end with the same one.
"""

from crdtmesh.sdk import Context, LWWRegister, ORSet, PNCounter, System, action

PRODUCTS = ("apples", "bread", "milk")
LISTS = ("monday", "saturday")

system = System("shops")


@system.actor(*(f"stock-{product}" for product in PRODUCTS), state=PNCounter)
class Stock:
    """How many pieces of a product all shops have together."""

    @action
    def deliver(self, ctx: Context[PNCounter], amount: int = 1) -> int:
        """Puts pieces on the shelf; gives the stock as this shop knows it."""
        ctx.state.increment(amount)
        return ctx.state.value

    @action
    def sell(self, ctx: Context[PNCounter], amount: int = 1) -> int:
        """Takes pieces off the shelf, and refuses when this shop knows of too few."""
        if amount > ctx.state.value:
            raise ValueError(f"only {ctx.state.value} left")
        ctx.state.decrement(amount)
        return ctx.state.value

    @action
    def level(self, ctx: Context[PNCounter]) -> int:
        """The stock as this shop knows it."""
        return ctx.state.value


@system.actor(*(f"list-{day}" for day in LISTS), state=ORSet)
class ShoppingList:
    """What to buy at the wholesale market."""

    @action
    def add(self, ctx: Context[ORSet[str]], item: str) -> int:
        """Puts an item on the list; gives the list's length."""
        ctx.state.add(item)
        return len(ctx.state)

    @action
    def remove(self, ctx: Context[ORSet[str]], item: str) -> int:
        """Takes an item off the list, if it is there; gives the list's length."""
        ctx.state.discard(item)
        return len(ctx.state)

    @action
    def items(self, ctx: Context[ORSet[str]]) -> list[str]:
        """The list, in order of the alphabet."""
        return sorted(ctx.state)


@system.actor(*(f"price-{product}" for product in PRODUCTS), state=LWWRegister)
class Price:
    """What a piece costs, in cents."""

    @action
    def change(self, ctx: Context[LWWRegister[int]], cents: int) -> int:
        """Sets the price in all shops."""
        if cents <= 0:
            raise ValueError(f"expected a price above zero, got {cents}")
        ctx.state.set(cents)
        return cents

    @action
    def show(self, ctx: Context[LWWRegister[int]]) -> int | None:
        """The price; None as long as nobody has set one."""
        return ctx.state.value
