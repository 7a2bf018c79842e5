"""Link managers over real TCP on loopback."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from crdtmesh.links.errors import CloseReason
from crdtmesh.links.frames import Channel, FrameEncoder
from crdtmesh.links.manager import LinkManager
from crdtmesh.links.options import Identity, LinkOptions, PeerAddress
from crdtmesh.links.security import LinkSecurity, PlainLinks
from crdtmesh.links.session import Session
from crdtmesh.links.tls import TlsChannel

PATIENCE_S = 20.0
NOBODY = 1  # a port on loopback where nothing listens


class Node:
    """A link manager and what it said."""

    def __init__(
        self, name: str, *, start: int = 0, cluster: str = "c", security: LinkSecurity | None = None, **options: Any
    ) -> None:
        self.name = name
        self.identity = Identity(cluster=cluster, node=name, start_id=f"{name}-{start}".encode())
        self.ups: list[tuple[str, bytes]] = []
        self.downs: list[tuple[str, CloseReason]] = []
        self.messages: list[tuple[str, Channel, bytes]] = []
        self.fails_on: bytes | None = None
        self._changed = asyncio.Event()
        self.manager = LinkManager(
            LinkOptions(**{"dial_delay_s": 0.05, "backoff_min_s": 0.01, "backoff_max_s": 0.1, **options}),
            self.identity,
            rng=random.Random(name),
            on_up=self._up,
            on_down=self._down,
            on_message=self._message,
            security=security,
        )
        self.address = PeerAddress("", 0, b"")

    def _up(self, peer: str, start_id: bytes) -> None:
        self.ups.append((peer, start_id))
        self._changed.set()

    def _down(self, peer: str, reason: CloseReason) -> None:
        self.downs.append((peer, reason))
        self._changed.set()

    def _message(self, peer: str, channel: Channel, payload: bytes) -> None:
        if payload == self.fails_on:
            raise RuntimeError("a bug above the links")
        self.messages.append((peer, channel, payload))
        self._changed.set()

    async def open(self) -> Node:
        host, port = await self.manager.start("127.0.0.1", 0)
        self.address = PeerAddress(host, port, self.identity.start_id)
        return self

    def knows(self, *nodes: Node) -> None:
        self.manager.set_peers({node.name: node.address for node in nodes})

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a callback of this node changes."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def linked(self, times: int = 1) -> None:
        await self.until(lambda: len(self.ups) >= times and bool(self.manager.links()))

    def payloads(self, channel: Channel) -> list[bytes]:
        return [payload for _, of, payload in self.messages if of is channel]

    def rejected(self, reason: CloseReason) -> int:
        return self.manager.counters.closed[reason]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that no callback tells."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - counters of sockets change without an event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    for node in nodes:
        await node.open()
    try:
        yield
    finally:
        for node in nodes:
            await node.manager.aclose()
            assert not node.manager._connections
            assert not node.manager._pending
            assert not node.manager._waiting


async def test_two_nodes_connect_once_and_ten_thousand_messages_arrive_in_order() -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.knows(a, b)
        b.knows(a, b)
        await a.linked()
        await b.linked()
        expected = [b"%0100d" % number for number in range(10_000)]
        for node, other in ((a, "b"), (b, "a")):
            for payload in expected:
                assert node.manager.send(other, Channel.REPLICATION, payload)
        await a.until(lambda: len(a.messages) == 10_000)
        await b.until(lambda: len(b.messages) == 10_000)
        assert [("b", Channel.REPLICATION, payload) for payload in expected] == a.messages
        assert [("a", Channel.REPLICATION, payload) for payload in expected] == b.messages
        assert [("b", b"b-0")] == a.ups
        assert [("a", b"a-0")] == b.ups
        # Coalesced: far fewer frames than messages.
        assert a.manager.counters.frames_out < 200
        assert 1 == len(a.manager._connections)


async def test_crossed_dials_end_with_one_connection_that_both_sides_agree_on() -> None:
    crossed = 0
    for attempt in range(20):
        a, b = Node("a", start=attempt, dial_delay_s=1e-9), Node("b", start=attempt, dial_delay_s=1e-9)
        async with running(a, b):
            a.knows(b)
            b.knows(a)
            await a.linked()
            await b.linked()
            await eventually(lambda a=a, b=b: len(a.manager._connections) == len(b.manager._connections) == 1)  # type: ignore[misc]
            [ours], [theirs] = a.manager.links(), b.manager.links()
            assert ours.is_dialled_by_us is not theirs.is_dialled_by_us
            crossed += a.manager.counters.dials == b.manager.counters.dials == 1
            assert ([], []) == (a.downs, b.downs)
            assert (1, 1) == (len(a.ups), len(b.ups))
            assert a.manager.send("b", Channel.CONTROL, b"ping")
            await b.until(lambda b=b: b.messages == [("a", Channel.CONTROL, b"ping")])  # type: ignore[misc]
    assert crossed, "the race that this test is about never happened"


async def test_link_comes_up_where_only_the_higher_name_can_reach_the_other() -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.manager.set_peers({"b": PeerAddress("127.0.0.1", NOBODY, b"b-0")})
        b.knows(a)
        await a.linked()
        await b.linked()
        assert [False] == [link.is_dialled_by_us for link in a.manager.links()]
        assert a.manager.counters.dials_failed >= 1


async def test_abrupt_close_is_reported_and_the_link_comes_back() -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        for round_ in range(1, 6):
            await a.linked(round_)
            await b.linked(round_)
            victim = (a, b)[round_ % 2]
            for connection in list(victim.manager._connections):
                connection.abort()
            await a.until(lambda n=round_: len(a.downs) >= n)  # type: ignore[misc]
            await b.until(lambda n=round_: len(b.downs) >= n)  # type: ignore[misc]
        await a.linked(6)
        await b.linked(6)
        assert {CloseReason.LOST} == {reason for _, reason in a.downs + b.downs}
        assert b.manager.send("a", Channel.INVOKE, b"again")
        await a.until(lambda: a.payloads(Channel.INVOKE) == [b"again"])


async def test_unknown_node_waits_until_membership_learns_of_it() -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.knows(b)
        await eventually(lambda: bool(b.manager._waiting))
        assert [] == a.ups + b.ups
        b.knows(a)
        await a.linked()
        await b.linked()
        assert 1 == a.manager.counters.dials


async def test_node_that_membership_never_learns_of_is_refused_in_bounded_time() -> None:
    a, b = Node("a"), Node("b", handshake_timeout_s=0.2, connect_timeout_s=0.1)
    async with running(a, b):
        a.knows(b)
        await eventually(lambda: b.rejected(CloseReason.HANDSHAKE_TIMEOUT) >= 2)
        assert [] == a.ups + b.ups


async def test_start_that_membership_does_not_mean_gets_no_link() -> None:
    a, b = Node("a"), Node("b", handshake_timeout_s=0.2, connect_timeout_s=0.1)
    async with running(a, b):
        stale = PeerAddress(b.address.host, b.address.port, b"b-older")
        a.manager.set_peers({"b": stale})
        b.knows(a)
        await eventually(lambda: a.rejected(CloseReason.UNEXPECTED_PEER) >= 1)
        assert [] == a.ups


async def test_new_start_of_the_same_name_replaces_the_old_link() -> None:
    a, old, new = Node("a"), Node("b", start=1), Node("b", start=2)
    async with running(a, old, new):
        a.knows(old)
        old.knows(a)
        await a.linked()
        new.knows(a)
        a.knows(new)
        await a.linked(2)
        await new.linked()
        assert [("b", b"b-1"), ("b", b"b-2")] == a.ups
        assert [("b", CloseReason.REPLACED)] == a.downs
        assert a.manager.send("b", Channel.INVOKE, b"to the new one")
        await new.until(lambda: new.payloads(Channel.INVOKE) == [b"to the new one"])
        assert [] == old.messages


async def test_peer_that_membership_drops_loses_its_link() -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        await a.linked()
        await b.linked()
        a.knows()
        assert [("b", CloseReason.NOT_A_PEER)] == a.downs
        assert not a.manager.send("b", Channel.CONTROL, b"nobody there")
        await b.until(lambda: b.downs == [("a", CloseReason.NOT_A_PEER)])


async def test_nodes_of_two_clusters_never_link_and_both_know_why() -> None:
    a, b = Node("a", cluster="one"), Node("b", cluster="two")
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        await eventually(lambda: min(n.rejected(CloseReason.CLUSTER) for n in (a, b)) >= 1)
        assert [] == a.ups + b.ups


async def test_node_that_is_told_its_own_address_under_another_name_gives_up_politely() -> None:
    a = Node("a")
    async with running(a):
        a.manager.set_peers({"z": PeerAddress(a.address.host, a.address.port, b"z")})
        await eventually(lambda: a.rejected(CloseReason.SELF_CONNECTION) >= 2)
        assert [] == a.ups


async def say_hello(node: Node, *, name: str = "a") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Dial by hand, as a peer would that has forgotten its other connections."""
    identity = Identity(cluster="c", node=name, start_id=f"{name}-0".encode())
    reader, writer = await asyncio.open_connection(node.address.host, node.address.port)
    writer.write(Session(LinkOptions(), identity, dials=True, now_ns=0).take_outgoing())
    return reader, writer


