"""Who dials, which connection stays, and how long to wait."""

from __future__ import annotations

import itertools
import random

import pytest

from crdtmesh.links.options import LinkOptions
from crdtmesh.links.peering import Backoff, Verdict, dials_first, judge_inbound


def test_exactly_one_of_two_nodes_dials_first() -> None:
    for first, second in itertools.permutations(("a", "b", "ä", "B", "a1", "a10"), 2):
        assert dials_first(first, second) is not dials_first(second, first)


@pytest.mark.parametrize("is_lower", [False, True])
def test_start_that_membership_does_not_know_waits(is_lower: bool) -> None:
    for link_is_ours, is_dialling in itertools.product((None, False, True), (False, True)):
        verdict = judge_inbound(
            is_lower=is_lower, is_known_start=False, link_is_ours=link_is_ours, is_dialling=is_dialling
        )
        assert Verdict.PARK is verdict


@pytest.mark.parametrize(
    ("is_lower", "link_is_ours", "is_dialling", "verdict"),
    [
        (True, None, False, Verdict.ADMIT),
        (True, None, True, Verdict.PARK),  # crossed dials: ours stays
        (False, None, False, Verdict.ADMIT),
        (False, None, True, Verdict.ADMIT),  # crossed dials: theirs stays
        (True, True, False, Verdict.PARK),  # the leftover of crossed dials, or a loss that we are about to notice
        (True, False, False, Verdict.REPLACE),
        (False, True, False, Verdict.REPLACE),
        (False, False, False, Verdict.REPLACE),
    ],
)
def test_known_start_is_judged_alike_on_both_sides(
    is_lower: bool, link_is_ours: bool | None, is_dialling: bool, verdict: Verdict
) -> None:
    assert verdict is judge_inbound(
        is_lower=is_lower, is_known_start=True, link_is_ours=link_is_ours, is_dialling=is_dialling
    )


def test_crossed_dials_are_never_both_admitted_and_never_both_parked() -> None:
    lower = judge_inbound(is_lower=True, is_known_start=True, link_is_ours=None, is_dialling=True)
    higher = judge_inbound(is_lower=False, is_known_start=True, link_is_ours=None, is_dialling=True)
    assert {Verdict.PARK, Verdict.ADMIT} == {lower, higher}


def test_back_off_doubles_with_jitter_up_to_its_maximum_and_starts_again_after_a_reset() -> None:
    backoff = Backoff(LinkOptions(backoff_min_s=0.1, backoff_max_s=2.0), random.Random(1))
    delays = [backoff.next_delay_s() for _ in range(2000)]
    for number, delay_s in enumerate(delays):
        step_s = min(2.0, 0.1 * 2 ** min(number, 10))
        assert step_s / 2 <= delay_s <= step_s
    assert len(set(delays)) > 1900
    backoff.reset()
    assert backoff.next_delay_s() <= 0.1
