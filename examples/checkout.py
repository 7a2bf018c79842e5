"""A script without an event loop: fills a cart of `examples.cart`, pays it, and sees to it that it is paid later, too.

    crdtmesh up --system market --actors examples.cart:system
    python -m examples.checkout mary
    crdtmesh invoke market/mary total

What raises says in `outcome` whether anything was changed, so a script knows whether to try again.
"""

import os
import sys

from crdtmesh.sdk.errors import HandlerError
from crdtmesh.sdk.sync import Client
from examples.cart import Cart, Line


def main(name: str) -> None:
    """Does some shopping for one customer."""
    with Client(os.environ.get("CRDTMESH_ENDPOINT", "127.0.0.1:9980")) as client:
        client.spawn("market", name, parent="cart")
        cart = client.actor("market", name)
        cart.put(Line("milk", 120))
        cart.put(Line("tea", 350, count=2))
        try:
            cart.pay(500)
        except HandlerError as error:
            print(f"{error} ({error.outcome})")
        bought = client.invoke("market", name, "pay", 820, write="all", returns=Cart)
        print(", ".join(f"{line.count} x {line.item}" for line in bought.lines))
        # Nobody waits for these: one is in the queue, the other on the disk, when they return.
        client.send("market", name, "put", Line("salt", 90))
        client.send("market", name, "pay", 90, delay=3_600)
        # It leaves the memory behind the calls that wait; the next call brings it back.
        print(client.stop("market", name))


if __name__ == "__main__":
    main(sys.argv[1])
