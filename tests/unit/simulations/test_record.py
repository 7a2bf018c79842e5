"""The page that the README quotes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simulations import record
from simulations.record import Incomplete, as_markdown, bound, in_readme, readme_row, record_command, record_of
from simulations.report import Report
from simulations.results import Origin, ResultFile
from simulations.run import RunOptions, RunResult
from simulations.scheduler import SECOND_NS

ORIGIN = Origin(commit="c0ffee" * 6, sources="5", is_clean=True, options=RunOptions())
SEEDS = range(1, 5)
LOST = [
    "no_lost_update: call 12 was acknowledged by n1 and is missing on n2: GSet-0 add",
    "no_lost_update: call 12 was acknowledged by n1 and is missing on n3: GSet-0 add",
    "convergence: n1 and n2 hold different bytes",
]


def result(seed: int, failures: list[str] | None = None) -> RunResult:
    return RunResult(
        seed=seed,
        failures=failures or [],
        trace_hash=str(seed),
        virtual_ns=1800 * SECOND_NS,
        faults=Counter(crash=1000),
        outcomes=Counter(ok=500, failed=20, unknown=3),
        converged_ns=seed * SECOND_NS,
        is_repeated=seed == 2,
    )


def record_with(*failures: str, seeds: range = SEEDS) -> dict[str, Any]:
    report = Report(RunOptions())
    for seed in seeds:
        report.add(result(seed, list(failures) if seed == 3 else None))
    return record_of(seeds, ORIGIN, report)


def test_page_names_the_commit_the_range_and_every_figure() -> None:
    page = as_markdown(record_with())
    for text in (
        ORIGIN.commit,
        "record --seeds 1:4`",
        "| seeds | 1 to 4: 4 |",
        "| runs that broke a promise | 0 |",
        "| virtual time | 2.0 hours |",
        "| calls acknowledged | 2,000 |",
        "| of these, lost although their disks survived | 0 |",
        "| calls with unknown outcome | 12 |",
        "| convergence after the heal, p50 | 3.0 s |",
        "| convergence after the heal, p99 | 4.0 s |",
        "| seeds run again in a process with another hash seed | 1 |",
        "| `crash` | 4,000 |",
        "| `bit_flip` | 0 |",
    ):
        assert text in page


def test_runs_without_a_failure_bound_the_rate_of_this_fault_mix() -> None:
    text = bound(record_with(seeds=range(1, 2001)))
    assert "2,000 independent runs without a failure" in text
    assert "this fault mix by 3/2,000, that is 0.15 %, with 95 % confidence" in text
    assert "at most 0.15 % of the runs of this fault mix" in readme_row(record_with(seeds=range(1, 2001)))
    assert "no statement about faults that are not drawn" in text


def test_failures_are_told_and_nothing_is_bounded() -> None:
    failed = record_with(*LOST)
    assert (1, 1) == (failed["failures"], failed["lost"])
    assert "1 of 4 runs failed" in bound(failed)
    assert "at most" not in readme_row(failed)
    assert "Failed: `python -m simulations run --seeds 3:3 --trace`" in as_markdown(failed)


def test_record_of_a_part_or_of_code_that_is_not_committed_is_refused() -> None:
    report = Report(RunOptions())
    report.add(result(1))
    with pytest.raises(Incomplete, match="1 of 4 seeds"):
        record_of(SEEDS, ORIGIN, report)
    dirty = Origin(commit="c", sources="5", is_clean=False, options=RunOptions())
    with pytest.raises(Incomplete, match="not what is committed"):
        record_of(range(1, 2), dirty, report)


def test_row_of_the_readme_is_put_in_once_and_replaced_later() -> None:
    text = "| promise | shown by |\n| The same seed gives the same simulated run | x |\n\nend\n"
    once = in_readme(text, record_with())
    assert once == text.replace("x |\n", f"x |\n{readme_row(record_with())}\n")
    later = in_readme(once, record_with(*LOST))
    assert later == once.replace(readme_row(record_with()), readme_row(record_with(*LOST)))
    with pytest.raises(Incomplete, match="no row"):
        in_readme("nothing", record_with())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("| The same seed gives the same simulated run | x |\n")
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.setattr(record, "origin", lambda options: ORIGIN)
    return tmp_path


def test_range_in_pieces_ends_in_the_page(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def run_seeds(seeds: list[int], *_: object, **__: object) -> Any:
        for seed in seeds:
            if len(runs) == 2:
                runs.append(0)
                raise KeyboardInterrupt
            runs.append(seed)
            yield result(seed)

    monkeypatch.setattr(record, "run_seeds", run_seeds)
    arguments = ["--seeds", "1:4", "--jobs", "1", "--state", str(root / "state.jsonl")]
    first = CliRunner().invoke(record_command, arguments)
    assert (3, False) == (first.exit_code, (root / "docs" / "record.md").exists())
    assert "2 of 4 seeds are done" in first.output
    second = CliRunner().invoke(record_command, arguments)
    assert (0, [1, 2, 0, 3, 4]) == (second.exit_code, runs), second.output
    kept = json.loads((root / "docs" / "record.json").read_text())
    assert record_with() == kept
    assert as_markdown(kept) == (root / "docs" / "record.md").read_text()
    assert readme_row(kept) in (root / "README.md").read_text()


def test_files_of_other_machines_end_in_the_same_page(root: Path) -> None:
    for name, seeds in (("a", (1, 2)), ("b", (3, 4, 5))):
        file = ResultFile(root / name, ORIGIN)
        for seed in seeds:
            file.add(result(seed))
    merged = ["--merge", str(root / "a"), "--merge", str(root / "b")]
    outcome = CliRunner().invoke(record_command, ["--seeds", "1:4", *merged])
    assert 0 == outcome.exit_code, outcome.output
    assert record_with() == json.loads((root / "docs" / "record.json").read_text())


ROOT = Path(__file__).parents[3]


def test_committed_page_and_readme_say_what_the_committed_json_says() -> None:
    kept = json.loads((ROOT / "docs" / "record.json").read_text())
    assert as_markdown(kept) == (ROOT / "docs" / "record.md").read_text()
    assert readme_row(kept) in (ROOT / "README.md").read_text().splitlines()
