"""Is the net fine enough? Plants bugs one at a time, and counts the seeds until a checker catches each.

A bug is tried from several first seeds, so that the count is no accident of one of them: the median is what is printed.
"""

import multiprocessing
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final

from simulations.actors.planted import PLANTED as PLANTED_ACTORS
from simulations.drawing import draw_plan
from simulations.patching import Patch
from simulations.planted import PLANTED, Focus, Planted
from simulations.rerun import elsewhere
from simulations.run import RunResult, execute
from simulations.scenarios import SCENARIOS
from simulations.scheduler import SeedStreams
from simulations.state_planted import PLANTED as PLANTED_STATE

SECONDS: Final = 20.0
NODES: Final = 4
SEEDS_MAX: Final = 40
TRIES: Final = 3
# Tries begin so far apart that they share no seed.
STRIDE: Final = 1000

BUGS: Final = (*PLANTED, *PLANTED_STATE, *PLANTED_ACTORS)
"""All that can be planted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """What became of one planted bug.

    Attributes:
        name: of the bug.
        seeds: how many runs it took, by try; None where it got through.
        failure: what the first catch said.
    """

    name: str
    seeds: tuple[int | None, ...]
    failure: str

    @property
    def median(self) -> float | None:
        """The median number of seeds; None if half of the tries, or more, caught nothing."""
        counts = [SEEDS_MAX * TRIES if count is None else count for count in self.seeds]
        middle = statistics.median(counts)
        return None if middle > SEEDS_MAX else middle


def run_focused(seed: int, focus: Focus) -> RunResult:
    """A short run of a drawn plan, turned towards what a bug is about."""
    plan = draw_plan(seed, SeedStreams(seed), seconds=SECONDS, nodes=NODES)
    return execute(focus(plan))


def catch(planted: Planted, *, first: int = 1, seeds_max: int = SEEDS_MAX) -> tuple[int | None, str]:
    """Plants a bug and runs seeds until one fails: how many it took, and what failed."""
    patch = Patch()
    planted.plant(patch)
    try:
        for count in range(1, seeds_max + 1):
            failures = _failures(first + count - 1, planted)
            if failures:
                return count, failures[0]
    finally:
        patch.undo()
    return None, ""


def try_all(names: Sequence[str] = (), *, tries: int = TRIES, jobs: int = 1) -> Iterator[Catch]:
    """Tries all planted bugs, or those that are named; the results come as they are there."""
    chosen = [planted.plant.__name__ for planted in BUGS if not names or planted.plant.__name__ in names]
    if jobs == 1:
        yield from (try_one(name, tries) for name in chosen)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as executor:
        for future in as_completed([executor.submit(try_one, name, tries) for name in chosen]):
            yield future.result()


def try_one(name: str, tries: int) -> Catch:
    """Tries one planted bug."""
    planted = _named(name)
    caught = [catch(planted, first=1 + STRIDE * number) for number in range(tries)]
    failure = next((failure for _, failure in caught if failure), "")
    return Catch(name=name, seeds=tuple(count for count, _ in caught), failure=failure)


def as_dict(catches: Sequence[Catch]) -> dict[str, Any]:
    """What is printed."""
    return {
        "planted": len(catches),
        "caught": sum(each.median is not None for each in catches),
        "missed": [each.name for each in catches if each.median is None],
        "median_seeds": {each.name: each.median for each in sorted(catches, key=lambda each: each.name)},
    }


def _failures(seed: int, planted: Planted) -> list[str]:
    if planted.scenario:
        return SCENARIOS[planted.scenario]()
    try:
        result = run_focused(seed, planted.focus)
    except Exception as error:  # a bug that makes a core raise is caught by that
        return [f"raised {error!r:.200}"]
    if planted.is_repeated and not result.failures:
        there = elsewhere("simulations.mutations", planted.plant.__name__, str(seed))
        if there != result.trace_hash:
            return [f"reproducible: hash {result.trace_hash} here, {there} in another process"]
    return result.failures


def _named(name: str) -> Planted:
    return next(each for each in BUGS if each.plant.__name__ == name)


if __name__ == "__main__":
    chosen = _named(sys.argv[1])
    chosen.plant(Patch())
    sys.stdout.write(run_focused(int(sys.argv[2]), chosen.focus).trace_hash)
