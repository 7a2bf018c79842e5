"""Logical clocks, and which times of others they believe."""

import pytest

from gossip.serf.clock import TIME_CLAIM_MAX, TIME_JUMP_MAX, TIME_MAX, LamportClock


def test_a_clock_moves_past_what_it_sees_and_never_back() -> None:
    clock = LamportClock()
    clock.witness(7)
    clock.witness(3)

    assert (8, 8, 9) == (clock.time, clock.increment(), clock.time)


@pytest.mark.parametrize(
    ("ours", "theirs", "is_believed"),
    [
        (1, 1 + TIME_JUMP_MAX, True),
        (1, 2 + TIME_JUMP_MAX, False),
        (50, 3, True),
        (TIME_CLAIM_MAX, TIME_CLAIM_MAX, True),
        (TIME_CLAIM_MAX, TIME_CLAIM_MAX + 1, False),
        (TIME_CLAIM_MAX, TIME_MAX, False),
    ],
)
def test_a_time_is_believed_within_a_jump_and_below_the_end_of_the_range(
    ours: int, theirs: int, is_believed: bool
) -> None:
    clock = LamportClock()
    clock.time = ours

    assert is_believed == clock.allows(theirs)


def test_the_highest_time_believed_leaves_room_for_messages_of_our_own() -> None:
    clock = LamportClock()
    clock.witness(TIME_CLAIM_MAX)

    assert TIME_MAX - clock.time > 2**60