async def test_peer_that_dials_anew_replaces_the_link_that_it_lost() -> None:
    b = Node("b", dial_delay_s=60.0)
    async with running(b):
        b.manager.set_peers({"a": PeerAddress("127.0.0.1", NOBODY, b"a-0")})
        first, first_writer = await say_hello(b)
        await b.linked()
        _, second_writer = await say_hello(b)
        await b.linked(2)
        assert [("a", CloseReason.REPLACED)] == b.downs
        assert b"replaced" in await first.read()
        first_writer.close()
        second_writer.close()


async def test_node_that_waits_twice_keeps_the_newer_connection() -> None:
    b = Node("b", dial_delay_s=60.0)
    async with running(b):
        first, first_writer = await say_hello(b)
        await eventually(lambda: len(b.manager._waiting) == 1)
        second, second_writer = await say_hello(b)
        assert b"duplicate" in await first.read()
        b.manager.set_peers({"a": PeerAddress("127.0.0.1", NOBODY, b"a-0")})
        await b.linked()
        assert b"crdtmesh-link" in await second.read(200)
        first_writer.close()
        second_writer.close()


class Distrust(PlainLinks):
    """A channel that proves nobody."""

    def refusal(self, peer: Identity, channel: TlsChannel | None) -> str:
        return f"no certificate names {peer.node}"


