"""The documentation says what the code does: generated pages, tables of settings and errors, links."""

import dataclasses
import re
import sys
from pathlib import Path

import click
import pytest

from crdtmesh.cli.options import config_options
from crdtmesh.config import NodeConfig
from crdtmesh.runtime.errors import ErrorCode
from crdtmesh.sdk import errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<second>[^|]+) \|", re.MULTILINE)
DERIVED = {"name", "data_dir", "socket", "http_socket", "advertise", "api_bind", "identity_dir"}
DERIVED |= {"authority", "certificate", "certificate_key", "gossip_keys"}


def test_the_reference_is_what_the_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.delitem(sys.modules, "generate_reference", raising=False)
    from generate_reference import pages  # type: ignore[import-not-found, unused-ignore]

    committed = {path.name: path.read_text() for path in (DOCS / "reference").glob("*.md")}
    assert pages() == committed


def test_the_guide_names_every_setting_with_its_default() -> None:
    table = _rows(DOCS / "guide" / "operating.md", "## Settings")

    assert [field.name for field in dataclasses.fields(NodeConfig)] == list(table)
    for name, shown in table.items():
        if name not in DERIVED:
            assert _shown(getattr(NodeConfig(), name)) == shown.strip("`"), name


def test_the_help_of_every_flag_names_its_default() -> None:
    @click.command()
    @config_options
    def up() -> None:
        pass

    helps = {option.name: option.help for option in up.params if isinstance(option, click.Option)}
    for field in dataclasses.fields(NodeConfig):
        value = getattr(NodeConfig(), field.name)
        if field.name in DERIVED or value in (None, (), False):
            continue
        assert f"Default: {_shown(value).removesuffix('.0')}." in (helps[field.name] or ""), field.name


def test_the_guide_names_every_error_code() -> None:
    table = _rows(DOCS / "guide" / "actors.md", "## Errors")

    assert {code.name.lower() for code in ErrorCode} == set(table)
    assert {"not_applied", "unknown", "not_applied or unknown"} == set(table.values())


def test_every_error_code_has_its_class_in_the_sdk() -> None:
    classes = {error.code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "code")}

    assert {code.name.lower() for code in ErrorCode} <= classes


def test_every_test_that_the_table_of_anomalies_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "guide" / "anomalies.md").read_text()))
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert len(named) > 15
    assert set() == {name for name in named if f"def {name}(" not in tests}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [] == [target for target in targets if not (page.parent / target).exists()]


def _rows(page: Path, heading: str) -> dict[str, str]:
    """First and second column of the table under a heading."""
    section = page.read_text().partition(f"{heading}\n")[2].partition("\n## ")[0]
    return {match["name"]: match["second"].strip() for match in ROW.finditer(section)}


def _shown(value: object) -> str:
    if value in (None, ()):
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
