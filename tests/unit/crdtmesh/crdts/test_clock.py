"""The hybrid clock: order, drift, restarts."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.clock import BOUND_AHEAD_MS, DRIFT_MS_MAX, TIME_MAX, HybridClock, Stamp

A, B = b"a" * 16, b"b" * 16


def test_stamps_rise_while_the_wall_clock_stands_or_runs_backwards() -> None:
    clock = HybridClock(A)
    stamps = [clock.stamp(now_ms=now_ms) for now_ms in (5, 5, 3, 6, 1)]
    assert sorted(set(stamps)) == stamps
    assert [(5, 0), (5, 1), (5, 2), (6, 0), (6, 1)] == [(stamp.physical_ms, stamp.logical) for stamp in stamps]


def test_full_counter_carries_into_the_milliseconds() -> None:
    clock = HybridClock(A)
    clock.observe((5 << 16) + 0xFFFF, now_ms=5)
    assert Stamp(6 << 16, A) == clock.stamp(now_ms=5)


def test_stamp_exceeds_what_was_observed() -> None:
    clock = HybridClock(A)
    assert clock.observe(9 << 16, now_ms=5)
    assert Stamp((9 << 16) + 1, A) == clock.stamp(now_ms=5)


def test_equal_times_are_ordered_by_replica_id() -> None:
    assert HybridClock(A).stamp(now_ms=5) < HybridClock(B).stamp(now_ms=5)


def test_stamp_beyond_the_drift_guard_does_not_advance_the_clock() -> None:
    clock = HybridClock(A, drift_ms_max=10)
    assert clock.observe(15 << 16, now_ms=5)
    assert not clock.observe(16 << 16, now_ms=5)
    assert 15 << 16 == clock.time


def test_poisoned_key_stays_writable_and_keeps_its_poison() -> None:
    clock = HybridClock(A)
    poison = Stamp((5 + DRIFT_MS_MAX + 1) << 16, B)
    assert poison < clock.stamp(now_ms=5, after=poison)
    assert 5 == clock.stamp(now_ms=5).physical_ms


def test_write_over_a_stamp_within_the_guard_takes_the_clock_along() -> None:
    clock = HybridClock(A)
    over = clock.stamp(now_ms=5, after=Stamp(9 << 16, B))
    assert over < clock.stamp(now_ms=5)


def test_time_at_the_top_stays_there() -> None:
    assert TIME_MAX == HybridClock(A).stamp(now_ms=5, after=Stamp(TIME_MAX, B)).time
    assert TIME_MAX == HybridClock(A).stamp(now_ms=1 << 60).time


def test_restart_after_a_clock_set_back_continues_above_the_persisted_bound() -> None:
    first = HybridClock(A)
    bound_ms = first.renew_bound(now_ms=100_000)
    assert 100_000 + BOUND_AHEAD_MS == bound_ms
    last = first.stamp(now_ms=101_500)
    assert last < HybridClock(B, bound_ms=bound_ms or 0).stamp(now_ms=50_000)


def test_bound_is_renewed_before_it_is_used_up_and_not_more_often() -> None:
    clock = HybridClock(A)
    renewed = [now_ms for now_ms in range(0, 5_000, 100) if clock.renew_bound(now_ms=now_ms) is not None]
    assert [0, 1_000, 2_000, 3_000, 4_000] == renewed


def test_negative_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="drift_ms_max"):
        HybridClock(A, drift_ms_max=-1)
