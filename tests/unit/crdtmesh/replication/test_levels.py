"""What "acknowledged" may mean, and how many make a majority."""

from __future__ import annotations

import pytest

from crdtmesh.replication.errors import LevelInvalid, LevelUnsupported
from crdtmesh.replication.levels import LOCAL, Level, LevelKind, parse_level, quorum, require_offered, voters_key
from tests.unit.crdtmesh.replication.mesh import Mesh, add


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", LOCAL),
        ("local", LOCAL),
        ("to(1)", Level(LevelKind.TO, 1)),
        ("to(12)", Level(LevelKind.TO, 12)),
        ("majority", Level(LevelKind.MAJORITY)),
        ("all", Level(LevelKind.ALL)),
    ],
)
def test_level_is_read_from_its_name(text: str, expected: Level) -> None:
    assert expected == parse_level(text)


@pytest.mark.parametrize("text", ["Local", "to", "to()", "to(0)", "to(-1)", "to(10000)", "quorum", "majority(1)"])
def test_text_that_names_no_level_is_refused(text: str) -> None:
    with pytest.raises(LevelInvalid) as caught:
        parse_level(text)
    assert "not_applied" == caught.value.outcome


def test_only_this_nodes_disk_is_offered() -> None:
    require_offered(LOCAL)
    require_offered(Level(LevelKind.TO, 1))
    for level in ("to(2)", "majority", "all"):
        with pytest.raises(LevelUnsupported) as caught:
            require_offered(parse_level(level))
        assert "not_applied" == caught.value.outcome


@pytest.mark.parametrize(("voters", "expected"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (30, 16)])
def test_majority_is_more_than_half(voters: int, expected: int) -> None:
    assert expected == quorum(voters)


def test_extra_and_minimum_are_capped_by_the_voters() -> None:
    assert 4 == quorum(5, extra=1)
    assert 3 == quorum(3, extra=5)
    assert 3 == quorum(3, minimum_cap=7)
    assert 5 == quorum(9, minimum_cap=4)


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
