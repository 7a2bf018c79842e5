"""A hundred thousand random and mutated packets through the whole receiving path, in each run."""

import tracemalloc
from dataclasses import replace
from random import Random

from gossip.codec import encode
from gossip.config import LAN
from gossip.identity import Endpoint, NodeName, address_of
from gossip.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect, User
from gossip.packets import add_crc, compound, wrap_compressed
from gossip.security import Keyring
from gossip.serf.config import SerfConfig
from gossip.serf.filters import by_node, by_tag
from gossip.serf.layer import Serf
from gossip.serf.messages import EventMessage, Intent, QueryMessage, RelayMessage, ResponseMessage, SerfMessage
from gossip.serf.messages import encode as encode_serf
from gossip.swim import Swim

PACKETS = 100_000
SEALED_EVERY = 4
SOURCE = Endpoint("10.0.0.9", 7946)
MEMORY_BYTES_MAX = 32 * 1024 * 1024
"""A table of a hundred members and full rings take a few megabytes; a leak of 500 bytes a packet would show."""


def machine(rng: Random, keyring: Keyring | None) -> Serf:
    config = replace(LAN, members_max=100, broadcasts_max=64, keyring=keyring)
    endpoint = Endpoint("10.0.0.1", 7946)
    swim = Swim(config, name="self", endpoint=endpoint, rng=rng, now_ns=0, entropy=rng.randbytes)
    return Serf(swim, SerfConfig(), swim_config=config, rng=rng)


def seeds() -> list[bytes]:
    """One valid packet of every kind."""
    node, ip = NodeName("peer"), address_of(SOURCE.host)
    asked = {"asker": SOURCE, "asker_name": node, "timeout_ns": 10**9, "name": "q", "payload": b"p"}
    layer: list[SerfMessage] = [
        Intent(True, 3, node),
        Intent(False, 4, node),
        EventMessage(5, "e", b"payload"),
        QueryMessage(time=1, number=2, filters=(by_node("self"), by_tag("role", "^a.*")), **asked),  # type: ignore[arg-type]
        ResponseMessage(1, 2, node, is_ack=False),
        RelayMessage(SOURCE, b"\x05\x80"),
    ]
    versions = bytes([1, 5, 2, 2, 5, 4])
    messages = [
        encode(Alive(incarnation=1, node=node, address=ip, port=7946, meta=b"\xff\x80", versions=versions)),
        encode(Suspect(1, node, NodeName("x"))),
        encode(Dead(1, node, NodeName("x"))),
        encode(Ping(7, NodeName("self"), ip, 7946, node)),
        encode(IndirectPing(sequence=8, node=node, target=ip, port=7946, nack=True)),
        encode(Ack(7)),
        encode(Nack(8)),
        *(encode(User(encode_serf(message))) for message in layer),
    ]
    return [*messages, compound(messages), wrap_compressed(compound(messages)), add_crc(messages[0])]


def mutated(rng: Random, valid: list[bytes]) -> bytes:
    kind = rng.randrange(8)
    if kind == 0:
        return rng.randbytes(rng.randrange(80))
    packet = bytearray(rng.choice(valid))
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(packet)) if packet else 0
        if kind < 4 and packet:
            packet[at] = rng.choice((0, 1, 0x7F, 0x80, 0xC0, 0xC6, 0xDB, 0xDD, 0xDF, 0xFF, rng.randrange(256)))
        elif kind < 6:
            packet[at:at] = rng.randbytes(rng.randrange(1, 5))
        else:
            del packet[at : at + rng.randrange(1, 9)]
    return bytes(packet)


def test_a_hundred_thousand_mutated_packets_raise_nothing_and_leave_memory_flat() -> None:
    rng = Random(20_260)
    plain, sealed = machine(rng, None), machine(rng, Keyring([bytes(16)]))
    untouched = sealed.members()
    valid = seeds()
    rejected = 0
    tracemalloc.start()
    try:
        for number in range(PACKETS):
            packet = mutated(rng, valid)
            now_ns = number * 1_000_000
            target = plain if number % SEALED_EVERY else sealed
            target.receive(packet, SOURCE, now_ns=now_ns)
            if number % 1_000 == 0:
                for each in (plain, sealed):
                    each.tick(now_ns=now_ns)
                    each.take_outgoing()
                    rejected += len(each.take_events())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert rejected
    assert peak < MEMORY_BYTES_MAX
    assert untouched == sealed.members()
    assert len(plain.members()) <= 100
    assert all(member.name for member in plain.members())
