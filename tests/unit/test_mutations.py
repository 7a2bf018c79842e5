"""The planted faults fit the code, and one of them is caught for real; all of them by `python -m tests.mutations`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.mutations.__main__ import digest, load, main, verdict
from tests.mutations.faults import CRDTS, Fault


@pytest.mark.parametrize("fault", CRDTS, ids=lambda fault: fault.name)
def test_fault_fits_the_code_once_and_changes_it(fault: Fault) -> None:
    spec = importlib.util.find_spec(fault.module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    assert 1 == source.count(fault.right)
    compile(source.replace(fault.right, fault.wrong), spec.origin, "exec")
    assert fault.right != fault.wrong


def test_a_fault_is_caught_and_one_that_fits_nowhere_is_not_counted() -> None:
    assert "caught" == verdict(next(fault for fault in CRDTS if fault.name == "remove drops context"))
    assert "misfit" == verdict(Fault("unknown", "crdtmesh.crdts.set_aw", "right", "wrong"))


def test_verdicts_are_kept_and_not_asked_for_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "verdicts"
    name = "merge takes min"
    kept.write_text(
        "".join(
            json.dumps({"fault": fault, "verdict": found, "code": code}) + "\n"
            for fault, found, code in ((name, "missed", digest()), ("merge", "caught", "of another day"))
        )
    )
    assert {name: "missed"} == load(kept)
    assert 1 == main(["crdts", "--json", "--only", name, "--resume", str(kept)])
    assert {"planted": 1, "caught": 0} == json.loads(capsys.readouterr().out)
    assert {} == load(None) == load(tmp_path / "nothing")
