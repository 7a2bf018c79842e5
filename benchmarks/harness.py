"""How a benchmark runs: all sides in alternation, round after round, under the same placement.

A round runs every side once (A B, or A B C with two bases), so that the sides of a ratio are seconds apart on a machine
whose speed wanders by a quarter. The first round is a warm-up and is not counted. Nothing is subtracted or kept between
runs. Progress goes to standard error, results are values.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.load import ACTORS, Job
from benchmarks.measures import Line, Sample, compare
from benchmarks.processes import Children, Server, place

PAIRS_MIN: Final = 5
"""Fewer pairs than this are a check that a benchmark runs, not a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says.

    Attributes:
        pairs: counted rounds; at least 1, and PAIRS_MIN for a result that may be quoted.
        seconds: length of one sample, in seconds.
        cases: names of the cases to run; empty for all.
        keys: how many the benchmark `scale` has.
        scratch_parent: where data directories are made; must be on the disk whose syncs are to be measured.
    """

    pairs: int = PAIRS_MIN
    seconds: float = 2.0
    cases: frozenset[str] = field(default_factory=frozenset)
    keys: int = 1_000_000
    scratch_parent: Path = Path("/var/tmp")

    def __post_init__(self) -> None:
        """Refuses what gives no sample."""
        if self.pairs < 1:
            raise ValueError(f"--pairs of at least 1 expected, got {self.pairs}")
        if not 1_000 <= self.keys <= 10_000_000:
            raise ValueError(f"--keys of 1,000 to 10,000,000 expected, got {self.keys}")
        if not 0 < self.seconds <= 600:
            raise ValueError(f"--seconds above 0 and up to 600 expected, got {self.seconds}")

    def wants(self, case: str) -> bool:
        """Whether `case` was asked for."""
        return not self.cases or case in self.cases


Measure = Callable[[], Sample]


def alternate(sides: Mapping[str, Measure], *, pairs: int, label: str) -> dict[str, list[Sample]]:
    """Samples of every side, in order of the rounds: `pairs` of them after one round that is not counted."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(pairs + 1):
        for name, measure in sides.items():
            sample = measure()
            if number:
                samples[name].append(sample)
            progress(f"{label}: {f'round {number}/{pairs}' if number else 'warm-up'}: {name} {sample.rate:,.4g}")
    return samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a comparison: a client's command, and the servers that it calls.

    Attributes:
        command: module and arguments for `python -m`; the job is appended.
        servers: the processes of this side.
        address: what the client calls; None takes the first server's.
        case: what the client is to do; see `Job.case`.
        concurrency: operations in flight on this side; None for those of the comparison.
    """

    command: Sequence[str]
    servers: Sequence[Server] = ()
    address: str | None = None
    case: str = ""
    concurrency: int | None = None


def compare_sides(
    children: Children,
    options: Options,
    *,
    bench: str,
    case: str,
    bases: Mapping[str, Side],
    subject: tuple[str, Side],
    concurrency: int = 1,
    actors: int = ACTORS,
) -> Iterator[Line]:
    """One line for every base: the subject and all bases alternated, under the same placement."""
    cpus = cpus_for(concurrency)
    sides = {**bases, subject[0]: subject[1]}
    for side in sides.values():
        place([server.pid for server in side.servers], cpus)

    def measure(side: Side) -> Measure:
        address = side.address or (side.servers[0].address if side.servers else "")
        job = Job(
            address=address,
            concurrency=side.concurrency or concurrency,
            seconds=options.seconds,
            actors=actors,
            case=side.case,
            server_pids=tuple(server.pid for server in side.servers),
            cpus=cpus,
        )
        return lambda: children.client(side.command, job)

    label = f"{bench} {case} {concurrency} in flight"
    samples = alternate({name: measure(side) for name, side in sides.items()}, pairs=options.pairs, label=label)
    for name in bases:
        yield compare(
            bench=bench,
            case=case,
            concurrency=concurrency,
            base=(name, samples[name]),
            subject=(subject[0], samples[subject[0]]),
        )


def cpus_for(concurrency: int) -> tuple[int, ...]:
    """The processors that all processes of all sides stay on.

    One call at a time leaves all processes but one waiting, and what is measured is mostly the waking: 130 to 170 µs on
    another core, 8 µs on the same one, by the scheduler's whim. So one in flight is measured on one core, all sides.
    """
    available = sorted(os.sched_getaffinity(0))
    return tuple(available[:1] if concurrency == 1 else available)


def progress(text: str) -> None:
    """A line for whoever waits."""
    print(text, file=sys.stderr, flush=True)
