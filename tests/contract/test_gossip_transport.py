"""What an agent relies on in a transport: the same suite over real sockets and over memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from gossip.errors import PortTaken
from gossip.identity import Endpoint
from gossip.outputs import StreamId
from gossip.transport.base import Transport
from gossip.transport.memory import MemoryNetwork
from gossip.transport.sockets import SocketTransport

LOOPBACK = Endpoint("127.0.0.1", 0)

Make = Callable[[Endpoint], Transport]


class Recorder:
    """Takes what comes in; `wait_for` returns when it is there."""

    def __init__(self, *, is_accepting: bool = True) -> None:
        self.datagrams: list[tuple[bytes, Endpoint]] = []
        self.batches = 0
        self.accepted: list[StreamId] = []
        self.data: dict[StreamId, bytes] = {}
        self.ended: dict[StreamId, str | None] = {}
        self._is_accepting = is_accepting
        self._changed = asyncio.Event()

    def on_datagram(self, data: bytes, source: Endpoint) -> None:
        self.datagrams.append((data, source))
        self._changed.set()

    def on_batch_end(self) -> None:
        self.batches += 1
        self._changed.set()

    def on_stream(self, source: Endpoint) -> StreamId | None:
        if not self._is_accepting:
            return None
        self.accepted.append(StreamId(100 + len(self.accepted)))
        return self.accepted[-1]

    def on_stream_data(self, stream: StreamId, data: bytes) -> None:
        self.data[stream] = self.data.get(stream, b"") + data
        self._changed.set()

    def on_stream_end(self, stream: StreamId, error: str | None) -> None:
        assert stream not in self.ended, "an end is reported once"
        self.ended[stream] = error
        self._changed.set()

    async def wait_for(self, claim: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not claim():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture(params=["sockets", "memory"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    network = MemoryNetwork()
    async with AsyncExitStack() as stack:

        def build(bind: Endpoint) -> Transport:
            transport: Transport = SocketTransport(bind) if request.param == "sockets" else network.transport(bind)
            stack.push_async_callback(transport.close)
            return transport

        yield build


async def pair(make: Make) -> tuple[Transport, Recorder, Transport, Recorder]:
    a, b = make(LOOPBACK), make(LOOPBACK)
    at_a, at_b = Recorder(), Recorder()
    await a.start(at_a)
    await b.start(at_b)
    return a, at_a, b, at_b


async def test_a_free_port_is_found_and_told(make: Make) -> None:
    a, _, b, _ = await pair(make)

    assert 0 not in (a.endpoint.port, b.endpoint.port)
    assert a.endpoint != b.endpoint


async def test_a_taken_port_is_named(make: Make) -> None:
    a, _, _, _ = await pair(make)

    with pytest.raises(PortTaken, match=str(a.endpoint.port)):
        await make(a.endpoint).start(Recorder())


async def test_a_port_is_free_again_after_closing(make: Make) -> None:
    a, _, _, _ = await pair(make)
    await a.close()
    again = make(a.endpoint)
    await again.start(Recorder())

    assert a.endpoint == again.endpoint


async def test_packets_arrive_whole_with_their_source_and_end_with_a_batch(make: Make) -> None:
    a, _, b, at_b = await pair(make)
    for number in range(200):
        a.send_datagram(b.endpoint, bytes([number]) * (number + 1))

    await at_b.wait_for(lambda: len(at_b.datagrams) == 200)
    assert {bytes([n]) * (n + 1) for n in range(200)} == {data for data, _ in at_b.datagrams}
    assert {a.endpoint} == {source for _, source in at_b.datagrams}
    await at_b.wait_for(lambda: at_b.batches > 0)


async def test_a_packet_to_nobody_is_lost_without_a_word(make: Make) -> None:
    a, at_a, b, _ = await pair(make)
    await b.close()
    a.send_datagram(b.endpoint, b"to nobody")
    a.send_datagram(a.endpoint, b"to me")

    await at_a.wait_for(lambda: bool(at_a.datagrams))
    assert [(b"to me", a.endpoint)] == at_a.datagrams


async def test_a_stream_carries_a_request_and_an_answer_and_ends(make: Make) -> None:
    a, at_a, b, at_b = await pair(make)
    question, answer = b"q" * 300_000, b"a" * 300_000
    a.open_stream(StreamId(1), b.endpoint, question)
    await at_b.wait_for(lambda: bool(at_b.accepted) and at_b.data.get(at_b.accepted[0]) == question)
    b.send_stream(at_b.accepted[0], answer)
    b.close_stream(at_b.accepted[0])

    await at_a.wait_for(lambda: StreamId(1) in at_a.ended)
    assert answer == at_a.data[StreamId(1)]
    assert at_a.ended[StreamId(1)] is None
    assert {} == at_b.ended


async def test_a_stream_to_nobody_ends_with_a_reason(make: Make) -> None:
    a, at_a, b, _ = await pair(make)
    await b.close()
    a.open_stream(StreamId(1), b.endpoint, b"hello")

    await at_a.wait_for(lambda: StreamId(1) in at_a.ended)
    assert at_a.ended[StreamId(1)]


async def test_a_stream_that_the_peer_refuses_ends(make: Make) -> None:
    a = make(LOOPBACK)
    b = make(LOOPBACK)
    at_a = Recorder()
    await a.start(at_a)
    await b.start(Recorder(is_accepting=False))
    a.open_stream(StreamId(1), b.endpoint, b"hello")

    await at_a.wait_for(lambda: StreamId(1) in at_a.ended)


async def test_a_stream_closed_at_once_reports_nothing_more(make: Make) -> None:
    a, at_a, b, at_b = await pair(make)
    a.open_stream(StreamId(1), b.endpoint, b"hello")
    a.close_stream(StreamId(1))
    a.open_stream(StreamId(2), b.endpoint, b"hello")

    await at_b.wait_for(lambda: b"hello" in at_b.data.values())
    assert StreamId(1) not in at_a.ended


async def test_closing_an_unknown_stream_or_twice_is_harmless(make: Make) -> None:
    a, _, _, _ = await pair(make)
    a.send_stream(StreamId(7), b"data")
    a.close_stream(StreamId(7))
    await a.close()
    await a.close()


async def test_closing_ends_the_streams_of_the_other_side(make: Make) -> None:
    a, _, b, at_b = await pair(make)
    a.open_stream(StreamId(1), b.endpoint, b"hello")
    await at_b.wait_for(lambda: b"hello" in at_b.data.values())
    await a.close()

    await at_b.wait_for(lambda: bool(at_b.ended))
