"""The sum of many runs: what is printed, and the one hash that says that two ranges of runs were the same."""

import hashlib
from collections import Counter
from typing import Any, Final

from simulations.marks import MARKS
from simulations.plan import FAULT_KINDS
from simulations.rerun import replay_command
from simulations.run import RunOptions, RunResult
from simulations.scheduler import SECOND_NS
from simulations.tracefile import named_calls

LOST: Final = "no_lost_update:"
"""What a failure begins with that names an acknowledged update which is missing."""
HOUR_NS: Final = 3600 * SECOND_NS


class Report:
    """Adds up results, in whatever order they come.

    Attributes:
        failed: the seeds that broke a promise.
    """

    def __init__(self, options: RunOptions) -> None:
        self.failed: list[int] = []
        self._options = options
        self._hashes: dict[int, str] = {}
        self._virtual_ns = 0
        # A fault that never happened is shown too.
        self._faults: Counter[str] = Counter(dict.fromkeys(FAULT_KINDS, 0))
        self._reached: Counter[str] = Counter(dict.fromkeys(MARKS, 0))
        self._outcomes: Counter[str] = Counter()
        self._reports: Counter[str] = Counter()
        self._converged_ns: list[int] = []
        self._repeated = 0
        self._lost = 0

    @property
    def seeds(self) -> int:
        """How many runs were added."""
        return len(self._hashes)

    @property
    def virtual_hours(self) -> float:
        """Virtual time of all runs together."""
        return self._virtual_ns / HOUR_NS

    @property
    def never_reached(self) -> list[str]:
        """Markers that no seed hit."""
        return [name for name in MARKS if not self._reached[name]]

    @property
    def never_happened(self) -> list[str]:
        """Faults that no seed met."""
        return [kind for kind in FAULT_KINDS if not self._faults[kind]]

    @property
    def is_tame(self) -> bool:
        """Whether a marker or a fault is missing, so that a range without failures says less than it should."""
        return bool(self.never_reached or self.never_happened)

    def add(self, result: RunResult) -> None:
        """Adds one run."""
        self._hashes[result.seed] = result.trace_hash
        self._virtual_ns += result.virtual_ns
        self._repeated += result.is_repeated
        self._lost += len(named_calls(text for text in result.failures if text.startswith(LOST)))
        self._faults.update(result.faults)
        self._reached.update(result.reached)
        self._outcomes.update(result.outcomes)
        self._reports.update(result.reports)
        if result.failures:
            self.failed = sorted([*self.failed, result.seed])
        if result.converged_ns is not None:
            self._converged_ns.append(result.converged_ns)

    def trace_hash(self) -> str:
        """One hash of all runs, whatever the order in which they ended."""
        text = "\n".join(f"{seed} {self._hashes[seed]}" for seed in sorted(self._hashes))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "seeds": self.seeds,
            "failures": len(self.failed),
            "failed_seeds": self.failed,
            "replay": [replay_command(seed, self._options) for seed in self.failed],
            "repeated": self._repeated,
            "virtual_hours": round(self.virtual_hours, 2),
            "acknowledged": self._outcomes["ok"],
            "refused": self._outcomes["failed"],
            "unknown": self._outcomes["unknown"],
            "lost": self._lost,
            "convergence_s": {
                "p50": self._percentile_s(0.5),
                "p99": self._percentile_s(0.99),
                "max": self._percentile_s(1.0),
            },
            "faults": dict(sorted(self._faults.items())),
            "faults_never": self.never_happened,
            "reached": dict(sorted(self._reached.items())),
            "reached_never": self.never_reached,
            "reports": dict(sorted(self._reports.items())),
            "trace_hash": self.trace_hash(),
        }

    def as_text(self) -> str:
        """The same for people."""
        outcomes = self._outcomes
        faults = ", ".join(f"{kind} {count}" for kind, count in sorted(self._faults.items()))
        lines = [
            f"{self.seeds} seeds, {len(self.failed)} failed, {self.virtual_hours:.2f} virtual hours",
            f"calls: {outcomes['ok']} acknowledged, {outcomes['failed']} refused, {outcomes['unknown']} unknown",
            f"acknowledged updates that are lost: {self._lost}",
            f"convergence after the heal: p50 {self._percentile_s(0.5)} s, p99 {self._percentile_s(0.99)} s",
            f"faults: {faults}",
            f"faults that never happened: {', '.join(self.never_happened) or 'none'}",
            f"markers that no seed reached: {', '.join(self.never_reached) or 'none'}",
            f"trace hash {self.trace_hash()}, {self._repeated} seeds also run in another process",
        ]
        if self.seeds and not self.failed:
            lines.append(f"this bounds the rate of failing runs of this fault mix by {3 / self.seeds:.2g} (95 %)")
        return "\n".join([*lines, *(f"replay: {replay_command(seed, self._options)}" for seed in self.failed)])

    def _percentile_s(self, part: float) -> float | None:
        if not self._converged_ns:
            return None
        ordered = sorted(self._converged_ns)
        return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))] / SECOND_NS, 2)
