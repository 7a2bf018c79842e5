"""The data types by themselves: applying, a whole round trip, bulk merging, bytes and memory.

`apply` is that of `crdt_apply`. `roundtrip` adds one element, encodes the delta, decodes it at another replica and
joins it there; `bulk_merge` decodes a state of ELEMENTS entries and merges it into an empty replica. Both against
pycrdt, where it is installed, with a map of the same keys; its updates come out of an observer. Rates are by CPU time.
`delta_1000_bytes` are bytes for each entry of a delta of 1,000 entries, against plain msgpack of the same triples;
`memory_bytes` are resident bytes for each element of a set of a million, against a plain Python set of the same
canonical bytes. Less is better for both.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgpack
import psutil  # type: ignore[import-untyped]

from benchmarks.harness import Options, Side, compare_sides, progress
from benchmarks.load import Job, run_client, verify
from benchmarks.measures import Line, Sample
from benchmarks.processes import Children
from crdtmesh.crdts import OR_SET, Operation, ReplicaTable, State, deltas, values
from crdtmesh.crdts.dots import REPLICA_ID_BYTES

CASES: Final = ("apply", "roundtrip", "bulk_merge", "delta_1000_bytes", "memory_bytes")

ROUND_TRIPS: Final = 2_000
ELEMENTS: Final = 100_000
GROUP: Final = 1_000
MILLION: Final = 1_000_000

_A: Final = b"a" * REPLICA_ID_BYTES
_B: Final = b"b" * REPLICA_ID_BYTES

_BASES: Final = {
    "apply": "packed-int CRDT kernel",
    "roundtrip": "pycrdt",
    "bulk_merge": "pycrdt",
    "delta_1000_bytes": "msgpack of the triples",
    "memory_bytes": "set of the same bytes",
}


def run(children: Children, options: Options) -> Iterator[Line]:
    """The cases; both sides of each run in fresh processes."""
    for case in CASES:
        if not options.wants(case):
            continue
        if _BASES[case] == "pycrdt" and importlib.util.find_spec("pycrdt") is None:
            progress(f"crdt_core {case}: pycrdt is not installed; the extra `text` has it")
            continue
        module = "benchmarks.crdt_apply" if case == "apply" else "benchmarks.crdt_core"
        yield from compare_sides(
            children,
            options,
            bench="crdt_core",
            case=case,
            bases={_BASES[case]: Side(command=(module, "base"), case=case)},
            subject=("ORSet", Side(command=(module, "subject"), case=case)),
        )


async def subject(job: Job) -> Sample:
    """Our set."""
    if job.case == "roundtrip":
        return _timed(_round_trips, ROUND_TRIPS, job)
    if job.case == "bulk_merge":
        encoded = _filled(ELEMENTS).encode()
        return _timed(lambda: _merge(encoded), ELEMENTS, job)
    if job.case == "delta_1000_bytes":
        return Sample(rate=len(_filled(GROUP).encode()) / GROUP)
    return _resident(lambda: _filled(MILLION))


async def base(job: Job) -> Sample:
    """The other library, plain msgpack, or a plain set."""
    if job.case == "roundtrip":
        return _timed(_round_trips_pycrdt, ROUND_TRIPS, job)
    if job.case == "bulk_merge":
        encoded = _filled_pycrdt(ELEMENTS).get_update()
        return _timed(lambda: _merge_pycrdt(encoded), ELEMENTS, job)
    if job.case == "delta_1000_bytes":
        return Sample(rate=len(msgpack.packb([(key, _A, n) for n, key in enumerate(keys(GROUP), 1)])) / GROUP)
    return _resident(lambda: {values.encode(key) for key in keys(MILLION)})


def keys(count: int) -> Iterator[str]:
    """The elements, on both sides."""
    return (f"item-{number}" for number in range(count))


def _round_trips() -> None:
    table, elsewhere = ReplicaTable(), ReplicaTable()
    here = State(OR_SET, table, replica_id=_A)
    there = State(OR_SET, elsewhere, replica_id=_B)
    for key in keys(ROUND_TRIPS):
        delta = here.apply(Operation("add", (key,)))
        assert delta is not None
        there.join_encoded(deltas.encode_delta(OR_SET, delta))
    verify(ROUND_TRIPS, len(there.value))  # type: ignore[arg-type]


def _filled(count: int) -> State[Any]:
    state = State(OR_SET, ReplicaTable(), replica_id=_A)
    for key in keys(count):
        state.apply(Operation("add", (key,)))
    return state


def _merge(encoded: bytes) -> None:
    state = State(OR_SET, ReplicaTable(), replica_id=_B)
    state.join_encoded(encoded)
    verify(ELEMENTS, sum(1 for _ in state.data_type.dots(state.delta().store)))


def _round_trips_pycrdt() -> None:
    from pycrdt import Doc, Map

    here: Any = Doc()
    there: Any = Doc()
    elements, copies = here.get("set", type=Map), there.get("set", type=Map)
    subscription = here.observe(lambda event: there.apply_update(event.update))
    for key in keys(ROUND_TRIPS):
        elements[key] = True
    here.unobserve(subscription)
    verify(ROUND_TRIPS, len(copies))


def _filled_pycrdt(count: int) -> Any:
    from pycrdt import Doc, Map

    doc: Any = Doc()
    elements = doc.get("set", type=Map)
    with doc.transaction():
        for key in keys(count):
            elements[key] = True
    return doc


def _merge_pycrdt(encoded: bytes) -> None:
    from pycrdt import Doc, Map

    doc: Any = Doc()
    elements = doc.get("set", type=Map)
    doc.apply_update(encoded)
    verify(ELEMENTS, len(elements))


def _timed(once: Callable[[], None], operations: int, job: Job) -> Sample:
    """Repeats for `job.seconds`; the rate is by CPU time, because nothing here waits."""
    until_s = time.perf_counter() + job.seconds
    began_s = time.process_time()
    rounds = 0
    while not rounds or time.perf_counter() < until_s:
        once()
        rounds += 1
    return Sample(rate=rounds * operations / (time.process_time() - began_s))


def _resident(make: Callable[[], object]) -> Sample:
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    made = make()
    gc.collect()
    grown: int = process.memory_info().rss - before
    del made
    return Sample(rate=grown / MILLION)


if __name__ == "__main__":
    run_client(subject if sys.argv[1] == "subject" else base)
