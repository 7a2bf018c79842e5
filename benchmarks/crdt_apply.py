"""Applying one-element deltas to an add-wins set against the packed kernel, and the bytes that such deltas take.

`apply` joins deltas that were made beforehand, each with one added element, into the set of another replica, and counts
by CPU time. For `delta_bytes` and `group_bytes` the figures are bytes for each delta, of one alone and of a group of
GROUP_SIZE; less is better. Their base is plain msgpack of the same triples (element, replica id, number).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
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

CASES: Final = ("apply", "delta_bytes", "group_bytes")

ELEMENTS: Final = 100_000
GROUP_SIZE: Final = 100

_BASES: Final = {
    "apply": "packed-int CRDT kernel",
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


def deltas_of(kind: DataType[Any], table: ReplicaTable) -> list[Delta[Any]]:
    """ELEMENTS deltas of one replica, each the addition of another element."""
    holder = Holder(table, b"a" * REPLICA_ID_BYTES)
    deltas = []
    for element in elements():
        delta = kind.mutate(kind.bottom(), Operation("add", (element,)), holder)
        assert delta is not None
        deltas.append(delta)
    return deltas


def elements() -> list[str]:
    """The elements, on both sides."""
    return [f"item-{number}" for number in range(ELEMENTS)]


async def subject(job: Job) -> Sample:
    """Our set."""
    kind = registry.get("ORSet")
    table = ReplicaTable()
    deltas = deltas_of(kind, table)
    if job.case == "apply":
        return _timed(lambda: _absorb(kind, table, deltas), job)
    size = 1 if job.case == "delta_bytes" else GROUP_SIZE
    return Sample(rate=sum(len(_encoded(kind, table, group)) for group in _groups(deltas, size)) / len(deltas))


async def base(job: Job) -> Sample:
    """The kernel, or plain msgpack."""
    if job.case == "apply":
        origin = Kernel(1)
        deltas = [origin.add(encode(element)) for element in elements()]
        return _timed(lambda: _apply(deltas), job)
    size = 1 if job.case == "delta_bytes" else GROUP_SIZE
    triples = [(element, b"a" * REPLICA_ID_BYTES, number) for number, element in enumerate(elements(), 1)]
    packed = [msgpack.packb(group if size > 1 else group[0]) for group in _groups(triples, size)]
    return Sample(rate=sum(map(len, packed)) / len(triples))


def _absorb(kind: DataType[Any], table: ReplicaTable, deltas: Sequence[Delta[Any]]) -> None:
    store, context = kind.bottom(), CausalContext(table)
    for delta in deltas:
        store, _touched = kind.absorb(store, context, delta)
        context.update(delta.context)
    verify(ELEMENTS, sum(1 for _ in kind.dots(store)))
    verify(ELEMENTS, len(context))


def _apply(deltas: Sequence[Any]) -> None:
    target = Kernel(2)
    for delta in deltas:
        target.apply(delta)
    verify(ELEMENTS, len(target.elements))


def _timed(once: Any, job: Job) -> Sample:
    """Repeats for `job.seconds`; the rate is by CPU time, because nothing here waits."""
    until_s = time.perf_counter() + job.seconds
    began_s = time.process_time()
    rounds = 0
    while not rounds or time.perf_counter() < until_s:
        once()
        rounds += 1
    return Sample(rate=rounds * ELEMENTS / (time.process_time() - began_s))


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
