"""Discovery by DNS against a name server on loopback."""

import asyncio
import struct
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from gossip.discovery.base import Announcement
from gossip.discovery.dns import ADDRESSES_MAX, DnsDiscovery, look_up_service
from gossip.discovery.dns_packets import ServiceRecord, decode_answer, encode_question
from gossip.errors import ConfigError, DecodeError
from gossip.identity import Endpoint

SERVICE = "_mesh._udp.example"


class NameServer(asyncio.DatagramProtocol):
    """Answers every question with the same services, and drops the first packets if told so."""

    def __init__(self) -> None:
        self.services = [ServiceRecord("127.0.0.1", 7001)]
        self.asked = 0
        self.dropped = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.endpoint = Endpoint(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if self.asked > self.dropped:
            self.transport.sendto(answer(data, self.services), addr)


def answer(question: bytes, services: list[ServiceRecord]) -> bytes:
    head = question[:2] + struct.pack(">5H", 0x8180, 1, len(services), 0, 0)
    records = b""
    for service in services:
        # The labels of an address literal are read like those of any name.
        target = b"".join(bytes((len(p),)) + p.encode() for p in service.target.split(".")) + b"\0"
        body = struct.pack(">3H", 1, 1, service.port) + target
        records += b"\xc0\x0c" + struct.pack(">HHIH", 33, 1, 60, len(body)) + body
    return head + question[12:] + records


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    yield protocol
    transport.close()


async def find(discovery: DnsDiscovery, count: int) -> list[Endpoint]:
    """The first candidates."""
    found: asyncio.Queue[Endpoint] = asyncio.Queue()
    await discovery.start(Announcement(cluster="c", node="n", endpoint=Endpoint("127.0.0.1", 1)), found.put_nowait)
    try:
        async with asyncio.timeout(10):
            return [await found.get() for _ in range(count)]
    finally:
        await discovery.close()


async def test_a_plain_name_gives_its_addresses_with_the_port_beside_it() -> None:
    assert {7000} == {e.port for e in await find(DnsDiscovery([Endpoint("localhost", 7000)]), 1)}


async def test_a_service_gives_names_and_ports_and_is_looked_up_again(server: NameServer) -> None:
    discovery = DnsDiscovery([Endpoint(SERVICE, 0)], interval_s=0.1, server=server.endpoint)
    found = await find(discovery, 3)

    assert [Endpoint("127.0.0.1", 7001)] * 3 == found
    assert server.asked >= 3


async def test_a_flood_of_records_gives_a_bounded_number_of_candidates(server: NameServer) -> None:
    server.services = [ServiceRecord("127.0.0.1", port) for port in range(1, 400)]
    records = await look_up_service(SERVICE, server=server.endpoint)

    assert len(records) <= 128 <= ADDRESSES_MAX


async def test_a_lost_question_is_asked_again(server: NameServer) -> None:
    server.dropped = 1

    assert server.services == await look_up_service(SERVICE, server=server.endpoint, timeout_s=0.4)
    assert 2 == server.asked


async def test_a_silent_server_is_given_up(server: NameServer) -> None:
    server.dropped = 99
    with pytest.raises(TimeoutError):
        await look_up_service(SERVICE, server=server.endpoint, timeout_s=0.1)


def test_broken_answers_are_refused() -> None:
    good = answer(encode_question(SERVICE, number=7), [ServiceRecord("a.example", 7)] * 3)
    assert [ServiceRecord("a.example", 7)] * 3 == decode_answer(good, name=SERVICE, number=7)
    loop = good[:12] + b"\xc0\x0c" + good[12:]
    for packet in (b"", good[:40], loop, good[:2] + b"\x81\x83" + good[4:]):
        with pytest.raises(DecodeError):
            decode_answer(packet, name=SERVICE, number=7)
    with pytest.raises(DecodeError):
        decode_answer(good, name=SERVICE, number=8)
    with pytest.raises(DecodeError):
        decode_answer(good, name="_other._udp.example", number=7)


def test_mutated_answers_never_raise_anything_else() -> None:
    rng = Random(3)
    good = answer(encode_question(SERVICE, number=7), [ServiceRecord("a.example", 7)] * 3)
    for _ in range(5_000):
        packet = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        try:
            decode_answer(bytes(packet), name=SERVICE, number=7)
        except DecodeError:
            continue


@pytest.mark.parametrize("names", [[], [Endpoint("x", 1)] * 33])
def test_names_are_counted(names: list[Endpoint]) -> None:
    with pytest.raises(ConfigError, match="1 to 32"):
        DnsDiscovery(names)
