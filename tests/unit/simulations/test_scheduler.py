"""Virtual time and the streams of one seed."""

from functools import partial

from simulations.scheduler import Scheduler, SeedStreams


def test_events_happen_in_order_of_time_then_of_scheduling() -> None:
    scheduler = Scheduler()
    seen: list[tuple[int, str]] = []
    for time_ns, name in ((20, "c"), (10, "a"), (10, "b")):
        scheduler.at(time_ns, lambda name=name: seen.append((scheduler.now_ns, name)))  # type: ignore[misc]
    scheduler.run_until(30)
    assert [(10, "a"), (10, "b"), (20, "c")] == seen


def test_event_scheduled_into_the_past_happens_now() -> None:
    scheduler = Scheduler()
    seen: list[int] = []
    scheduler.run_until(100)
    scheduler.at(5, lambda: seen.append(scheduler.now_ns))
    scheduler.run_until(100)
    assert [100] == seen


def test_clock_stops_at_the_limit_and_keeps_what_is_later() -> None:
    scheduler = Scheduler()
    seen: list[int] = []
    scheduler.at(11, partial(seen.append, 11))
    scheduler.run_until(10)
    assert ([], 10) == (seen, scheduler.now_ns)
    scheduler.run_until(11)
    assert [11] == seen


def test_stream_is_a_function_of_seed_and_name() -> None:
    first = SeedStreams(7)
    first.stream("network").random()
    again = SeedStreams(7)
    assert again.stream("disk", "n1").random() == first.stream("disk", "n1").random()
    assert again.stream("disk", "n1").random() != again.stream("disk", "n2").random()
    assert SeedStreams(8).stream("disk", "n1").random() != again.stream("disk", "n1").random()
