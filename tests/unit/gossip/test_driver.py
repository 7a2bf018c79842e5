"""The driver with a core that is a script; its clock is the loop's, moved by hand."""

import asyncio

from gossip.driver import CoreDriver


class Script:
    """A core that notes its ticks; what it wants is set by the test."""

    def __init__(self) -> None:
        self.outgoing: list[str] = []
        self.events: list[int] = []
        self.deadline_ns: int | None = None
        self.ticks: list[int] = []
        self.ticked = asyncio.Event()

    def tick(self, *, now_ns: int) -> None:
        self.ticks.append(now_ns)
        self.ticked.set()
        self.deadline_ns = None

    def next_deadline_ns(self) -> int | None:
        return self.deadline_ns

    def take_outgoing(self) -> list[str]:
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def take_events(self) -> list[int]:
        events, self.events = self.events, []
        return events


class Setup:
    def __init__(self) -> None:
        self.core = Script()
        self.now_ns = 1_000
        self.log: list[object] = []
        self.driver = CoreDriver(
            self.core, carry_out=self.log.append, on_event=self.on_event, clock=lambda: self.now_ns
        )

    def on_event(self, event: int) -> None:
        self.log.append(event)
        if event == 1:
            self.core.outgoing.append("because of 1")
            self.driver.flush()


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_directives_go_out_before_events_and_what_a_handler_causes_after() -> None:
    setup = Setup()
    setup.core.outgoing, setup.core.events = ["a", "b"], [1, 2]
    setup.driver.flush()

    assert ["a", "b", 1, 2, "because of 1"] == setup.log
    setup.driver.close()


async def test_many_wakes_of_one_turn_are_one_flush() -> None:
    setup = Setup()
    for name in "abc":
        setup.core.outgoing.append(name)
        setup.driver.wake()
    assert [] == setup.log

    await turns()
    assert ["a", "b", "c"] == setup.log
    setup.driver.close()


async def test_the_core_is_ticked_when_it_is_due_and_not_again() -> None:
    setup = Setup()
    setup.core.deadline_ns = 500  # in the past: due at once
    setup.driver.flush()
    await asyncio.wait_for(setup.core.ticked.wait(), timeout=5)

    await turns()
    assert [1_000] == setup.core.ticks
    setup.driver.close()


async def test_a_closed_driver_calls_nothing() -> None:
    setup = Setup()
    setup.core.deadline_ns = 0
    setup.driver.flush()
    setup.driver.wake()
    setup.driver.close()
    setup.core.outgoing.append("late")
    setup.driver.flush()
    await turns(10)

    assert [] == setup.log
    assert [] == setup.core.ticks
