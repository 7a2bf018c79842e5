from gossip.timers import Timers


def drain(timers: Timers[str], now_ns: int) -> list[str]:
    keys = []
    while (due := timers.pop_due(now_ns)) is not None:
        keys.append(due[0])
    return keys


def test_timers_come_up_in_order_of_due_time_then_of_arming() -> None:
    timers: Timers[str] = Timers()
    for key, due_ns in (("c", 3), ("a", 1), ("b", 1)):
        timers.arm(key, due_ns)

    assert 1 == timers.next_due_ns()
    assert ["a", "b"] == drain(timers, 2)
    assert ["c"] == drain(timers, 3)
    assert timers.next_due_ns() is None


def test_arming_again_replaces_the_due_time() -> None:
    timers: Timers[str] = Timers()
    timers.arm("a", 1)
    timers.arm("a", 5)

    assert 5 == timers.next_due_ns()
    assert [] == drain(timers, 4)
    assert ["a"] == drain(timers, 5)


def test_a_cancelled_timer_does_not_come_up() -> None:
    timers: Timers[str] = Timers()
    timers.arm("a", 1)
    timers.cancel("a")
    timers.cancel("never armed")

    assert not timers.is_armed("a")
    assert [] == drain(timers, 10)


def test_rearming_for_ever_does_not_grow_memory() -> None:
    timers: Timers[str] = Timers()
    for due_ns in range(10_000):
        timers.arm("a", due_ns)
        timers.arm("b", due_ns)

    assert 100 > len(timers._heap)
    assert ["a", "b"] == drain(timers, 10_000)