@pytest.mark.parametrize("distrusting", ["a", "b"])
async def test_hello_that_the_channel_does_not_prove_gets_no_link_and_is_not_told_why(distrusting: str) -> None:
    nodes = {name: Node(name, security=Distrust() if name == distrusting else None) for name in ("a", "b")}
    async with running(*nodes.values()):
        for node in nodes.values():
            node.knows(*nodes.values())
        judge, judged = nodes[distrusting], nodes["b" if distrusting == "a" else "a"]
        await eventually(lambda: judge.rejected(CloseReason.IDENTITY_UNPROVEN) >= 1)
        await eventually(lambda: judged.rejected(CloseReason.LOST) >= 1)
        assert [] == judge.ups
        assert 0 == judged.rejected(CloseReason.IDENTITY_UNPROVEN)


def hostile_streams() -> list[bytes]:
    stranger = Identity(cluster="c", node="b", start_id=b"b-0")
    hello = Session(LinkOptions(), stranger, dials=True, now_ns=0).take_outgoing()
    return [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 100_000,
        b"\x00\x00\x00\x04\x93\x05\x00\x90",
        hello + b"\xff" * 1000,
        hello + hello,
        random.Random(1).randbytes(50_000),
        FrameEncoder().ping(1),
    ]


@pytest.mark.parametrize("number", range(len(hostile_streams())))
async def test_hostile_stream_is_counted_and_cut_and_the_links_that_are_stay(number: int) -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        await a.linked()
        await b.linked()
        for _ in range(5):
            reader, writer = await asyncio.open_connection(a.address.host, a.address.port)
            writer.write(hostile_streams()[number])
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while await reader.read(65536):
                        pass
            except ConnectionResetError:
                pass
            writer.close()
        await eventually(lambda: len(a.manager._connections) == 1)
        counters = a.manager.counters
        assert 5 == sum(counters.closed.values())
        assert 0 == counters.callback_errors
        assert b.manager.send("a", Channel.CONTROL, b"unharmed")
        await a.until(lambda: a.payloads(Channel.CONTROL) == [b"unharmed"])
        assert ([], []) == (a.downs, b.downs)


