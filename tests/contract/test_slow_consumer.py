"""A million items to a consumer that is slower than their source, over one secured link: memory stays flat."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from crdtmesh.links.frames import Channel
from crdtmesh.links.manager import LinkManager
from crdtmesh.links.options import Identity, LinkOptions, PeerAddress
from tests.contract.test_links_tls import Office

ITEMS = 1_000_000
ITEM = bytes(92)
# The consumer stands still for a while after each so many; the source never does.
REST_EVERY = 20_000
REST_S = 0.01
OPTIONS = LinkOptions(queue_size_bytes_max=9 << 20)
# Both sides are in this process: a full queue of the source, one window at the consumer, what the allocator keeps.
GROWTH_BYTES_MAX = 2 * OPTIONS.queue_size_bytes_max + 2 * OPTIONS.window_size_bytes + (8 << 20)


def _resident_bytes() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


class Consumer:
    """Takes items in order, and rests again and again."""

    def __init__(self) -> None:
        self.taken = 0
        self.rests = 0
        self.done = asyncio.Event()
        self.manager: LinkManager

    def take(self, peer: str, channel: Channel, payload: bytes) -> None:
        assert self.taken == int.from_bytes(payload[:8])
        self.taken += 1
        if self.taken == ITEMS:
            self.done.set()
        elif self.taken % REST_EVERY == 0:
            self.rests += 1
            self.manager.hold(peer, channel)
            asyncio.get_running_loop().call_later(REST_S, self.manager.release, peer, channel)


async def test_a_million_items_to_a_slow_consumer_take_no_memory(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    up, consumer = asyncio.Event(), Consumer()

    def manager(name: str) -> LinkManager:
        return LinkManager(
            OPTIONS,
            Identity(cluster="c", node=name, start_id=name.encode()),
            rng=random.Random(1),
            on_up=lambda peer, start_id: up.set(),
            on_down=lambda peer, reason: pytest.fail(f"the link is down: {reason}"),
            on_message=consumer.take,
            security=office.security(name),
        )

    source, consumer.manager = manager("a"), manager("b")
    try:
        await source.start("127.0.0.1", 0)
        host, port = await consumer.manager.start("127.0.0.1", 0)
        consumer.manager.set_peers({"a": PeerAddress(host, 1, b"a")})
        source.set_peers({"b": PeerAddress(host, port, b"b")})
        await asyncio.wait_for(up.wait(), 20)
        grown = await _feed(source, consumer)
    finally:
        source._on_down = consumer.manager._on_down = lambda peer, reason: None
        await source.aclose()
        await consumer.manager.aclose()

    print(f"grown by {grown >> 10} KiB, the source was refused {source.counters.queue_refusals}")
    assert ITEMS == consumer.taken
    assert ITEMS // REST_EVERY - 1 == consumer.rests
    assert sum(source.counters.queue_refusals) > 0
    assert grown < GROWTH_BYTES_MAX


async def _feed(source: LinkManager, consumer: Consumer) -> int:
    """Sends everything as fast as it is taken; by how much the process grew at most."""
    before, most = _resident_bytes(), 0
    for number in range(ITEMS):
        while not source.send("b", Channel.INVOKE, number.to_bytes(8) + ITEM):
            most = max(most, _resident_bytes() - before)
            await asyncio.sleep(0.001)
    async with asyncio.timeout(120):
        await consumer.done.wait()
    return max(most, _resident_bytes() - before)
