"""Many seeds over several processes. The results do not depend on how many there are.

A module of its own, since what runs in a spawned process must be importable there by name.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from dataclasses import dataclass
from pathlib import Path

from simulations.rerun import hash_elsewhere, replay_command, write_trace
from simulations.run import RunOptions, RunResult, plan_of, simulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What is done with a seed beside running it.

    Attributes:
        repeat_every: seeds that this divides are run again in another process, and must be the same run; 0 for none.
        traces: folder for the traces of seeds that fail; None writes none.
        all_traces: also of those that do not fail.
    """

    repeat_every: int = 0
    traces: Path | None = None
    all_traces: bool = False


def run_seeds(
    seeds: Iterable[int],
    options: RunOptions,
    *,
    jobs: int,
    orders: Orders | None = None,
    may_begin: Callable[[], bool] = lambda: True,
) -> Iterator[RunResult]:
    """The results of all seeds, as they come.

    An interrupt begins no more; the runs under way still end and count before it goes on to the caller. Closing the
    iterator waits for them too.

    Args:
        seeds: in the order in which they begin; may be endless.
        options: of all runs.
        jobs: how many processes.
        orders: what else is done with each.
        may_begin: asked before each; after a no the runs under way still end and count.
    """
    orders = orders or Orders()
    waiting = iter(seeds)
    if jobs == 1:
        while may_begin() and (seed := next(waiting, None)) is not None:
            yield attempt(seed, options, orders)
        return
    # Spawned, not forked: a child that inherits nothing can't depend on what the parent did before.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_ignore_interrupts)
    running: set[Future[RunResult]] = set()
    try:
        while True:
            while len(running) < jobs and may_begin() and (seed := next(waiting, None)) is not None:
                running.add(executor.submit(attempt, seed, options, orders))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except KeyboardInterrupt:
        # A second interrupt does not wait.
        for future in as_completed(running):
            yield future.result()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def attempt(seed: int, options: RunOptions, orders: Orders | None = None) -> RunResult:
    """One run; what a core raises is a failure of its seed, and not the end of all others."""
    orders = orders or Orders()
    try:
        result = simulate(seed, options)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.relpath(last.filename)}:{last.lineno}"
        result = RunResult(seed=seed, failures=[f"raised {type(error).__name__} at {where}: {error}"[:300]])
    if orders.repeat_every and seed % orders.repeat_every == 0 and result.trace_hash:
        result.is_repeated = True
        elsewhere = hash_elsewhere(seed, options)
        if elsewhere != result.trace_hash:
            result.failures.append(f"reproducible: hash {result.trace_hash} here, {elsewhere} in another process")
    if orders.traces is not None and (result.failures or orders.all_traces):
        write_trace(orders.traces, plan_of(seed, options), result, replay=replay_command(seed, options))
    return result


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ignore_interrupts() -> None:
    """The parent ends the children; an interrupt of their own would only print tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
