"""`python -m tests.deep.chunk TYPE SEED`: the laws and the histories of one type, with the draws of a seed."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.deep.__main__ import TESTS


class OneType:
    """Leaves out all tests but those about one type."""

    def __init__(self, name: str) -> None:
        self._name = name

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keeps the tests whose parameter `name` is the type."""
        items[:] = [item for item in items if self._is_about(getattr(item, "callspec", None))]

    def _is_about(self, callspec: Any) -> bool:
        return callspec is not None and callspec.params.get("name") == self._name


def main(name: str, seed: str) -> int:
    """Runs the tests; returns the exit status."""
    arguments = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", *TESTS]
    return int(pytest.main(arguments, plugins=[OneType(name)]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
