"""What "acknowledged" may mean, and how many make a majority."""

from __future__ import annotations

import pytest

from crdtmesh.levels import LevelInvalid
from crdtmesh.replication.levels import LOCAL, Level, LevelKind, needed, parse_level, quorum, voters_key
from tests.unit.crdtmesh.replication.mesh import Mesh, add


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", LOCAL),
        ("local", LOCAL),
        ("to(1)", Level(LevelKind.TO, 1)),
        ("to(12)", Level(LevelKind.TO, 12)),
        ("majority", Level(LevelKind.MAJORITY)),
        ("majority(min_cap=3)", Level(LevelKind.MAJORITY, min_cap=3)),
        ("majority(extra=1)", Level(LevelKind.MAJORITY, extra=1)),
        ("majority(min_cap=3,extra=1)", Level(LevelKind.MAJORITY, min_cap=3, extra=1)),
        ("all", Level(LevelKind.ALL)),
    ],
)
def test_level_is_read_from_its_name(text: str, expected: Level) -> None:
    assert expected == parse_level(text)
    assert expected == parse_level(str(expected))


@pytest.mark.parametrize(
    "text", ["Local", "to", "to()", "to(0)", "to(-1)", "to(10000)", "quorum", "majority(1)", "majority()"]
)
@pytest.mark.parametrize("suffix", ["", " "])
def test_text_that_names_no_level_is_refused(text: str, suffix: str) -> None:
    with pytest.raises(LevelInvalid) as caught:
        parse_level(text + suffix)
    assert "not_applied" == caught.value.outcome


@pytest.mark.parametrize(
    ("text", "voters", "expected"),
    [("local", 5, 1), ("to(4)", 3, 4), ("majority", 5, 3), ("majority", 0, 1), ("all", 5, 5), ("all", 0, 1)],
)
def test_level_asks_for_so_many_voters(text: str, voters: int, expected: int) -> None:
    assert expected == needed(parse_level(text), voters)


def test_all_is_never_less_than_a_majority_of_the_expected_nodes() -> None:
    assert 3 == needed(parse_level("all"), 1, expected_nodes=5)


def test_local_and_one_voter_are_the_same() -> None:
    assert [True, True, False, False] == [
        parse_level(text).is_local for text in ("local", "to(1)", "to(2)", "majority")
    ]


@pytest.mark.parametrize(("voters", "expected"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (30, 16)])
def test_majority_is_more_than_half(voters: int, expected: int) -> None:
    assert expected == quorum(voters)


def test_extra_and_minimum_are_capped_by_the_voters() -> None:
    assert 4 == quorum(5, extra=1)
    assert 3 == quorum(3, extra=5)
    assert 3 == quorum(3, min_cap=7)
    assert 5 == quorum(9, min_cap=4)


def test_expected_nodes_are_a_floor_that_few_voters_do_not_lower() -> None:
    assert 2 == quorum(1, expected_nodes=3)
    assert 3 == quorum(5, expected_nodes=3)


def test_voter_list_is_replicated_state() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    for name in "ab":
        mesh.update(name, voters_key("shop"), add(name))
    mesh.settle()
    assert [("a", "b")] * 2 == mesh.values(voters_key("shop"))