async def test_crowd_of_silent_strangers_is_bounded_and_keeps_no_peer_out() -> None:
    a, b = Node("a"), Node("b")
    strangers = []
    async with running(a, b):
        limit = LinkOptions().connections_pending_max
        for _ in range(limit + 50):
            stranger = socket.create_connection((a.address.host, a.address.port))
            strangers.append(stranger)
            await asyncio.sleep(0)
        await eventually(lambda: a.manager.counters.connections_accepted == limit + 50)
        assert limit == len(a.manager._pending)
        assert 50 == a.manager.counters.connections_dropped
        a.manager.set_peers({"b": PeerAddress("127.0.0.1", NOBODY, b"b-0")})
        b.knows(a)
        await a.linked()
        for stranger in strangers:
            stranger.close()


async def test_slow_receiver_stops_one_channel_and_memory_stays_bounded() -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        await a.linked()
        await b.linked()
        b.manager.hold("a", Channel.REPAIR)
        sent = 0
        while a.manager.send("b", Channel.REPAIR, b"%065536d" % sent):
            sent += 1
            await asyncio.sleep(0)
        options = LinkOptions()
        assert sent * 65_600 <= options.queue_size_bytes_max + options.window_size_bytes + 65_600
        assert a.manager.counters.queue_refusals[Channel.REPAIR] == 1
        assert a.manager.send("b", Channel.INVOKE, b"not affected")
        await b.until(lambda: b.payloads(Channel.INVOKE) == [b"not affected"])
        assert [] == b.payloads(Channel.REPAIR)
        b.manager.release("a", Channel.REPAIR)
        await b.until(lambda: len(b.payloads(Channel.REPAIR)) == sent)
        assert [b"%065536d" % number for number in range(sent)] == b.payloads(Channel.REPAIR)


async def test_closing_node_sends_what_is_queued_before_it_says_goodbye() -> None:
    a, b = Node("a"), Node("b")
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        await a.linked()
        await b.linked()
        for number in range(5000):
            assert a.manager.send("b", Channel.REPLICATION, b"%01000d" % number)
        await a.manager.aclose()
        await b.until(lambda: bool(b.downs))
        assert [b"%01000d" % number for number in range(5000)] == b.payloads(Channel.REPLICATION)
        assert [("a", CloseReason.SHUTDOWN)] == b.downs
        assert [("b", CloseReason.SHUTDOWN)] == a.downs


async def test_callback_that_raises_costs_the_link_and_not_the_node(caplog: pytest.LogCaptureFixture) -> None:
    a, b = Node("a"), Node("b")
    b.fails_on = b"poison"
    async with running(a, b):
        a.knows(b)
        b.knows(a)
        await a.linked()
        await b.linked()
        a.manager.send("b", Channel.INVOKE, b"poison")
        await b.linked(2)
        await a.linked(2)
        assert 1 == b.manager.counters.callback_errors
        assert 1 == sum(record.getMessage() == "link.callback_failed" for record in caplog.records)
        a.manager.send("b", Channel.INVOKE, b"fine")
        await b.until(lambda: b.payloads(Channel.INVOKE) == [b"fine"])


async def test_eight_nodes_form_a_full_mesh_with_one_connection_for_each_pair() -> None:
    nodes = [Node(f"n{number}") for number in range(8)]
    async with running(*nodes):
        for node in nodes:
            node.knows(*nodes)
        for node in nodes:
            await node.until(lambda node=node: len(node.manager.links()) == 7)  # type: ignore[misc]
        await eventually(lambda: all(len(node.manager._connections) == 7 for node in nodes))
        assert [] == [down for node in nodes for down in node.downs]
