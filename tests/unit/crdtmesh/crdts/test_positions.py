"""Positions stay in order, short and apart, wherever elements are inserted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from crdtmesh.crdts.errors import CodecError, InvalidOperation
from crdtmesh.crdts.positions import POSITION_BYTES_MAX, Bias, between, require_position

A, B = b"aaaa", b"bbbb"


def inserted(count: int, index: Callable[[int], int], tags: Sequence[bytes] = (A,)) -> list[bytes]:
    positions: list[bytes] = []
    for size in range(count):
        at = index(size)
        left = positions[at - 1] if at else None
        right = positions[at] if at < size else None
        position = between(left, right, tag=tags[size % len(tags)])
        require_position(position)
        assert left is None or left < position
        assert right is None or position < right
        positions.insert(at, position)
    return positions


@pytest.mark.parametrize("forwards", [True, False])
def test_hundred_thousand_inserts_at_one_end_take_few_bytes(forwards: bool) -> None:
    position = between(None, None, tag=A)
    for _ in range(100_000):
        before, position = position, between(*((position, None) if forwards else (None, position)), tag=A)
        assert (before < position) == forwards
    assert 9 == len(position)


def test_random_inserts_of_two_replicas_take_bytes_by_the_logarithm() -> None:
    rng = random.Random(1)
    longest = [max(map(len, inserted(count, lambda size: rng.randint(0, size), (A, B)))) for count in (100, 3_000)]
    assert longest[1] <= 3 * longest[0]


@pytest.mark.parametrize("bias", [Bias.LEFT, Bias.RIGHT])
def test_gap_takes_thousands_of_inserts_in_a_row_on_the_side_it_was_left_open(bias: Bias) -> None:
    low, high = inserted(2, lambda size: size)
    for _ in range(10_000):
        position = between(low, high, tag=A, bias=bias)
        low, high = (position, high) if bias is Bias.LEFT else (low, position)
    assert 9 >= len(position)


@pytest.mark.parametrize("forwards", [True, False])
def test_runs_of_two_replicas_at_one_place_do_not_mix(forwards: bool) -> None:
    low, high = inserted(2, lambda size: size, (b"zzzz",))
    runs = []
    for tag in (A, B):
        left, right, run = low, high, []
        for _ in range(50):
            position = between(left, right, tag=tag)
            run.append(position)
            left, right = (position, right) if forwards else (left, position)
        runs.append(sorted(run))
    assert runs[0][-1] < runs[1][0] or runs[1][-1] < runs[0][0]


def test_fractions_sort_between_their_integers() -> None:
    ascending = inserted(10, lambda size: size)
    half = between(ascending[4], ascending[5], tag=A)
    assert ascending[4] < between(ascending[4], half, tag=A) < half < ascending[5]


def test_equal_neighbours_get_a_position_after_both() -> None:
    twice = between(None, None, tag=A)
    assert twice < between(twice, twice, tag=A)


def test_two_replicas_between_each_others_newest_are_bounded() -> None:
    left, right = inserted(2, lambda size: size)

    def go_on(left: bytes, right: bytes) -> tuple[bytes, bytes]:
        for number in range(4):
            position = between(left, right, tag=(B, A)[number % 2])
            left, right = (position, right) if number < 2 else (left, position)
        return left, right

    while max(len(left), len(right)) < POSITION_BYTES_MAX - 24:
        left, right = go_on(left, right)
    with pytest.raises(InvalidOperation, match="set the list anew"):
        go_on(left, right)


@pytest.mark.parametrize(
    "position",
    [
        b"",
        A,
        A + b"\x80",
        A + b"\x80\x01\x01",
        A + b"\x80\x80\x01",
        A + b"\xa0\x05\x01",
        A + b"\xa7\x01\x01",
        A + b"\xb0" + bytes(17) + b"\x01",
        A + b"\x80\x03",
        A + b"\x80\x02" + B,
        A + b"\x80\x02" * POSITION_BYTES_MAX,
    ],
    ids=[
        "nothing",
        "no number",
        "no end",
        "more after the end",
        "trailing zero digit",
        "integer longer than needed",
        "integer cut off",
        "integer beyond eight bytes",
        "neither side nor end",
        "run without a number",
        "too long",
    ],
)
def test_position_that_is_never_made_is_refused(position: bytes) -> None:
    with pytest.raises(CodecError):
        require_position(position)
