"""The data types by themselves: applying, a whole round trip, bulk merging, bytes and memory.

`apply`, `apply_add` and `apply_remove` are those of `crdt_apply`. `roundtrip_N` adds one element to a set that holds N
or more, encodes the delta, decodes it at another replica and joins it there; `bulk_merge` decodes a state of BULK
entries and merges it into an empty replica. Both against other libraries, where they are installed, with a map of the
same keys (`bases.other_libraries` says how each is used). Rates are by CPU time. `delta_1000_bytes` are bytes for each
entry of a delta of 1,000 entries, against plain msgpack of the same triples; `memory_bytes` are resident bytes for each
element of a set of a million, against a plain Python set of the same canonical bytes. Less is better for both.

`step_NAME` are the steps of `roundtrip_1000` one by one, each against the whole of what the other library does: where
the time goes, and which of them alone would have to be beyond the goal. `step_floor` is the least that Python can do
for it: pack the message's items, unpack them, and enter the element at both sides, with no check and no context.
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

from benchmarks.bases.other_libraries import BULK, ROUND_TRIPS, keys, size_of
from benchmarks.harness import Options, Side, compare_sides, progress
from benchmarks.load import Job, run_client, time_repeated, verify
from benchmarks.measures import Line, Sample
from benchmarks.processes import Children
from crdtmesh.crdts import OR_SET, Operation, ReplicaTable, State, deltas, values
from crdtmesh.crdts.dots import REPLICA_ID_BYTES

STEPS: Final = ("operation", "encode", "decode", "join", "floor")

CASES: Final = (
    "apply",
    "apply_add",
    "apply_remove",
    "roundtrip_1000",
    "roundtrip_10000",
    "roundtrip_100000",
    "bulk_merge",
    "delta_1000_bytes",
    "memory_bytes",
    *(f"step_{step}" for step in STEPS),
)

GROUP: Final = 1_000
STEP_SIZE: Final = 1_000
MILLION: Final = 1_000_000

_A: Final = b"a" * REPLICA_ID_BYTES
_B: Final = b"b" * REPLICA_ID_BYTES

_OWN_BASES: Final = {
    "apply": ("packed-int CRDT kernel", "benchmarks.crdt_apply"),
    "apply_add": ("packed-int CRDT kernel", "benchmarks.crdt_apply"),
    "apply_remove": ("packed-int CRDT kernel", "benchmarks.crdt_apply"),
    "delta_1000_bytes": ("msgpack of the triples", "benchmarks.crdt_core"),
    "memory_bytes": ("set of the same bytes", "benchmarks.crdt_core"),
}

_LIBRARIES: Final = {
    "pycrdt, update events": ("pycrdt", "pycrdt_events"),
    "pycrdt, exports": ("pycrdt", "pycrdt_exports"),
    "loro, update events": ("loro", "loro_events"),
}


def run(children: Children, options: Options) -> Iterator[Line]:
    """The cases; all sides of each run in fresh processes."""
    for case in CASES:
        if not options.wants(case):
            continue
        module = "benchmarks.crdt_core"
        if case in _OWN_BASES:
            base_name, module = _OWN_BASES[case]
            bases = {base_name: Side(command=(module, "base"), case=case)}
        else:
            bases = _other_libraries(case)
        if bases:
            yield from compare_sides(
                children,
                options,
                bench="crdt_core",
                case=case,
                bases=bases,
                subject=("ORSet", Side(command=(module, "subject"), case=case)),
            )


def _other_libraries(case: str) -> dict[str, Side]:
    """Those that are installed. How an update is found makes no difference to merging a whole document."""
    sides: dict[str, Side] = {}
    whole = f"roundtrip_{STEP_SIZE}" if case.startswith("step_") else case
    for name, (package, variant) in _LIBRARIES.items():
        if importlib.util.find_spec(package) is None:
            progress(f"crdt_core {case}: {package} is not installed; the extra `bench` has it")
        elif whole != case and variant != "pycrdt_events":
            continue
        elif case != "bulk_merge":
            sides[name] = Side(command=("benchmarks.bases.other_libraries", variant), case=whole)
        elif variant.endswith("_events"):
            sides[package] = Side(command=("benchmarks.bases.other_libraries", variant), case=case)
    return sides


async def subject(job: Job) -> Sample:
    """Our set."""
    if job.case == "bulk_merge":
        encoded = _filled(BULK).encode()
        merged: list[State[Any]] = []

        def once() -> None:
            state = State(OR_SET, ReplicaTable(), replica_id=_B)
            state.join_encoded(encoded)
            merged[:] = [state]

        sample = time_repeated(once, BULK, job)
        verify(BULK, _size_of(merged[0]))
        return sample
    if job.case == "delta_1000_bytes":
        return Sample(rate=len(_filled(GROUP).encode()) / GROUP)
    if job.case == "memory_bytes":
        return _resident(lambda: _filled(MILLION))
    return _steps(job) if job.case.startswith("step_") else _round_trips(job)


async def base(job: Job) -> Sample:
    """Plain msgpack, or a plain set."""
    if job.case == "delta_1000_bytes":
        return Sample(rate=len(msgpack.packb([(key, _A, n) for n, key in enumerate(keys(GROUP), 1)])) / GROUP)
    return _resident(lambda: {values.encode(key) for key in keys(MILLION)})


def _round_trips(job: Job) -> Sample:
    here = _filled(size := size_of(job.case))
    there = State(OR_SET, ReplicaTable(), replica_id=_B)
    there.join_encoded(here.encode())
    added = 0

    def once() -> None:
        nonlocal added
        for key in keys(ROUND_TRIPS, size + added):
            delta = here.apply(Operation("add", (key,)))
            assert delta is not None
            there.join_encoded(deltas.encode_delta(OR_SET, delta))
        added += ROUND_TRIPS

    sample = time_repeated(once, ROUND_TRIPS, job)
    verify(size + added, _size_of(there))
    return sample


def _steps(job: Job) -> Sample:
    """One step of many round trips; those before it are done outside the clock."""
    here, there = _filled(STEP_SIZE), State(OR_SET, ReplicaTable(), replica_id=_B)
    there.join_encoded(here.encode())
    step = job.case.removeprefix("step_")
    spent_s, done = 0.0, 0
    until_s = time.perf_counter() + job.seconds
    while time.perf_counter() < until_s:
        wanted = list(keys(ROUND_TRIPS, STEP_SIZE + done))
        if step == "floor":
            work: Callable[[], object] = lambda: _least(wanted)  # noqa: B023, E731 - called before the next round
        else:
            work = _work(step, here, there, wanted)
        began_s = time.process_time()
        work()
        spent_s += time.process_time() - began_s
        done += ROUND_TRIPS
    return Sample(rate=done / spent_s)


def _work(step: str, here: State[Any], there: State[Any], wanted: list[str]) -> Callable[[], object]:
    """What the clock is to see, after all that comes before it."""

    def operate() -> list[Any]:
        return [here.apply(Operation("add", (key,))) for key in wanted]

    if step == "operation":
        return operate
    made = operate()
    if step == "encode":
        return lambda: [deltas.encode_delta(OR_SET, delta) for delta in made]
    encoded = [deltas.encode_delta(OR_SET, delta) for delta in made]
    if step == "decode":
        return lambda: [deltas.decode_delta(OR_SET, data, there.table) for data in encoded]
    decoded = [deltas.decode_delta(OR_SET, data, there.table) for data in encoded]
    return lambda: [there.join(delta) for delta in decoded]


def _least(wanted: list[str]) -> None:
    """Items of the same number and kinds as those of a delta, through msgpack into two dicts."""
    here: dict[str, int] = {}
    there: dict[str, int] = {}
    pack, unpack = msgpack.Packer().pack, msgpack.unpackb
    for number, key in enumerate(wanted):
        here[key] = number
        items = unpack(pack((2, _A, -1, 0, number, 1, key, 0)))
        there[items[6]] = items[4]


def _filled(count: int) -> State[Any]:
    state = State(OR_SET, ReplicaTable(), replica_id=_A)
    for key in keys(count):
        state.apply(Operation("add", (key,)))
    return state


def _size_of(state: State[Any]) -> int:
    return sum(1 for _ in OR_SET.dots(state.delta().store))


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
