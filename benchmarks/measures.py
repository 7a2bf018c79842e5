"""What a benchmark measures and prints: samples, ratios of alternated pairs, and the JSON line of a comparison.

Pure values; nothing here starts a process. A *sample* is one run of one side, a *round* one run of every side.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one side.

    Attributes:
        rate: operations per second; for a case named `..._bytes`, bytes per operation instead.
        server_cpu: CPU of the serving processes, their children included, in percent of one core; None when the work
            has no server.
        cpu_us: CPU of an operation in microseconds, of all processes of the side, client included. It holds on a
            machine that others load, where rates show what they left; None when the work has no server.
        p50_ms: median latency of an operation; None when operations are not timed one by one. Likewise `p99_ms`.
    """

    rate: float
    server_cpu: float | None = None
    cpu_us: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None

    def __post_init__(self) -> None:
        """Refuses a rate that no ratio can be made of."""
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate > 0 expected, got {self.rate}")

    def to_json(self) -> str:
        """The line by which a client process reports to the harness."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Sample:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Ratio:
    """Subject over base, round by round.

    The two sides of one round ran next to each other, so a machine that slows down for a while moves both: the median
    over rounds holds where the rates themselves wander.
    """

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, base: Sequence[Sample], subject: Sequence[Sample]) -> Ratio:
        """The ratio of samples paired by round.

        Raises:
            ValueError: the sides have different numbers of rounds, or none.
        """
        if not base or len(base) != len(subject):
            raise ValueError(f"as many base as subject samples expected, got {len(base)} and {len(subject)}")
        ratios = [ours.rate / theirs.rate for theirs, ours in zip(base, subject, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the answer; a field that a case does not have is null.

    Attributes:
        bench: name of the benchmark.
        case: what is done.
        base: name of the base; None when there is nothing to compare with.
        subject: name of what is measured.
        concurrency: operations in flight.
        ratio: subject over base.
        base_rate: median rate of the base; see `Sample.rate`. Likewise `subject_rate`.
        server_cpu: of the subject; see `Sample.server_cpu`. Likewise `p50_ms` and `p99_ms`, medians over the rounds.
        python: version of the interpreter.
        cores: processors of the machine.
        base_cpu_us: median of the base; see `Sample.cpu_us`. Likewise `subject_cpu_us`.
        unit: of the rates; None for bytes in a case that is named so, and for operations a second in others.
    """

    bench: str
    case: str
    base: str | None
    subject: str
    concurrency: int
    ratio: Ratio | None
    base_rate: float | None
    subject_rate: float | None
    server_cpu: float | None
    p50_ms: float | None
    p99_ms: float | None
    python: str = field(default_factory=platform.python_version)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    base_cpu_us: float | None = None
    subject_cpu_us: float | None = None
    unit: str | None = None

    def to_json(self) -> str:
        """The line as JSON, figures rounded to four significant digits."""
        return json.dumps(_rounded(dataclasses.asdict(self)))

    def to_text(self) -> str:
        """The line for a reader."""
        parts = [f"{self.bench:15} {self.case:26} {self.concurrency:4} in flight"]
        if self.ratio is not None:
            parts.append(f"x{self.ratio.median:.3g} [{self.ratio.min:.3g}, {self.ratio.max:.3g}] of {self.base}")
        if self.subject_rate is not None:
            unit = self.unit or ("bytes" if self.case.endswith("_bytes") else "/s")
            parts.append(f"{self.subject_rate:,.4g} {unit}")
        if self.p50_ms is not None and self.p99_ms is not None:
            parts.append(f"p50 {self.p50_ms:.3g} ms, p99 {self.p99_ms:.3g} ms")
        if self.server_cpu is not None:
            parts.append(f"server CPU {self.server_cpu:.0f} %")
        if self.base_cpu_us and self.subject_cpu_us:
            ratio = self.base_cpu_us / self.subject_cpu_us
            parts.append(f"CPU {self.subject_cpu_us:.3g} us, {self.base_cpu_us:.3g} us of the base: x{ratio:.3g}")
        elif self.subject_cpu_us:
            parts.append(f"CPU {self.subject_cpu_us:.3g} us")
        return "  ".join(parts)


def compare(
    *,
    bench: str,
    case: str,
    concurrency: int,
    base: tuple[str, Sequence[Sample]],
    subject: tuple[str, Sequence[Sample]],
) -> Line:
    """The line of one base and one subject, each a name and its samples in order of the rounds.

    Raises:
        ValueError: the sides have different numbers of rounds, or none.
    """
    ours = subject[1]
    return Line(
        bench=bench,
        case=case,
        base=base[0],
        subject=subject[0],
        concurrency=concurrency,
        ratio=Ratio.of(base[1], ours),
        base_rate=median_of([sample.rate for sample in base[1]]),
        subject_rate=median_of([sample.rate for sample in ours]),
        base_cpu_us=median_of([sample.cpu_us for sample in base[1]]),
        subject_cpu_us=median_of([sample.cpu_us for sample in ours]),
        server_cpu=median_of([sample.server_cpu for sample in ours]),
        p50_ms=median_of([sample.p50_ms for sample in ours]),
        p99_ms=median_of([sample.p99_ms for sample in ours]),
    )


def median_of(values: Sequence[float | None]) -> float | None:
    """The median of the values that are there; None when none is."""
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of an ascending, non-empty sequence lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
