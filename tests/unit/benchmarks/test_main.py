"""The command line of the benchmarks."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import BENCHMARKS, load, main


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert 2 == stopped.value.code
    return capsys.readouterr().err


def test_unknown_benchmark_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no benchmark 'local_cal'; did you mean 'local_call'?" in refusal(["local_cal"], capsys)


def test_unknown_case_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no case 'aply' in crdt_apply; did you mean 'apply'?" in refusal(["crdt_apply", "--case", "aply"], capsys)


def test_case_of_another_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no case 'apply' in durable_writes" in refusal(["durable_writes", "--case", "apply"], capsys)


def test_no_pairs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--pairs of at least 1 expected, got 0" in refusal(["links", "--pairs", "0"], capsys)


def test_list_names_every_benchmark_and_its_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["list"])
    output = capsys.readouterr().out
    for name in BENCHMARKS:
        assert name in output
        assert ", ".join(load(name).CASES) in output


@pytest.mark.parametrize("name", BENCHMARKS)
def test_cases_of_a_benchmark_are_distinct(name: str) -> None:
    cases = load(name).CASES
    assert cases
    assert len(cases) == len(set(cases))
