import json
from pathlib import Path

from tests.hosts.results import Results, commit
from tests.hosts.table import HEAD, table, times, totals
from tests.hosts.trial import Verdict


def verdict(cell: str, *broken: str) -> Verdict:
    network = {"seen": 1_000, "delivered": 990, "lost": 6, "cut": 4, "delayed": 12}
    return Verdict(
        cell=cell, seed=1, means="namespaces", victim="h2", befell="SIGKILL", network=network, calls=1_234,
        acknowledged=1_000, unknown=3, deaths=2, false_deaths=2, converged_s=0.5, members_s=0.1, broken=broken,
    )  # fmt: skip


def test_cells_that_passed_at_this_commit_are_not_run_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "r")
    results.add(verdict("3-clean-none"))
    results.add(verdict("3-loss-none", "no_lost_update: x"))
    with (tmp_path / "r").open("a") as lines:
        lines.write(json.dumps({"commit": "another", "cell": "3-wan-none", "broken": []}) + '\n{"cut off')

    assert {"3-clean-none"} == results.passed()
    assert ["3-clean-none", "3-loss-none", "3-wan-none"] == [result["cell"] for result in results.read()]
    assert commit() == results.read()[0]["commit"]


def test_the_last_result_of_a_cell_counts(tmp_path: Path) -> None:
    results = Results(tmp_path / "r")
    results.add(verdict("3-clean-none", "no_lost_update: x"))
    results.add(verdict("3-clean-none"))

    assert {"3-clean-none"} == results.passed()


def test_the_table_has_a_row_for_each_cell_and_names_what_failed() -> None:
    head, rule, good, bad = table([verdict("a").to_json(), verdict("b", "lost: x").to_json()]).splitlines()

    assert [head, rule] == HEAD.splitlines()
    assert "| a | 1,000 | 10 | 12, 0, 0, 0 | h2: SIGKILL | 1,234 | 1,000 | 3 | 0 | 0.5 | 0.1 |" == good
    assert bad.startswith("| b **failed**: lost: x |")


def test_the_times_are_median_and_maximum_over_the_sizes() -> None:
    results = [
        {"cell": f"{size}-wan-kill", "converged_s": time_s}
        for size, time_s in ((3, 0.5), (5, 1.0), (9, 4.25), (7, None))
    ]
    rows = times(results).splitlines()

    assert "|  | none | kill | pause | diskfull | syncerror |" == rows[0]
    assert "| wan |  | 1.00, 4.25 |  |  |  |" == rows[3]


def test_the_totals_name_what_was_run_and_what_it_gave() -> None:
    results = [{"commit": "abc", **verdict(*words).to_json()} for words in (("3-wan-kill",), ("5-wan-kill", "lost: x"))]

    assert (
        "Commit abc, seed 1, hosts by namespaces: 2 cells, 1 failed; 2,000 frames, 20 of them not delivered; "
        "2,468 calls, 2,000 updates acknowledged, 6 unknown, lost 0; "
        "4 false deaths in 2 cells in which every host ran and could be reached."
    ) == totals(results)
