"""The table of attacks names tests that exist, and the page is what the table says."""

from pathlib import Path

from tests.attacks.__main__ import markdown
from tests.attacks.table import ROWS

ROOT = Path(__file__).parents[2]


def test_every_row_has_tests_that_exist() -> None:
    for row in ROWS:
        assert row.tests, row.attack
        for test in row.tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text(), test


def test_the_page_is_what_the_table_says() -> None:
    assert markdown() == (ROOT / "docs" / "attacks.md").read_text()


def test_every_limit_is_in_the_security_policy() -> None:
    policy = (ROOT / "SECURITY.md").read_text()

    for word, row in (
        ("replays", "Message replay"),
        ("declare others dead", "Speaking for others"),
        ("spawn", "Flood of"),
    ):
        assert any(found.attack.startswith(row) and found.limit for found in ROWS)
        assert word in policy
