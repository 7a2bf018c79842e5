"""Results in a file: ranges in pieces, and on several machines."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from simulations.results import Origin, ResultFile, ResultsError, merge, origin, read_results
from simulations.run import RunOptions, RunResult

HERE = Origin(commit="c0ffee", sources="5", is_clean=True, options=RunOptions())


def result(seed: int) -> RunResult:
    return RunResult(seed=seed, trace_hash=str(seed), faults=Counter(crash=seed), failures=["no"] if seed == 3 else [])


def test_file_gives_back_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    first = ResultFile(path, HERE)
    first.add(result(1))
    first.add(result(3))
    assert {1: result(1), 3: result(3)} == ResultFile(path, HERE).done
    assert (HERE, [result(1), result(3)]) == read_results(path)


def test_line_cut_short_by_a_kill_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    kept = ResultFile(path, HERE)
    kept.add(result(1))
    kept.add(result(2))
    path.write_text(path.read_text()[:-9])
    again = ResultFile(path, HERE)
    assert {1} == again.done.keys()
    again.add(result(2))
    assert {1, 2} == ResultFile(path, HERE).done.keys()


def test_results_of_other_code_or_options_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    ResultFile(path, HERE)
    with pytest.raises(ResultsError, match="other code"):
        ResultFile(path, replace(HERE, sources="6"))
    with pytest.raises(ResultsError, match="holds results of"):
        ResultFile(path, replace(HERE, options=RunOptions(seconds=1)))


def test_results_of_a_commit_that_changes_other_files_go_on(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    ResultFile(path, HERE).add(result(1))
    assert {1} == ResultFile(path, replace(HERE, commit="later")).done.keys()


@pytest.mark.parametrize("text", ["x\n", "{}\n", '{"version": 1, "seed": 3}\n', "\n"])
def test_other_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(ResultsError, match="no file of results"):
        ResultFile(path, HERE)
    assert text == path.read_text()


def test_files_of_several_machines_are_merged_each_seed_once(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, seeds in zip(paths, [(3, 1), (2, 3)], strict=True):
        kept = ResultFile(path, HERE)
        for seed in seeds:
            kept.add(result(seed))
    assert (HERE, [result(1), result(2), result(3)]) == merge(paths)


def test_files_of_different_code_are_not_merged(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    ResultFile(paths[0], HERE)
    ResultFile(paths[1], replace(HERE, sources="6"))
    with pytest.raises(ResultsError, match="other code"):
        merge(paths)
    with pytest.raises(ResultsError, match="no file"):
        merge([])


def test_origin_of_this_code_is_the_same_twice() -> None:
    assert origin(RunOptions()) == origin(RunOptions())
    assert 32 == len(origin(RunOptions()).sources)
