"""A machine that is fed anything: it never raises, and only admitted claims change its table."""

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.codec import encode
from gossip.config import LAN, SwimConfig
from gossip.identity import Endpoint, NodeName, address_of
from gossip.members import Member
from gossip.messages import Alive, Dead, MemberState, Message, Suspect
from gossip.outputs import StreamId
from gossip.packets import PacketLayers, add_crc
from gossip.security import Keyring
from gossip.swim import Swim
from tests.property.test_gossip_codec import datagram_messages, mutations
from tests.unit.gossip.harness import World, present

SECOND = 1_000_000_000
SOURCE = Endpoint("10.0.0.9", 7946)
VERSIONS = bytes([1, 5, 2, 2, 5, 4])
KEYED = replace(LAN, keyring=Keyring([bytes(32)]))


def swim(config: SwimConfig = LAN) -> Swim:
    return Swim(
        config, name="self", endpoint=Endpoint("10.0.0.1", 7946), rng=Random(1), now_ns=0, entropy=Random(2).randbytes
    )


def table(machine: Swim) -> list[Member]:
    return machine.members()


@given(st.lists(st.one_of(st.binary(max_size=300), mutations()), max_size=8))
def test_with_a_key_nothing_that_is_not_sealed_changes_the_table(packets: list[bytes]) -> None:
    machine = swim(KEYED)
    before = table(machine)
    for packet in packets:
        machine.receive(packet, SOURCE, now_ns=0)

    assert before == table(machine)
    assert len(packets) == len(machine.take_events())
    assert [] == machine.take_outgoing()


@given(st.binary(max_size=300), st.integers(0, 10_000))
def test_with_a_key_a_flipped_bit_changes_nothing(noise: bytes, bit: int) -> None:
    layers = PacketLayers(keyring=KEYED.keyring, entropy=Random(3).randbytes)
    sealed = bytearray(
        layers.seal([encode(alive("peer", 1)), encode(Dead(1, NodeName("self"), NodeName("x")))], crc=True)
    )
    sealed[bit // 8 % len(sealed)] ^= 1 << bit % 8
    machine = swim(KEYED)
    before = table(machine)
    machine.receive(bytes(sealed), SOURCE, now_ns=0)

    assert before == table(machine)


@given(st.lists(st.one_of(st.binary(max_size=300), mutations()), max_size=8))
def test_without_a_key_only_a_claim_that_decodes_changes_the_table(packets: list[bytes]) -> None:
    machine = swim()
    for packet in packets:
        before = table(machine)
        machine.receive(packet, SOURCE, now_ns=0)
        if before != table(machine):
            opened = PacketLayers().open(packet)
            assert any(isinstance(message, Alive | Suspect | Dead) for message in opened.messages)


@given(st.binary(max_size=300))
def test_a_corrupted_checksummed_packet_changes_nothing(noise: bytes) -> None:
    packet = add_crc(encode(alive("peer", 1)))
    corrupt = packet[:20] + noise + packet[20:]
    machine = swim()
    machine.receive(corrupt, SOURCE, now_ns=0)

    assert (1 if noise else 2) == len(table(machine))


@given(st.lists(datagram_messages, max_size=30), st.lists(st.integers(0, 3 * SECOND), max_size=30))
def test_any_valid_messages_leave_a_consistent_machine(messages: list[Message], pauses: list[int]) -> None:
    machine = swim()
    now_ns = 0
    incarnation = 1
    for index, message in enumerate(messages):
        machine.receive(encode(message), SOURCE, now_ns=now_ns)
        if index < len(pauses):
            now_ns += pauses[index]
            machine.tick(now_ns=now_ns)
        assert MemberState.ALIVE is machine.local.state
        assert incarnation <= machine.local.incarnation
        incarnation = machine.local.incarnation
        deadline_ns = machine.next_deadline_ns()
        assert deadline_ns is not None
        assert now_ns < deadline_ns or index >= len(pauses)
        machine.take_outgoing()
        machine.take_events()


@given(st.lists(st.one_of(st.binary(max_size=300), mutations()), max_size=5))
def test_any_stream_is_answered_or_closed(chunks: list[bytes]) -> None:
    machine = swim()
    stream = machine.accept_stream(SOURCE, now_ns=0)
    assert stream is not None
    for chunk in chunks:
        machine.receive_stream(stream, chunk, now_ns=0)
    machine.close_stream(stream, now_ns=0)
    machine.receive_stream(stream, b"late", now_ns=0)
    machine.receive_stream(StreamId(99), b"unknown", now_ns=0)

    assert [] == [m for m in machine.members() if not m.name]


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(2, 7), st.sampled_from([0.0, 0.1, 0.3]))
def test_clusters_of_any_shape_agree_in_spite_of_loss(seed: int, size: int, loss: float) -> None:
    world = World(seed, loss=loss)
    swims = world.cluster(size)

    everyone = {f"n{i}" for i in range(1, size + 1)}
    world.run_until(lambda: all(present(s) == everyone for s in swims), within=90)


def alive(name: str, incarnation: int) -> Alive:
    return Alive(
        incarnation=incarnation,
        node=NodeName(name),
        address=address_of("10.0.0.7"),
        port=7946,
        versions=VERSIONS,
    )
