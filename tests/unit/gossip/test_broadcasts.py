from random import Random

import pytest

from gossip.broadcasts import BroadcastQueue, transmit_limit


def pick(queue: BroadcastQueue, room: int, *, limit: int = 9) -> list[bytes]:
    return queue.pick(room, overhead_bytes=2, limit=limit)


def test_what_was_sent_least_goes_first_then_the_longest_then_the_newest() -> None:
    queue = BroadcastQueue(10)
    queue.put(b"sent")
    assert [b"sent"] == pick(queue, 6)
    queue.put(b"old!")
    queue.put(b"new!")
    queue.put(b"longer")

    assert [b"longer", b"new!", b"old!", b"sent"] == pick(queue, 100)


def test_a_shorter_message_fills_the_room_that_a_longer_one_leaves() -> None:
    queue = BroadcastQueue(10)
    for message in (b"x" * 50, b"y" * 30, b"z" * 5):
        queue.put(message)

    assert [b"x" * 50, b"z" * 5] == pick(queue, 60)


def test_picking_equals_trying_every_message_in_order() -> None:
    rng = Random(1)
    queue = BroadcastQueue(200)
    for _ in range(200):
        queue.put(bytes(rng.randrange(1, 60)))
    for _ in range(100):
        room = rng.randrange(0, 300)
        expected, left = [], room
        for _, negative_size, _ in list(queue._order):
            if 2 - negative_size <= left:
                left -= 2 - negative_size
                expected.append(-negative_size)

        assert expected == [len(message) for message in pick(queue, room, limit=1_000)]


def test_a_message_is_finished_after_its_transmissions() -> None:
    queue = BroadcastQueue(10)
    ticket = queue.put(b"m")

    assert [b"m"] == pick(queue, 10, limit=2)
    assert [] == queue.take_finished()
    assert [b"m"] == pick(queue, 10, limit=2)
    assert [ticket] == queue.take_finished()
    assert [] == pick(queue, 10, limit=2)


def test_a_message_is_sent_once_even_if_the_limit_is_zero() -> None:
    queue = BroadcastQueue(10)
    queue.put(b"m")

    assert [b"m"] == pick(queue, 10, limit=0)


def test_a_newer_message_with_the_key_replaces_and_finishes_the_older() -> None:
    queue = BroadcastQueue(10)
    ticket = queue.put(b"older", key="a")
    queue.put(b"other", key="b")
    queue.put(b"newer", key="a")

    assert [ticket] == queue.take_finished()
    assert [b"newer", b"other"] == pick(queue, 100)


def test_a_full_queue_drops_what_was_sent_most() -> None:
    queue = BroadcastQueue(2)
    queue.put(b"sent")
    pick(queue, 10)
    queue.put(b"b")
    queue.put(b"c")

    assert 2 == len(queue)
    assert [b"c", b"b"] == pick(queue, 100)


@pytest.mark.parametrize(("members", "limit"), [(0, 0), (1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (1_000, 16)])
def test_the_limit_grows_with_the_digits_of_the_member_count(members: int, limit: int) -> None:
    assert limit == transmit_limit(members, multiplier=4)
