"""Results of finished seeds in a file, so that a range can be run in pieces, and on several machines.

JSON lines: the first is about the code and the options, every other is one `RunResult`. A line is written as soon as
its run has ended; one that was cut short, by a kill, is run again. Seeds of other code or of other options are other
runs, so such a file is refused.
"""

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from simulations.run import RunOptions, RunResult

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ("crdtmesh", "gossip", "simulations")
"""Folders whose code decides what a seed does."""


class ResultsError(ValueError):
    """A file of results can't be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What results are true of.

    Attributes:
        commit: of the working copy; empty outside of one.
        sources: digest of all code that decides what a seed does; commits that change other files share it.
        is_clean: whether that code is what was committed.
        options: of the runs.
    """

    commit: str
    sources: str
    is_clean: bool
    options: RunOptions


def origin(options: RunOptions) -> Origin:
    """What results of now would be true of."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(data)}\n".encode())
        digest.update(data)
    commit = _git("rev-parse", "HEAD")
    is_clean = bool(commit) and not _git("status", "--porcelain", "--", *SOURCES)
    return Origin(commit=commit, sources=digest.hexdigest(), is_clean=is_clean, options=options)


class ResultFile:
    """A file of results under way.

    Attributes:
        done: what it holds, by seed.
    """

    def __init__(self, path: Path, expected: Origin) -> None:
        """Opens a file, or begins one.

        Raises:
            ResultsError: it is no such file, or its results are of other code or other options.
        """
        self.done: dict[int, RunResult] = {}
        self._path = path
        if path.exists() and path.stat().st_size:
            found, results = read_results(path)
            _refuse_others(path, found, expected)
            self.done = {result.seed: result for result in results}
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(expected)) + "\n", encoding="utf-8")

    def add(self, result: RunResult) -> None:
        """Keeps a result."""
        self.done[result.seed] = result
        with self._path.open("a", encoding="utf-8") as file:
            # Not `asdict`, which makes nonsense of counters.
            file.write(json.dumps({item.name: getattr(result, item.name) for item in fields(result)}) + "\n")


def read_results(path: Path) -> tuple[Origin, list[RunResult]]:
    """Reads a file of results, and cuts off a last line that was not finished.

    Raises:
        ResultsError: it is no such file.
    """
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    try:
        head, *lines = [json.loads(line) for line in whole.splitlines()]
        head["options"] = RunOptions(**head["options"])
        return Origin(**head), [_result(line) for line in lines]
    except (ValueError, TypeError, KeyError) as error:
        raise ResultsError(f"{path} is no file of results of this version: {error}; name another") from None


def merge(paths: Iterable[Path]) -> tuple[Origin, list[RunResult]]:
    """The results of several files of the same code and options, each seed once.

    Raises:
        ResultsError: they are of different code or options, or there is none.
    """
    first: Origin | None = None
    merged: dict[int, RunResult] = {}
    for path in paths:
        found, results = read_results(path)
        first = first or found
        _refuse_others(path, found, first)
        merged |= {result.seed: result for result in results}
    if first is None:
        raise ResultsError("no file of results was named")
    return first, [merged[seed] for seed in sorted(merged)]


# --- inside


def _refuse_others(path: Path, found: Origin, expected: Origin) -> None:
    if found.sources != expected.sources:
        raise ResultsError(
            f"{path} holds results of other code (commit {found.commit[:12] or 'unknown'}, "
            f"now {expected.commit[:12] or 'unknown'}); name another file, or go back to that commit"
        )
    if found.options != expected.options:
        raise ResultsError(f"{path} holds results of {found.options}, not of {expected.options}; name another file")


def _result(line: dict[str, Any]) -> RunResult:
    counters = {name: Counter(value) for name, value in line.items() if isinstance(value, dict)}
    return RunResult(**(line | counters))


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603,S607
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
