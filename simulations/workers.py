"""Many seeds over several processes. The results do not depend on how many there are.

A module of its own, since what runs in a spawned process must be importable there by name.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from simulations.run import RunOptions, RunResult, simulate


def run_seeds(seeds: Sequence[int], options: RunOptions, *, jobs: int) -> Iterator[RunResult]:
    """The results of all seeds, as they come.

    Closing the iterator, as an interrupt does, cancels what has not begun and waits for the runs under way.
    """
    jobs = min(jobs, len(seeds))
    if jobs == 1:
        for seed in seeds:
            yield attempt(seed, options)
        return
    # Spawned, not forked: a child that inherits nothing can't depend on what the parent did before.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_ignore_interrupts)
    try:
        for future in as_completed([executor.submit(attempt, seed, options) for seed in seeds]):
            yield future.result()
    finally:
        executor.shutdown(cancel_futures=True)


def attempt(seed: int, options: RunOptions) -> RunResult:
    """One run; what a core raises is a failure of its seed, and not the end of all others."""
    try:
        return simulate(seed, options)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.relpath(last.filename)}:{last.lineno}"
        return RunResult(seed=seed, failures=[f"raised {type(error).__name__} at {where}: {error}"[:300]])


def _ignore_interrupts() -> None:
    """The parent ends the children; an interrupt of their own would only print tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
