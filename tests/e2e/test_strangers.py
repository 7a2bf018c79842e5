"""Bytes of strangers on every port: counted, nothing changed, the connection closed."""

import asyncio
import random
import socket
import struct

import grpc
import pytest

from crdtmesh.local_node import LocalNode
from tests.conformance.wire import post, send
from tests.e2e.cli import crdtmesh, eventually
from tests.e2e.conftest import Trio
from tests.e2e.watch import digests, member_states, status

SEED = 7
CLOSED_WITHIN_S = 15.0
METHODS = ("Actors/Invoke", "State/Get", "State/Update", "Cluster/Members")
OCTETS = {"Host": "localhost", "Content-Type": "application/octet-stream"}
STREAMS = ("Actors/InvokeStream", "ActorHost/Connect")


@pytest.fixture(autouse=True)
async def _nothing_changes(trio: Trio) -> object:
    """Around each test here: members, links and state are the same afterwards."""
    update = ("state", "update", "test/kept", "increment", "5", "--type", "PNCounter")
    assert 0 == (await crdtmesh(*update, endpoint=trio.a.grpc)).code
    assert await eventually(lambda: _agree(trio))
    before = await _seen(trio)
    yield
    assert before == await _seen(trio)
    assert 1 == len(await digests(trio.all))


async def test_random_bytes_on_the_gossip_stream_are_counted(trio: Trio) -> None:
    before = await _count(trio.b, "gossip.rejected.")

    for size in (10, 1_000, 100_000):
        await _pour(trio.b.gossip, b"\xff" + random.Random(SEED).randbytes(size))

    assert 3 <= await _count(trio.b, "gossip.rejected.") - before


async def test_a_truncated_gossip_stream_is_closed(trio: Trio) -> None:
    header = bytes([6]) + b"\x83\xa5Nodes\xce\x00\x00\x00\x10"

    await _pour(trio.b.gossip, header, ends=True)


async def test_datagrams_that_are_no_messages_are_counted(trio: Trio) -> None:
    before = await _count(trio.b, "gossip.rejected.")
    rng = random.Random(SEED)
    host, port = _address(trio.b.gossip)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for size in (1, 10, 500, 1_400, 60_000):
            for _ in range(20):
                sender.sendto(rng.randbytes(size), (host, port))

    async def counted() -> bool:
        return await _count(trio.b, "gossip.rejected.") - before >= 50

    assert await eventually(counted)


@pytest.mark.parametrize(
    ("data", "ends"),
    [
        (random.Random(SEED).randbytes(1_000), False),
        (struct.pack(">I", 2**32 - 1) + b"x" * 100, False),
        (struct.pack(">I", 100) + b"x" * 10, True),
        (b"", True),
    ],
    ids=["random", "oversized", "truncated", "empty"],
)
async def test_bytes_that_are_no_frames_close_the_link_and_are_counted(trio: Trio, data: bytes, ends: bool) -> None:
    before = await _count(trio.b, "link.closed.")

    await _pour(trio.b.links, data, ends=ends)

    async def counted() -> bool:
        return await _count(trio.b, "link.closed.") > before

    assert await eventually(counted)


async def test_bytes_that_are_no_http_close_the_grpc_connection(trio: Trio) -> None:
    for size in (10, 1_000, 100_000):
        await _pour(trio.b.grpc, random.Random(SEED).randbytes(size))


async def test_a_call_that_is_no_message_is_the_callers_mistake_and_counted(trio: Trio) -> None:
    before = await _count(trio.b, "client.rejected.")

    async with grpc.aio.insecure_channel(trio.b.grpc) as channel:
        for method in METHODS:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await channel.unary_unary(f"/crdtmesh.v1.{method}")(b"\xff" * 10)
            assert grpc.StatusCode.INVALID_ARGUMENT == failed.value.code()
            trailers = dict(failed.value.trailing_metadata() or ())
            assert ("invalid_request", "not_applied") == (trailers["crdtmesh-error"], trailers["crdtmesh-outcome"])

    assert len(METHODS) == await _count(trio.b, "client.rejected.") - before


@pytest.mark.parametrize("method", STREAMS)
async def test_a_batch_that_is_no_message_ends_its_stream_and_is_counted(trio: Trio, method: str) -> None:
    before = await _count(trio.b, "client.rejected.malformed_batch")

    async with grpc.aio.insecure_channel(trio.b.grpc) as channel:
        stream = channel.stream_stream(f"/crdtmesh.v1.{method}")()
        await stream.write(b"\xff" * 10)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stream.read()

    assert grpc.StatusCode.INVALID_ARGUMENT == failed.value.code()
    assert 1 == await _count(trio.b, "client.rejected.malformed_batch") - before


async def test_a_call_above_the_limit_is_refused(trio: Trio) -> None:
    async with grpc.aio.insecure_channel(trio.b.grpc) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await channel.unary_unary("/crdtmesh.v1.State/Update")(bytes(17 * 1024 * 1024))

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == failed.value.code()


async def test_what_strangers_cause_is_logged_at_a_bounded_rate(trio: Trio) -> None:
    before = len(trio.b.log_path.read_bytes().splitlines())

    for _ in range(100):
        await _pour(trio.b.links, struct.pack(">I", 2**32 - 1) + b"x" * 100)

    assert 30 > len(trio.b.log_path.read_bytes().splitlines()) - before


@pytest.mark.parametrize("size", [10, 1_000, 100_000])
async def test_random_bytes_on_the_http_port_close_the_connection(trio: Trio, size: int) -> None:
    await _pour(trio.b.http, b"\xff" + random.Random(SEED).randbytes(size), ends=True)


async def test_http_bodies_that_are_no_messages_are_refused_and_counted(trio: Trio) -> None:
    before = await _count(trio.b, "client.rejected.malformed_message")
    draw = random.Random(SEED)
    paths = ("/api/v1/system", "/api/v1/system/s/actors/spawn", "/api/v1/system/s/actors/a/invoke")
    bodies = [b"\xff" + draw.randbytes(size) for size in (0, 10, 1_000, 100_000)]

    answers = [await send(trio.b.http, post(path, body, OCTETS)) for path in paths for body in bodies]

    assert {400} == {answer.status for answer in answers}
    assert all(answer.body for answer in answers)
    assert len(answers) == await _count(trio.b, "client.rejected.malformed_message") - before


async def _pour(address: str, data: bytes, *, ends: bool = False) -> None:
    """Sends bytes and waits until the node has closed the connection."""
    reader, writer = await asyncio.open_connection(*_address(address))
    writer.write(data)
    try:
        if ends:
            writer.write_eof()
        async with asyncio.timeout(CLOSED_WITHIN_S):
            await reader.read()
    except ConnectionError:
        pass  # closed with our bytes unread
    finally:
        writer.close()


async def _agree(trio: Trio) -> bool:
    return len(await digests(trio.all)) == 1


async def _seen(trio: Trio) -> object:
    peers = [[(peer.name, peer.is_linked) for peer in (await status(node)).peers] for node in trio.all]
    return [await member_states(node) for node in trio.all], peers, await digests(trio.all)


async def _count(node: LocalNode, prefix: str) -> int:
    return sum(count for name, count in (await status(node)).counters.items() if name.startswith(prefix))


def _address(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
