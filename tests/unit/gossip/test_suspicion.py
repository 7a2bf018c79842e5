import pytest

from gossip.identity import NodeName
from gossip.suspicion import Suspicion, SuspicionBounds, suspicion_bounds

SECOND = 1_000_000_000


def lan(members: int, *, is_dynamic: bool = True) -> SuspicionBounds:
    return suspicion_bounds(members, probe_interval_ns=SECOND, multiplier=4, max_multiplier=6, is_dynamic=is_dynamic)


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        (1, [4.0, 4.0, 4.0]),
        (3, [4.0, 4.0, 4.0]),
        (4, [24.0, 11.381, 4.0]),
        (100, [48.0, 22.762, 8.0]),
        (1_000, [72.0, 34.144, 12.0]),
    ],
)
def test_lan_timeouts_are_those_of_other_implementations(members: int, seconds: list[float]) -> None:
    bounds = lan(members)

    assert seconds == [bounds.timeout_ns(confirmations) / SECOND for confirmations in range(3)]


def test_more_confirmations_than_wanted_do_not_go_below_the_minimum() -> None:
    assert 4 * SECOND == lan(4).timeout_ns(50)


def test_plain_swim_always_waits_the_minimum() -> None:
    assert 8 * SECOND == lan(100, is_dynamic=False).timeout_ns(0)


def test_an_accuser_counts_once_and_the_first_not_at_all() -> None:
    suspicion = Suspicion(bounds=lan(100), started_ns=0, accuser=NodeName("a"))

    assert [False, True, False, True, False] == [suspicion.confirm(NodeName(name)) for name in "abbcd"]
    assert 8 * SECOND == suspicion.deadline_ns
