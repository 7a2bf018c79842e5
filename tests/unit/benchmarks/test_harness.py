"""The order of rounds, what is counted, and where processes stay."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.harness import Options, alternate, cpus_for
from benchmarks.load import Job, payload, verify
from benchmarks.measures import Sample


def test_sides_alternate_and_the_warm_up_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    rates = itertools.count(1)

    def side(name: str) -> Sample:
        order.append(name)
        return Sample(rate=float(next(rates)))

    samples = alternate({"A": lambda: side("A"), "B": lambda: side("B")}, pairs=2, label="x")

    assert ["A", "B", "A", "B", "A", "B"] == order
    assert [3.0, 5.0] == [sample.rate for sample in samples["A"]]
    assert [4.0, 6.0] == [sample.rate for sample in samples["B"]]
    output = capsys.readouterr()
    assert output.out == ""
    assert "x: warm-up: A" in output.err
    assert "x: round 2/2: B" in output.err


def test_one_in_flight_stays_on_one_core() -> None:
    assert 1 == len(cpus_for(1))
    assert set(cpus_for(1)) <= set(cpus_for(64))


def test_job_survives_the_way_to_the_client() -> None:
    job = Job(address="127.0.0.1:1", concurrency=64, seconds=0.5, case="echo", server_pids=(1, 2), cpus=(0,))
    assert job == Job.from_json(job.to_json())


def test_payloads_differ_and_have_one_size() -> None:
    assert {70} == {len(payload(number)) for number in (0, 1, 10**12)}
    assert payload(1) != payload(2)


def test_a_wrong_reply_stops_the_run() -> None:
    verify(b"1", b"1")
    with pytest.raises(AssertionError, match=r"b'1' expected, got b'2'"):
        verify(b"1", b"2")


def test_options_want_every_case_unless_some_are_named() -> None:
    assert Options().wants("echo")
    assert not Options(cases=frozenset({"load"})).wants("echo")


@pytest.mark.parametrize("values", [{"pairs": 0}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_options_that_give_no_sample_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Options(**values)  # type: ignore[arg-type]
