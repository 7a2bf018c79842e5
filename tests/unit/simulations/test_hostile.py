"""The hostile peer: what it sends beside what passes."""

import random
from collections import Counter

import pytest

from crdtmesh.links.frames import Channel
from simulations.hostile import Hostile
from simulations.plan import HostilePlan

PASSED = b"an honest message"


def received(plan: HostilePlan, channel: Channel = Channel.REPLICATION) -> tuple[list[bytes], Counter[str]]:
    counts: Counter[str] = Counter()
    hostile = Hostile(plan, rng=random.Random(1), counts=counts)
    got: list[bytes] = []
    for _ in range(100):
        hostile.passed("a", "b", channel, PASSED, lambda peer, channel, payload: got.append(payload))
    return got, counts


def test_replays_are_old_messages_unchanged() -> None:
    got, counts = received(HostilePlan(replay=1.0))
    assert ({PASSED}, 99) == (set(got), counts["hostile_replayed"])


def test_garbage_is_never_a_whole_message() -> None:
    got, counts = received(HostilePlan(garbage=1.0))
    assert 100 == counts["hostile_garbage"] == len(got)
    assert PASSED not in got


def test_mutations_differ_in_few_bits() -> None:
    got, _ = received(HostilePlan(mutate=1.0))
    assert {len(PASSED)} == {len(payload) for payload in got}
    assert PASSED not in got


@pytest.mark.parametrize("channel", [Channel.CONTROL, Channel.INVOKE])
def test_calls_are_left_alone_since_a_repeated_one_would_run_twice(channel: Channel) -> None:
    assert [] == received(HostilePlan(replay=1.0, garbage=1.0, mutate=1.0), channel)[0]
