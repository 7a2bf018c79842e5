"""Results as lines of JSON, one for each cell, so that a run that was cut goes on where it stopped."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.hosts.trial import Verdict


@functools.cache
def commit() -> str:
    """What is checked out, with a plus if files differ from it; "unknown" outside a repository."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


class Results:
    """A file of them, or none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> list[dict[str, Any]]:
        """All lines, the last of each cell; a line that was cut off is passed over."""
        if self._path is None or not self._path.exists():
            return []
        found: dict[str, dict[str, Any]] = {}
        for line in self._path.read_text().splitlines():
            try:
                result = json.loads(line)
            except json.JSONDecodeError:
                continue
            found[result["cell"]] = result
        return list(found.values())

    def passed(self) -> set[str]:
        """Cells that need not be run again."""
        return {result["cell"] for result in self.read() if result["commit"] == commit() and not result["broken"]}

    def add(self, verdict: Verdict) -> None:
        """One more."""
        if self._path is not None:
            with self._path.open("a") as lines:
                lines.write(json.dumps({"commit": commit(), **verdict.to_json()}) + "\n")
