"""The planted faults fit the code, and one of them is caught for real; all of them by `python -m tests.mutations`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.mutations.__main__ import verdict
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
