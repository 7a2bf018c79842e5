"""The timer of an engine is armed anew only when its deadline moves, and when it has fired."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from crdtmesh.engine_timer import DeadlineTimer

MS_NS = 1_000_000


class Handle:
    def __init__(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.delay_s = delay_s
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """Notes what is armed."""

    def __init__(self) -> None:
        self.handles: list[Handle] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Any:
        self.handles.append(Handle(delay_s, callback))
        return self.handles[-1]


@pytest.fixture
def loop() -> Loop:
    return Loop()


def timer_of(loop: Loop, fired: list[str]) -> DeadlineTimer:
    return DeadlineTimer(cast("asyncio.AbstractEventLoop", loop), lambda: fired.append("fired"))


def test_deadline_that_stays_is_armed_once(loop: Loop) -> None:
    timer = timer_of(loop, [])
    for now_ns in (0, MS_NS, 2 * MS_NS):
        timer.arm(5 * MS_NS, now_ns=now_ns)
    assert [0.005] == [handle.delay_s for handle in loop.handles]


def test_deadline_that_moves_takes_the_place_of_the_other(loop: Loop) -> None:
    timer = timer_of(loop, [])
    timer.arm(5 * MS_NS, now_ns=0)
    timer.arm(3 * MS_NS, now_ns=MS_NS)
    timer.arm(None, now_ns=MS_NS)
    assert [(0.005, True), (0.002, True)] == [(handle.delay_s, handle.is_cancelled) for handle in loop.handles]


def test_deadline_that_was_met_too_early_is_armed_again(loop: Loop) -> None:
    fired: list[str] = []
    timer = timer_of(loop, fired)
    timer.arm(5 * MS_NS, now_ns=0)
    loop.handles[0].callback()
    timer.arm(5 * MS_NS, now_ns=4 * MS_NS)
    assert ["fired"] == fired
    assert [0.005, 0.001] == [handle.delay_s for handle in loop.handles]


def test_deadline_that_has_passed_is_due_at_once(loop: Loop) -> None:
    timer = timer_of(loop, [])
    timer.arm(MS_NS, now_ns=3 * MS_NS)
    assert [0.0] == [handle.delay_s for handle in loop.handles]


def test_cancelled_timer_is_armed_anew_for_the_same_deadline(loop: Loop) -> None:
    timer = timer_of(loop, [])
    timer.arm(MS_NS, now_ns=0)
    timer.cancel()
    timer.arm(MS_NS, now_ns=0)
    assert [True, False] == [handle.is_cancelled for handle in loop.handles]
