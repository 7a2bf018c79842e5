"""Network coordinates: their bytes, and that places come to fit what was measured."""

import itertools
import math
from random import Random

import pytest

from gossip.codec import pack
from gossip.errors import DecodeError, RejectReason
from gossip.identity import NodeName
from gossip.serf.config import SerfConfig
from gossip.serf.coordinates import Coordinate, Vivaldi, decode, encode
from gossip.serf.layer import Serf
from tests.unit.gossip.harness import World

PEER = NodeName("peer")
MILLISECOND = 1_000_000

# The ack of a Serf agent 0.9.4, as it was on the wire.
PAYLOAD = bytes.fromhex(
    "0184aa41646a7573746d656e74cb3f14db75f50932d8a54572726f72cb3ff6fd3337053d29a6486569676874cb3ee4f8b588e368f1a3566563"
    "98cbbf28cb0faae3a8f6cbbf08d2bb5b260857cbbed811a0e21d3bf3cb3f2f2987465afeeccbbf251a9448b1c55ccbbf1d66f65bd45fb8cbbf"
    "23e64eefe85785cbbf2d7a0888d411b6"
)


def test_the_payload_of_a_serf_agent_is_read_and_written_again_to_the_same_bytes() -> None:
    coordinate = decode(PAYLOAD)

    assert 1e-5 == coordinate.height_s
    assert 1 < coordinate.error < 1.5
    assert PAYLOAD == encode(coordinate)


def body(**fields: object) -> bytes:
    plain = {"Adjustment": 0.0, "Error": 1.5, "Height": 1e-5, "Vec": [0.0] * 8}
    return b"\x01" + pack(plain | fields)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x02" + PAYLOAD[1:],
        PAYLOAD[:40],
        body(Vec=[0.0] * 7),
        body(Vec=[0.0] * 7 + [math.nan]),
        body(Vec=[0.0] * 7 + [math.inf]),
        body(Vec=[1e300] * 8),
        body(Vec=[0.0] * 7 + ["x"]),
        body(Vec=None),
        body(Error=math.nan),
        body(Error=-1.0),
        body(Height=11.0),
        body(Adjustment=1),
    ],
)
def test_what_is_no_plausible_coordinate_changes_nothing(payload: bytes) -> None:
    vivaldi = Vivaldi(Random(1), members_max=10)
    with pytest.raises(DecodeError) as caught:
        vivaldi.on_ack(PEER, payload, rtt_ns=MILLISECOND)

    assert caught.value.reason in (RejectReason.MALFORMED, RejectReason.NOT_SUPPORTED)
    assert Coordinate() == vivaldi.own
    assert vivaldi.get(PEER) is None


def test_two_nodes_learn_the_time_between_them() -> None:
    a, b = Vivaldi(Random(1), members_max=10), Vivaldi(Random(2), members_max=10)
    for _ in range(100):
        a.on_ack(NodeName("b"), encode(b.own), rtt_ns=40 * MILLISECOND)
        b.on_ack(NodeName("a"), encode(a.own), rtt_ns=40 * MILLISECOND)

    assert 0.040 == pytest.approx(a.own.distance_s(b.own), rel=0.05)
    assert a.own.error < 0.2


def test_places_fit_a_network_of_sites() -> None:
    rng = Random(3)
    sites = [(rng.uniform(0, 80), rng.uniform(0, 80)) for _ in range(12)]
    nodes = [Vivaldi(Random(number), members_max=100) for number in range(len(sites))]
    for _, (a, b) in itertools.product(range(150), itertools.permutations(range(len(sites)), 2)):
        rtt_ns = round((2 + math.dist(sites[a], sites[b])) * MILLISECOND * rng.uniform(0.95, 1.05))
        nodes[a].on_ack(NodeName(str(b)), encode(nodes[b].own), rtt_ns=rtt_ns)

    errors = []
    for a, b in itertools.combinations(range(len(sites)), 2):
        true_s = (2 + math.dist(sites[a], sites[b])) / 1e3
        errors.append(abs(nodes[a].own.distance_s(nodes[b].own) - true_s) / true_s)
    assert sorted(errors)[len(errors) // 2] < 0.1


def test_one_late_answer_does_not_move_a_node() -> None:
    vivaldi = Vivaldi(Random(1), members_max=10)
    for _ in range(3):
        vivaldi.on_ack(PEER, PAYLOAD, rtt_ns=MILLISECOND)
    settled = vivaldi.own
    vivaldi.on_ack(PEER, PAYLOAD, rtt_ns=5_000 * MILLISECOND)

    assert math.dist(settled.vector, vivaldi.own.vector) < 0.001


def test_longer_round_trips_than_any_probe_waits_for_are_ignored() -> None:
    vivaldi = Vivaldi(Random(1), members_max=10)
    vivaldi.on_ack(PEER, PAYLOAD, rtt_ns=11_000 * MILLISECOND)

    assert Coordinate() == vivaldi.own


def test_places_are_kept_up_to_the_cap() -> None:
    vivaldi = Vivaldi(Random(1), members_max=2)
    for name in ("a", "b", "c"):
        vivaldi.on_ack(NodeName(name), PAYLOAD, rtt_ns=MILLISECOND)

    assert [False, True, True] == [vivaldi.get(NodeName(name)) is not None for name in ("a", "b", "c")]


def test_members_learn_each_others_times_by_probing() -> None:
    world = World()
    serfs = []
    for number in (1, 2):
        swim = world.add(f"n{number}", number=number)
        serfs.append(Serf(swim, SerfConfig(), swim_config=world.config, rng=Random(number)))
        world.nodes[swim.local.endpoint] = serfs[-1]  # type: ignore[assignment]
    assert serfs[0].rtt_s("n2") is None
    world.join(serfs[1], serfs[0])  # type: ignore[arg-type]
    world.run(120)

    estimate_s = serfs[0].rtt_s("n2")
    assert estimate_s is not None
    assert 0.001 < estimate_s < 0.004  # twice a delay of 0.5 to 2 ms
    world.kill(serfs[1])  # type: ignore[arg-type]
    world.run(60)
    assert serfs[0].rtt_s("n2") is None
