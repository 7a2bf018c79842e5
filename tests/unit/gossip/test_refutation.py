"""How often a node contradicts what is claimed of it."""

from gossip.codec import encode
from gossip.identity import Endpoint, NodeName
from gossip.messages import Suspect
from gossip.outputs import Refuted
from gossip.refutation import REFUTATIONS_BURST
from gossip.swim import Swim
from tests.unit.gossip.harness import SECOND, World

SOURCE = Endpoint("10.0.0.9", 7946)


def accuse(swim: Swim, *, now_ns: int) -> None:
    claim = Suspect(swim.local.incarnation, swim.local.name, NodeName("forger"))
    swim.receive(encode(claim), SOURCE, now_ns=now_ns)


def test_a_flood_of_accusations_is_refuted_at_a_bounded_rate() -> None:
    swim = World().add("a")
    for number in range(10_000):
        now_ns = number * SECOND // 1_000
        accuse(swim, now_ns=now_ns)
        swim.tick(now_ns=now_ns)

    refuted = [event for event in swim.take_events() if isinstance(event, Refuted)]
    assert REFUTATIONS_BURST < len(refuted) <= REFUTATIONS_BURST + 10


def test_an_accusation_that_has_to_wait_is_refuted_in_its_turn() -> None:
    swim = World().add("a")
    for _ in range(REFUTATIONS_BURST + 1):
        accuse(swim, now_ns=0)
    before = swim.local.incarnation
    swim.tick(now_ns=SECOND)

    assert before + 1 == swim.local.incarnation
    assert REFUTATIONS_BURST + 2 == swim.local.incarnation
