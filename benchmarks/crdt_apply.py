"""Applying one-element deltas to an add-wins set against the packed kernel, and the bytes that such deltas take.

`apply` joins deltas that were made beforehand, each of one element, into the set of another replica, and counts by CPU
time: every element is added, every second one added again while it is in, and every one removed, each step WINDOW
elements behind the one before, so that the set holds about 1.5 WINDOW of them. `apply_add` and `apply_remove` are its
parts alone: ELEMENTS additions to an empty set, and their removals. For `delta_bytes` and `group_bytes` the figures are
bytes for each delta, of one alone and of a group of GROUP_SIZE; less is better. Their base is plain msgpack of the same
triples (element, replica id, number).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgpack

from benchmarks.bases.packed_kernel import Kernel
from benchmarks.harness import Options, Side, compare_sides
from benchmarks.load import Job, run_client, verify
from benchmarks.measures import Line, Sample
from benchmarks.processes import Children
from crdtmesh.crdts import registry
from crdtmesh.crdts.base import DataType, Delta
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import REPLICA_ID_BYTES, Dot, ReplicaTable, pack_dot
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import encode

CASES: Final = ("apply", "apply_add", "apply_remove", "delta_bytes", "group_bytes")

ELEMENTS: Final = 100_000
GROUP_SIZE: Final = 100
WINDOW: Final = 10_000

Step = tuple[str, str]
"""`add` or `remove`, and an element."""

_BASES: Final = {
    "apply": "packed-int CRDT kernel",
    "apply_add": "packed-int CRDT kernel",
    "apply_remove": "packed-int CRDT kernel",
    "delta_bytes": "msgpack of the triples",
    "group_bytes": "msgpack of the triples",
}


def run(children: Children, options: Options) -> Iterator[Line]:
    """The cases; both sides of each run in fresh processes."""
    for case in CASES:
        if options.wants(case):
            yield from compare_sides(
                children,
                options,
                bench="crdt_apply",
                case=case,
                bases={_BASES[case]: Side(command=("benchmarks.crdt_apply", "base"), case=case)},
                subject=("ORSet", Side(command=("benchmarks.crdt_apply", "subject"), case=case)),
            )


class Holder:
    """What a mutator asks of the holder of a set; sets need no stamps."""

    def __init__(self, table: ReplicaTable, replica_id: bytes) -> None:
        self.table: Final = table
        self.replica: Final = table.intern(replica_id)
        self._last = 0

    def next_dot(self) -> Dot:
        """The next dot of this replica."""
        self._last += 1
        return pack_dot(self.replica, self._last)

    def stamp(self, after: Stamp | None) -> Stamp:
        """Not used by sets."""
        raise NotImplementedError


def elements() -> list[str]:
    """The elements, on both sides."""
    return [f"item-{number}" for number in range(ELEMENTS)]


def steps(case: str) -> tuple[list[Step], list[Step]]:
    """What is applied before the clock runs, and while it does."""
    items = elements()
    if case != "apply":
        adds = [("add", item) for item in items]
        return (adds, [("remove", item) for item in items]) if case == "apply_remove" else ([], adds)
    measured: list[Step] = []
    for number in range(ELEMENTS + 2 * WINDOW):
        if number < ELEMENTS:
            measured.append(("add", items[number]))
        if WINDOW <= number < ELEMENTS + WINDOW and number & 1:
            measured.append(("add", items[number - WINDOW]))
        if number >= 2 * WINDOW:
            measured.append(("remove", items[number - 2 * WINDOW]))
    return [], measured


def deltas_of(kind: DataType[Any], table: ReplicaTable, wanted: Sequence[Step]) -> list[Delta[Any]]:
    """The deltas of these steps, each taken on what the ones before it left."""
    holder = Holder(table, b"a" * REPLICA_ID_BYTES)
    store, context = kind.bottom(), CausalContext(table)
    deltas = []
    for name, element in wanted:
        delta = kind.mutate(store, Operation(name, (element,)), holder)
        assert delta is not None
        store, _touched = kind.absorb(store, context, delta)
        context.update(delta.context)
        deltas.append(delta)
    return deltas


async def subject(job: Job) -> Sample:
    """Our set."""
    kind = registry.get("ORSet")
    table = ReplicaTable()
    if job.case.startswith("apply"):
        before, measured = steps(job.case)
        deltas = deltas_of(kind, table, before + measured)
        prepared, timed = deltas[: len(before)], deltas[len(before) :]
        return _timed(lambda: _absorb(kind, table, prepared, timed), job)
    deltas = deltas_of(kind, table, [("add", element) for element in elements()])
    size = 1 if job.case == "delta_bytes" else GROUP_SIZE
    return Sample(rate=sum(len(_encoded(kind, table, group)) for group in _groups(deltas, size)) / len(deltas))


async def base(job: Job) -> Sample:
    """The kernel, or plain msgpack."""
    if job.case.startswith("apply"):
        before, measured = steps(job.case)
        origin = Kernel(1)
        made = [getattr(origin, name)(encode(element)) for name, element in before + measured]
        prepared, timed = made[: len(before)], made[len(before) :]
        return _timed(lambda: _apply(prepared, timed), job)
    size = 1 if job.case == "delta_bytes" else GROUP_SIZE
    triples = [(element, b"a" * REPLICA_ID_BYTES, number) for number, element in enumerate(elements(), 1)]
    packed = [msgpack.packb(group if size > 1 else group[0]) for group in _groups(triples, size)]
    return Sample(rate=sum(map(len, packed)) / len(triples))


def _absorb(
    kind: DataType[Any], table: ReplicaTable, before: Sequence[Delta[Any]], measured: Sequence[Delta[Any]]
) -> tuple[float, int]:
    """CPU time of the measured part, and the number of its steps."""
    store, context = kind.bottom(), CausalContext(table)
    for delta in before:
        store, _touched = kind.absorb(store, context, delta)
        context.update(delta.context)
    began_s = time.process_time()
    for delta in measured:
        store, _touched = kind.absorb(store, context, delta)
        context.update(delta.context)
    took_s = time.process_time() - began_s
    verify(0 if before or len(measured) > ELEMENTS else ELEMENTS, sum(1 for _ in kind.dots(store)))
    verify(len(before) + len(measured), len(context))
    return took_s, len(measured)


def _apply(before: Sequence[Any], measured: Sequence[Any]) -> tuple[float, int]:
    """CPU time of the measured part, and the number of its steps."""
    target = Kernel(2)
    for delta in before:
        target.apply(delta)
    began_s = time.process_time()
    for delta in measured:
        target.apply(delta)
    took_s = time.process_time() - began_s
    verify(0 if before or len(measured) > ELEMENTS else ELEMENTS, len(target.elements))
    return took_s, len(measured)


def _timed(once: Callable[[], tuple[float, int]], job: Job) -> Sample:
    """Repeats for `job.seconds`; the rate is by CPU time, because nothing here waits."""
    until_s = time.perf_counter() + job.seconds
    took_s, count = once()
    while time.perf_counter() < until_s:
        more_s, more = once()
        took_s, count = took_s + more_s, count + more
    return Sample(rate=count / took_s)


def _encoded(kind: DataType[Any], table: ReplicaTable, group: Sequence[Delta[Any]]) -> bytes:
    """A group as it travels: its joined context, then its joined store."""
    store, context = kind.bottom(), CausalContext(table)
    for delta in group:
        store, _touched = kind.absorb(store, context, delta)
        context.update(delta.context)
    writer = Writer(table)
    writer.context(context)
    kind.encode(store, writer)
    return writer.finish()


def _groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


if __name__ == "__main__":
    run_client(subject if sys.argv[1] == "subject" else base)
