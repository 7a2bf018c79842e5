"""Rules for keys by pattern."""

from __future__ import annotations

import pytest

from crdtmesh.replication.key_rules import PATTERN_CHARS_MAX, KeyRules
from crdtmesh.replication.outputs import EntryKey


def key(name: str, system: str = "shop") -> EntryKey:
    return EntryKey(system, name, "ORSet")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("session/*", "session/1/2", True),
        ("session/*", "session/", True),
        ("session/*", "a session/1", False),
        ("s?", "s1", True),
        ("s?", "s", False),
        ("a.b", "axb", False),
        ("[a]", "a", False),
        ("*", "line\nbreak", True),
    ],
)
def test_a_star_is_any_text_a_question_mark_one_character_and_all_else_itself(
    pattern: str, name: str, fits: bool
) -> None:
    assert (1 if fits else None) == KeyRules([(pattern, 1)]).of(key(name))


def test_the_first_pattern_that_fits_wins() -> None:
    rules = KeyRules([("a*", 1), ("*", 2)])
    assert [1, 2, 1] == [rules.of(key(name)) for name in ("ab", "ba", "ab")]


def test_what_is_kept_beside_an_entry_follows_the_entry() -> None:
    assert 1 == KeyRules([("carts", 1)]).of(key("carts\0operations"))


def test_the_mesh_s_own_entries_have_no_rule() -> None:
    assert KeyRules([("*", 1)]).of(key("voters/shop", "_mesh")) is None


@pytest.mark.parametrize("pattern", ["", "x" * (PATTERN_CHARS_MAX + 1)])
def test_a_pattern_without_or_with_too_much_text_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="characters expected"):
        KeyRules([(pattern, 1)])
