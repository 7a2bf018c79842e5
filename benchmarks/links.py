"""A call from node to node over a peer link, against the framed msgpack floor.

Both sides do the same work on the same body, `[id, actor, action, payload]`: packed by the caller, unpacked and packed
again by the peer. What differs is the link: handshake, channels, credits, bounded queues, limits and keepalives. Plain
TCP on both sides; `peer_link` has TLS on both.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgpack

from benchmarks.floors import base_side
from benchmarks.harness import Options, Side, compare_sides
from benchmarks.load import Job, announce, drive, payload, run_client, run_loop, verify
from benchmarks.measures import Line, Sample
from benchmarks.processes import Children
from crdtmesh.links import Channel, Identity, LinkManager, LinkOptions, LinkSecurity, PeerAddress

CASES: Final = ("call",)

# The lower name dials, so the client needs no port that the server would know.
CLIENT: Final = "bench-a"
SERVER: Final = "bench-b"

CLUSTER: Final = "bench"
# Nobody listens there; the server's own dials fail at once, and the client's come through.
UNUSED_PORT: Final = 1


def run(children: Children, options: Options) -> Iterator[Line]:
    """Calls at 1, 64 and 256 in flight."""
    if not options.wants("call"):
        return
    floor = base_side(children, "framed_floor", "serve")
    server = children.server("links", ("benchmarks.links", "serve"))
    for concurrency in (1, 64, 256):
        yield from compare_sides(
            children,
            options,
            bench="links",
            case="call",
            bases={"framed msgpack floor": floor},
            subject=("peer link", Side(command=("benchmarks.links", "client"), servers=(server,))),
            concurrency=concurrency,
        )


def manager(
    name: str,
    on_message: Callable[[str, Channel, bytes], None],
    on_up: Callable[[], None],
    *,
    security: LinkSecurity | None = None,
) -> LinkManager:
    """A link manager as a node makes it."""
    return LinkManager(
        LinkOptions(),
        Identity(cluster=CLUSTER, node=name, start_id=start_id(name)),
        rng=random.Random(),
        on_up=lambda peer, start_id: on_up(),
        on_down=lambda peer, reason: None,
        on_message=on_message,
        security=security,
    )


def start_id(name: str) -> bytes:
    """Of the one run that a node of a benchmark has."""
    return name.encode()


async def server(security: LinkSecurity | None = None, *, peers: Sequence[str] = ()) -> None:
    """Sends every message back until it is stopped; `peers` may link beside the client."""

    def echo(peer: str, channel: Channel, body: bytes) -> None:
        number, actor, action, sent = msgpack.unpackb(body)
        verify(True, links.send(peer, channel, msgpack.packb([number, actor, action, sent])))

    links = manager(SERVER, echo, lambda: None, security=security)
    host, port = await links.start("127.0.0.1", 0)
    links.set_peers({name: PeerAddress(host, UNUSED_PORT, start_id(name)) for name in (CLIENT, *peers)})
    announce(address=f"{host}:{port}")
    await asyncio.Event().wait()


async def client(job: Job, security: LinkSecurity | None = None) -> Sample:
    """All operations over one link, a future for each."""
    loop = asyncio.get_running_loop()
    actors = [f"counter-{number:04}" for number in range(job.actors)]
    waiting: dict[int, asyncio.Future[bytes]] = {}
    up = asyncio.Event()

    def receive(_peer: str, _channel: Channel, body: bytes) -> None:
        number, _actor, _action, came = msgpack.unpackb(body)
        waiting.pop(number).set_result(came)

    async def call(number: int) -> None:
        sent = payload(number)
        reply = waiting[number] = loop.create_future()
        body = msgpack.packb([number, actors[number % job.actors], "increment", sent])
        verify(True, links.send(SERVER, Channel.INVOKE, body))
        verify(sent, await reply)

    links = manager(CLIENT, receive, up.set, security=security)
    await links.start("127.0.0.1", 0)
    host, port = job.address.split(":")
    links.set_peers({SERVER: PeerAddress(host, int(port), start_id(SERVER))})
    async with asyncio.timeout(10):
        await up.wait()
    sample = await drive(call, job)
    await links.aclose()
    return sample


if __name__ == "__main__":
    run_loop(server()) if sys.argv[1] == "serve" else run_client(client)
