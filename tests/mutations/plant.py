"""`python -m tests.mutations.plant NAME`: runs the tests of the data types that a fault concerns, with it in place.

The fault is put into the module's source on its way through the import system; no file is changed. Exit status 0: the
tests did not notice; 4: they did; anything else: the fault no longer fits the code.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import resource
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

import pytest

from tests.mutations.faults import CRDTS, Fault

TESTS = (
    "tests/unit/crdtmesh/crdts",
    "tests/property/test_crdt_specifications.py",
    "tests/property/test_crdt_nested.py",
    "tests/property/test_crdt_laws.py",
    "tests/property/test_crdts_codec.py",
)
MISFIT = 3
CAUGHT = 4
CPU_S = 300
"""The tests of all types without a fault take about a minute of one core."""

TYPES = {
    "dot_funs": ("MaxRegister", "Vote"),
    "mixed_maps": ("ORMap",),
    "nested": ("ORMap", "PNCounterMap"),
    "json_codec": ("JsonDocument",),
    "json_edits": ("JsonDocument",),
    "json_tree": ("JsonDocument",),
    "positions": ("JsonDocument",),
    "sealed": ("ORMap",),
    "text_updates": ("Text",),
}
"""Whose tests a fault is shown to, for modules that are of no one type; those of `SHARED` for what is not here."""
SHARED = ("LWWRegister", "ORSet", "PNCounter")


class _Selection:
    """Leaves out the tests of types that the fault does not concern."""

    def __init__(self, types: Sequence[str]) -> None:
        self._types = types

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keeps tests that are about no single type, and those about one of the chosen."""
        items[:] = [item for item in items if self._is_wanted(getattr(item, "callspec", None))]

    def _is_wanted(self, callspec: Any) -> bool:
        name = None if callspec is None else callspec.params.get("name")
        return name not in registry_names() or name in self._types


def registry_names() -> Sequence[str]:
    """The names of all types; imported late, when the fault is in place."""
    from crdtmesh.crdts import registry

    return registry.names()


def _types_of(module: str) -> Sequence[str]:
    """Whose tests a fault in a module is shown to."""
    from crdtmesh.crdts import registry

    of_one_type = [name for name, (where, _) in registry._BUILT_IN.items() if where == module]
    return of_one_type or TYPES.get(module, SHARED)


class _Loader(SourceFileLoader):
    """Compiles a module with a fault in it."""

    def __init__(self, fault: Fault, path: str) -> None:
        super().__init__(fault.module, path)
        self._fault = fault

    def get_code(self, fullname: str) -> CodeType:
        """The code, never from a cache."""
        source = self.get_data(self.path).decode()
        if source.count(self._fault.right) != 1:
            sys.exit(MISFIT)
        return compile(source.replace(self._fault.right, self._fault.wrong), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the module of a fault."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's usual spec with another loader."""
        if fullname != self._fault.module:
            return None
        spec: Any = importlib.machinery.PathFinder.find_spec(fullname, path)
        spec.loader = _Loader(self._fault, spec.origin)
        found: importlib.machinery.ModuleSpec = spec
        return found


def main(name: str) -> int:
    """Plants the fault of that name and runs the tests until the first failure."""
    fault = next(each for each in CRDTS if each.name == name)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    sys.meta_path.insert(0, _Finder(fault))
    os.environ["TESTS_HYPOTHESIS_PROFILE"] = "mutations"
    selection = _Selection(_types_of(fault.module.rpartition(".")[2]))
    status = pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", *TESTS], plugins=[selection])
    return {pytest.ExitCode.OK: 0, pytest.ExitCode.TESTS_FAILED: CAUGHT}.get(pytest.ExitCode(status), MISFIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
