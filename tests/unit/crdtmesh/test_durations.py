"""Lengths of time as people write them."""

from __future__ import annotations

import pytest

from crdtmesh.durations import NEVER_MS, SYNC_MS, durability_ms, duration_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1ms", 1), ("90s", 90_000), ("1.5h", 5_400_000), ("15m", 900_000), ("7d", 604_800_000)],
)
def test_a_number_and_a_unit_make_a_length(text: str, expected: int) -> None:
    assert expected == duration_ms(text)


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "0s", "1 s", "1w", "1e3s", "0.1ms", "9999999999s"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90s"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("sync", SYNC_MS), ("none", NEVER_MS), ("interval", 100), ("interval(2000)", 2_000)]
)
def test_a_durability_mode_has_an_interval(text: str, expected: int) -> None:
    assert expected == durability_ms(text)


@pytest.mark.parametrize("text", ["", "never", "interval()", "interval(0)", "interval(60001)", "interval(-1)", "100"])
def test_any_other_mode_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="expected sync, interval"):
        durability_ms(text)
