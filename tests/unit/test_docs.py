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
DERIVED |= {"authority", "certificate", "certificate_key", "gossip_keys", "gossip_label"}


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


KNOWN_ANOMALIES = {
    "a removed element comes back",
    "an element vanishes although nobody removed it",
    "replicas differ for ever although all they know is equal",
    "the result depends on the order of arrival after a key was removed and made anew",
    "a counter survives the removal of its key with its old value",
    "a value put in place of another is merged with it",
    "concurrent add and removal of an element",
    "removal of a key while somebody updates it",
    "the later write loses",
    "a stamp from the future freezes a register",
    "increments are lost after a restart",
    "what a departed node counted is counted twice",
    "data of a departed node comes back",
    "a deleted key comes back",
    "an expired entry comes back",
    "a bounded counter gets stuck",
    "two types under one key",
    "an update counts twice",
    "an update is done twice by a retry",
    "a change of several keys is seen in part",
    "a value of an unknown type is lost",
}


def test_every_known_anomaly_has_an_answer_and_tests_that_exist() -> None:
    rows = [line.strip("| ").split(" | ") for line in (DOCS / "guide" / "anomalies.md").read_text().splitlines()]
    answers = {row[0]: row for row in rows if len(row) == 4 and row[0] != "anomaly"}
    tests = {
        "types": ROOT / "tests" / "unit" / "crdtmesh" / "crdts",
        "replication": ROOT / "tests" / "unit" / "crdtmesh" / "replication",
    }
    found = {layer: "".join(path.read_text() for path in folder.glob("test_*.py")) for layer, folder in tests.items()}

    assert KNOWN_ANOMALIES == answers.keys()
    for anomaly, _, layers, answer in answers.values():
        named = re.findall(r"`(test_\w+)`", answer)
        where = [{layer for layer, text in found.items() if f"def {name}(" in text} for name in named]
        assert all(where), anomaly
        assert set(layers.split(" and ")) == set().union(*where), anomaly


def test_the_code_of_the_guide_to_the_library_runs() -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (DOCS / "guide" / "library.md").read_text(), re.MULTILINE | re.DOTALL
    )
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)

    assert len(blocks) == 4
    names["test_basket"]()  # type: ignore[operator]  # a function


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
