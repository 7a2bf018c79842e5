"""Statistics of alternated samples, and the line that a benchmark prints."""

from __future__ import annotations

import dataclasses
import json

import pytest

from benchmarks.measures import Line, Ratio, Sample, compare, median_of, percentile

FIELDS = [
    "bench",
    "case",
    "base",
    "subject",
    "concurrency",
    "ratio",
    "base_rate",
    "subject_rate",
    "server_cpu",
    "p50_ms",
    "p99_ms",
    "python",
    "cores",
    "base_cpu_us",
    "subject_cpu_us",
    "unit",
]


def samples(*rates: float) -> list[Sample]:
    return [Sample(rate=rate, server_cpu=10.0, p50_ms=1.0, p99_ms=2.0) for rate in rates]


def test_ratio_is_taken_within_rounds_not_between_medians() -> None:
    # The machine became ten times slower in the second round; within each round the subject was twice as fast.
    ratio = Ratio.of(samples(1000, 100, 500), samples(2000, 200, 1000))
    assert Ratio(2.0, 2.0, 2.0) == ratio


def test_ratio_reports_median_and_both_ends() -> None:
    assert Ratio(2.0, 1.0, 8.0) == Ratio.of(samples(1, 1, 1, 1, 1), samples(8, 2, 1, 3, 2))


@pytest.mark.parametrize(("base", "subject"), [((), ()), ((1.0,), (1.0, 2.0))])
def test_sides_of_different_lengths_have_no_ratio(base: tuple[float, ...], subject: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="as many base as subject samples"):
        Ratio.of(samples(*base), samples(*subject))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_sample_refuses_a_rate_that_no_ratio_can_be_made_of(rate: float) -> None:
    with pytest.raises(ValueError, match="rate > 0"):
        Sample(rate=rate)


def test_sample_survives_the_way_from_client_to_harness() -> None:
    sample = Sample(rate=12.5, server_cpu=None, p50_ms=0.25, p99_ms=None)
    assert sample == Sample.from_json(sample.to_json())


def test_line_has_exactly_the_documented_fields_in_order() -> None:
    line = compare(bench="b", case="c", concurrency=64, base=("x", samples(1, 2)), subject=("y", samples(3, 4)))
    fields = json.loads(line.to_json())
    assert list(fields) == FIELDS
    assert ["median", "min", "max"] == list(fields["ratio"])


def test_line_is_one_line_of_rounded_figures() -> None:
    line = compare(bench="b", case="c", concurrency=1, base=("x", samples(3.0)), subject=("y", samples(10.0)))
    text = line.to_json()
    assert "\n" not in text
    fields = json.loads(text)
    assert {"median": 3.333, "min": 3.333, "max": 3.333} == fields["ratio"]
    assert (3.0, 10.0, 10.0) == (fields["base_rate"], fields["subject_rate"], fields["server_cpu"])


def test_processor_time_of_an_operation_is_shown_for_both_sides() -> None:
    base, subject = [Sample(rate=1.0, cpu_us=600.0)], [Sample(rate=1.0, cpu_us=30.0)]
    line = compare(bench="b", case="c", concurrency=64, base=("x", base), subject=("y", subject))
    fields = json.loads(line.to_json())
    assert (600.0, 30.0) == (fields["base_cpu_us"], fields["subject_cpu_us"])
    assert "CPU 30 us, 600 us of the base: x20" in line.to_text()


def test_line_without_base_says_null() -> None:
    line = Line(
        bench="convergence",
        case="write",
        base=None,
        subject="three nodes",
        concurrency=1,
        ratio=None,
        base_rate=None,
        subject_rate=None,
        server_cpu=None,
        p50_ms=12.0,
        p99_ms=40.0,
    )
    fields = json.loads(line.to_json())
    assert list(fields) == FIELDS
    assert fields["ratio"] is None
    assert fields["base"] is None
    assert "p50 12 ms, p99 40 ms" in line.to_text()


def test_text_calls_bytes_bytes() -> None:
    line = compare(bench="b", case="delta_bytes", concurrency=1, base=("x", samples(30)), subject=("y", samples(24)))
    assert "24 bytes" in line.to_text()
    assert "x0.8 " in line.to_text()


def test_text_names_the_unit_that_a_line_gives() -> None:
    line = compare(bench="b", case="spread", concurrency=1, base=("x", samples(1.2)), subject=("y", samples(1.1)))
    assert "1.1 of an even share" in dataclasses.replace(line, unit="of an even share").to_text()


def test_median_ignores_what_is_missing() -> None:
    assert 2.0 == median_of([None, 1.0, 3.0])
    assert median_of([None, None]) is None


def test_percentile_of_a_short_run_is_one_of_its_values() -> None:
    assert 5.0 == percentile([5.0], 0.99)
    assert 99 == percentile(range(100), 0.99)
    assert 50 == percentile(range(100), 0.5)
