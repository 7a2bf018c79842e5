"""Asyncio in virtual time: order, timers, stops, kills and clocks."""

import asyncio
import random

from simulations.clocks import MachineClock
from simulations.loop import VirtualLoop
from simulations.scheduler import SECOND_NS, Scheduler


class Bench:
    def __init__(self) -> None:
        self.scheduler = Scheduler()
        self.clock = MachineClock(self.scheduler)
        self.failures: list[str] = []
        self.seen: list[str] = []
        self.loop = VirtualLoop(  # type: ignore[abstract]
            "p", scheduler=self.scheduler, clock=self.clock, rng=random.Random(1), failed=self.failures.append
        )

    def run(self, seconds: float) -> None:
        self.scheduler.run_until(self.scheduler.now_ns + int(seconds * SECOND_NS))

    async def note_after(self, text: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.seen.append(f"{text} at {self.loop.time():.1f}")


def test_sleeping_takes_virtual_time_only() -> None:
    bench = Bench()
    bench.loop.create_task(bench.note_after("day", 86_400))
    bench.run(86_000)
    assert [] == bench.seen
    bench.run(500)
    assert ["day at 86400.0"] == bench.seen


def test_callbacks_run_in_order_and_new_ones_in_the_next_turn() -> None:
    bench = Bench()
    bench.loop.call_soon(lambda: bench.loop.call_soon(bench.seen.append, "third"))
    bench.loop.call_soon(bench.seen.append, "first")
    bench.loop.call_soon(bench.seen.append, "second")
    bench.run(1)
    assert ["first", "second", "third"] == bench.seen


def test_cancelled_timer_does_nothing() -> None:
    bench = Bench()
    bench.loop.call_later(1, bench.seen.append, "no").cancel()
    bench.run(2)
    assert [] == bench.seen


def test_deadline_cancels_what_waits_too_long() -> None:
    bench = Bench()

    async def impatient() -> None:
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(5)
        except TimeoutError:
            bench.seen.append(f"{bench.loop.time():.0f}")

    bench.loop.create_task(impatient())
    bench.run(10)
    assert ["2"] == bench.seen


def test_stopped_process_runs_nothing_until_all_stops_have_ended() -> None:
    bench = Bench()
    bench.loop.stop_for(2 * SECOND_NS)
    bench.loop.stop_for(4 * SECOND_NS)
    bench.loop.call_later(1, bench.seen.append, "late")
    bench.run(3)
    assert ([], True) == (bench.seen, bench.loop.is_stopped)
    bench.run(1.1)
    assert (["late"], False) == (bench.seen, bench.loop.is_stopped)


def test_killed_process_runs_nothing_more_and_closes_its_coroutines() -> None:
    bench = Bench()

    async def holder() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            bench.seen.append("closed")

    bench.loop.create_task(holder())
    bench.run(1)
    bench.loop.kill()
    assert ["closed"] == bench.seen
    bench.loop.call_soon(bench.seen.append, "ghost")
    bench.run(10)
    assert ["closed"] == bench.seen


def test_uncaught_exception_is_reported() -> None:
    bench = Bench()
    bench.loop.call_soon(lambda: 1 // 0)
    bench.run(1)
    assert 1 == len(bench.failures)
    assert "ZeroDivisionError" in bench.failures[0]


def test_timers_follow_a_clock_that_drifts() -> None:
    bench = Bench()
    bench.clock.drift(50_000)
    bench.loop.call_later(105, bench.seen.append, "fast")
    bench.run(99.9)
    assert [] == bench.seen
    bench.run(0.2)
    assert ["fast"] == bench.seen


def test_timer_set_before_the_clock_slowed_down_waits_for_its_time() -> None:
    bench = Bench()
    bench.loop.call_later(10, bench.seen.append, "slow")
    bench.clock.drift(-50_000)
    bench.run(10.1)
    assert [] == bench.seen
    bench.run(1)
    assert ["slow"] == bench.seen


def test_wall_clock_jumps_and_freezes_while_the_monotonic_one_goes_on() -> None:
    clock = Bench().clock
    scheduler = clock._scheduler
    before_ms = clock.wall_ms()
    clock.jump(-3_600_000)
    assert before_ms - 3_600_000 == clock.wall_ms()
    clock.freeze()
    scheduler.run_until(5 * SECOND_NS)
    assert (before_ms - 3_600_000, 5 * SECOND_NS) == (clock.wall_ms(), clock.monotonic_ns())
    clock.set_right()
    assert before_ms + 5_000 == clock.wall_ms()


def test_killed_process_leaves_nothing_that_goes_on_when_memory_is_freed() -> None:
    bench = Bench()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            try:
                await asyncio.sleep(5)
            finally:
                bench.seen.append("ended")

    bench.loop.create_task(stubborn())
    bench.run(1)
    bench.loop.kill()
    assert ["ended"] == bench.seen
