"""`make proto` gives no difference: the committed code is what the sources say."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "crdtmesh" / "wire" / "gen"


def test_generated_code_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.delitem(sys.modules, "generate_proto", raising=False)
    from generate_proto import generate  # type: ignore[import-not-found, unused-ignore]

    generate(tmp_path / "gen")

    committed, fresh = _texts(COMMITTED), _texts(tmp_path / "gen")
    assert sorted(committed) == sorted(fresh)
    assert [] == [name for name, text in fresh.items() if committed[name] != text]


def _texts(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.suffix in {".py", ".pyi"}]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}
