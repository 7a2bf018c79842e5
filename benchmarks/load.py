"""The client side of a benchmark: a process that puts a load on a server and reports one sample.

Every client, of a base or of the subject, goes through `run_client` and `drive`, so that both sides have the same loop,
the same timing and the same placement. Started by `benchmarks.processes`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import psutil  # type: ignore[import-untyped]

from benchmarks.measures import Sample, percentile

T = TypeVar("T")

ACTORS: Final = 256
"""Calls are spread over this many actors, so that no single one's turns are the limit."""

PAYLOAD_BYTES: Final = 70
"""Size of the payload of every call, base or subject: that of a small Spawn message."""

WARMUP_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a client process is asked to do.

    Attributes:
        address: of the server, in the form the client understands.
        concurrency: operations in flight.
        seconds: length of the measured part, in seconds.
        actors: over how many actors the calls go.
        case: what to do, where a client can do several things.
        server_pids: processes whose CPU, with that of their children, is the server's.
        cpus: processors to stay on; empty for all.
    """

    address: str = ""
    concurrency: int = 1
    seconds: float = 1.0
    actors: int = ACTORS
    case: str = ""
    server_pids: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()

    def to_json(self) -> str:
        """The command-line argument by which a client gets its job."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Reads what `to_json` wrote."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(text).items()
        }
        return cls(**values)


@dataclass(slots=True)
class CpuMeter:
    """CPU of some processes and their children, from `start` to `stop`."""

    pids: Sequence[int]
    _used_s: float = field(default=0.0, init=False)
    _began_s: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Begins to count."""
        self._used_s, self._began_s = self._read_s(), time.perf_counter()

    def stop(self) -> float | None:
        """Percent of one core since `start`; None when there are no processes."""
        if not self.pids:
            return None
        return 100 * (self._read_s() - self._used_s) / (time.perf_counter() - self._began_s)

    def _read_s(self) -> float:
        total = 0.0
        for pid in self.pids:
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                times = each.cpu_times()
                total += times.user + times.system
        return total


async def drive(call: Callable[[int], Awaitable[None]], job: Job) -> Sample:
    """Keeps `job.concurrency` calls in flight for `job.seconds` after a short warm-up.

    Args:
        call: makes call number n, awaits its reply and verifies it; raises when the reply is wrong.
        job: what to do.
    """
    numbers = itertools.count()

    async def worker(until_s: float, latencies: list[float]) -> None:
        now_s = time.perf_counter()
        while now_s < until_s:
            began_s = now_s
            await call(next(numbers))
            now_s = time.perf_counter()
            latencies.append(now_s - began_s)

    async def phase(seconds: float) -> tuple[list[float], float]:
        latencies: list[float] = []
        began_s = time.perf_counter()
        await asyncio.gather(*(worker(began_s + seconds, latencies) for _ in range(job.concurrency)))
        return latencies, time.perf_counter() - began_s

    await phase(WARMUP_S)
    meter = CpuMeter(job.server_pids)
    meter.start()
    own_s = time.process_time()
    latencies, took_s = await phase(job.seconds)
    own_s = time.process_time() - own_s
    cpu = meter.stop()
    latencies.sort()
    return Sample(
        rate=len(latencies) / took_s,
        server_cpu=cpu,
        cpu_us=None if cpu is None else 1e6 * (own_s + took_s * cpu / 100) / len(latencies),
        p50_ms=1e3 * percentile(latencies, 0.5),
        p99_ms=1e3 * percentile(latencies, 0.99),
    )


def time_repeated(once: Callable[[], None], operations: int, job: Job) -> Sample:
    """Repeats for `job.seconds` what does not wait; the rate is by CPU time. `once` carries out so many operations."""
    until_s = time.perf_counter() + job.seconds
    began_s = time.process_time()
    rounds = 0
    while not rounds or time.perf_counter() < until_s:
        once()
        rounds += 1
    return Sample(rate=rounds * operations / (time.process_time() - began_s))


def payload(number: int) -> bytes:
    """A payload of PAYLOAD_BYTES that no other call has: a reply to another call is noticed."""
    return b"%0*d" % (PAYLOAD_BYTES, number)


def verify(expected: object, came: object) -> None:
    """Stops the run when a reply is not what the call must return."""
    if expected != came:
        raise AssertionError(f"reply {expected!r:.80} expected, got {came!r:.80}")


def run_client(main: Callable[[Job], Coroutine[Any, Any, Sample]]) -> None:
    """Runs a client: reads the job from the last argument, prints the sample."""
    job = Job.from_json(sys.argv[-1])
    if job.cpus:
        os.sched_setaffinity(0, job.cpus)
    print(run_loop(main(job)).to_json(), flush=True)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` on the loop that `crdtmesh up` would use: uvloop when it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    result: T = uvloop.run(main)
    return result


def announce(**where: object) -> None:
    """Tells the harness that this server takes calls, and where; the same form as `crdtmesh up --format json`."""
    print(json.dumps({"event": "ready", "pid": os.getpid(), **where}), flush=True)
