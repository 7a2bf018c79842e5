"""What actors cost a node: bringing them into memory, keeping idle ones there, and spreading them over nodes.

The production replica and runtime in one process, with one host and a disk that is done at once, so the figures are the
node's own: what a host keeps of an actor is its language's matter. `activate` calls instances of a template that were
never called before, 20,000 of them; its base calls actors that are in memory already. An instance
is remembered and has a state, as after its first turn, so its bytes are those of its entries too: `idle_bytes` with
them, `idle_activation_bytes` of the activation alone, which is what passivation gives back. `spread` is the largest
share of 100,000 actors that one of 4 nodes gets, over an even one.
"""

from __future__ import annotations

import functools
import gc
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import psutil  # type: ignore[import-untyped]

from benchmarks.harness import Options, alternate
from benchmarks.load import Job, payload, run_client, verify
from benchmarks.measures import Line, Sample, compare, median_of
from benchmarks.processes import Children
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.levels import voters_key
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import Changed, Committed, Persist, ReadAt
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import MESH_SYSTEM, ActorAddress, ActorDefinition, Kind
from crdtmesh.runtime.messages import CallerId, HostId, Outgoing, TurnEffects
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement, owner
from crdtmesh.runtime.runtime import Runtime

CASES: Final = ("activate", "idle_bytes", "idle_activation_bytes", "spread")

ACTORS: Final = 100_000
RATED: Final = 20_000
IN_FLIGHT: Final = 256
NODES: Final = 4
# An activation is loaded, runs, and is confirmed: a few loop turns.
ROUNDS_MAX: Final = 20

_SYSTEM: Final = "benchmarks"
_TEMPLATE: Final = "cart"
_CALLER: Final = CallerId(1)
_HOST: Final = HostId(1)
_COMMAND: Final = ("benchmarks.many_actors", "client")
_DAY_MS: Final = 86_400_000


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases, each sample in a fresh process."""

    def measured(*cases: str) -> dict[str, list[Sample]]:
        sides = {case: functools.partial(children.client, _COMMAND, Job(case=case, seconds=120)) for case in cases}
        return alternate(sides, pairs=options.pairs, label=f"actors {cases[0]}")

    if options.wants("activate"):
        samples = measured("activate", "call")
        yield compare(
            bench="actors",
            case="activate",
            concurrency=IN_FLIGHT,
            base=("calls of active actors", samples["call"]),
            subject=("first calls of instances", samples["activate"]),
        )
    for case in CASES[1:]:
        if options.wants(case):
            yield _alone(case, measured(case)[case])


def _alone(case: str, samples: list[Sample]) -> Line:
    return Line(
        bench="actors",
        case=case,
        base=None,
        subject="largest share of a node over an even one" if case == "spread" else "replica and runtime, per actor",
        concurrency=1,
        ratio=None,
        base_rate=None,
        subject_rate=median_of([sample.rate for sample in samples]),
        server_cpu=None,
        p50_ms=None,
        p99_ms=None,
        unit="of an even share" if case == "spread" else None,
    )


class Node:
    """The cores of a node with one host, which answers every turn with a small state."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._persisted = 0
        self._calls = 0
        self._replica = Replica(
            ReplicationOptions(), node="node", replica_id=bytes(16), rng=random.Random(1), now_ns=0, wall_ms=1
        )
        self._replica.load(())
        # It is a majority by itself.
        self._replica.update(voters_key(MESH_SYSTEM), [Operation("add", ("node",))], ticket=None, wall_ms=1)
        self.runtime = Runtime(
            RuntimeOptions(),
            placement=Placement("node", b"benchmarks"),
            replica=self._replica,
            encode_state=lambda name, value: b"",
            now_ns=0,
        )
        template = ActorDefinition(
            address=ActorAddress(_SYSTEM, _TEMPLATE),
            kind=Kind.UNNAMED,
            is_stateful=True,
            actions=frozenset({"act"}),
            deactivation_timeout_ms=_DAY_MS,
        )
        self.runtime.host_connected(_HOST, [template], now_ns=0)

    def call(self, numbers: range) -> None:
        """One call of each of these instances, answered and made durable."""
        self._now_ns += 1_000_000
        first, self._calls = self._calls, self._calls + len(numbers)
        content = payload(first)
        calls = [
            (first + index, ActorAddress(_SYSTEM, f"cart-{number}", _TEMPLATE), "act", "t", content, 0, None)
            for index, number in enumerate(numbers)
        ]
        self.runtime.invoke(_CALLER, calls, now_ns=self._now_ns)
        replies = turns = 0
        for _ in range(ROUNDS_MAX):
            if replies == len(numbers):
                break
            outgoing = self._work()
            replies += sum(len(columns.ids) for _, columns in outgoing.callers)
            due = [turn for _, out in outgoing.hosts for turn in out.turns]
            turns += len(due)
            did = TurnEffects(state=OpaqueState("type.googleapis.com/test.Cart", content))
            answers = [(turn, "t", content, did) for turn in due]
            self.runtime.host_answered(_HOST, answers, (), now_ns=self._now_ns, wall_ms=self._now_ns // 1_000_000)
            self._replica.persisted(self._persisted, now_ns=self._now_ns)
        verify([len(numbers)] * 2, [turns, replies])

    def fill(self, count: int) -> float:
        """Calls so many instances, so that all are in memory; the processor time it took, in seconds."""
        began_s = time.process_time()
        for first in range(0, count, IN_FLIGHT):
            self.call(range(first, min(first + IN_FLIGHT, count)))
        took_s = time.process_time() - began_s
        verify(count, self.runtime.active)
        return took_s

    def empty(self) -> None:
        """Puts all of them out of memory."""
        while self.runtime.active:
            self.runtime.relieve(now_ns=self._now_ns)
        self._work()

    def _work(self) -> Outgoing:
        """A loop turn, as the engine does it."""
        replica, runtime = self._replica, self.runtime
        replica.tick(now_ns=self._now_ns, wall_ms=self._now_ns // 1_000_000)
        self._events()
        runtime.tick(now_ns=self._now_ns, wall_ms=self._now_ns // 1_000_000)
        runtime.seal()
        for output in replica.take_outgoing():
            if isinstance(output, Persist):
                self._persisted = output.seq
        self._events()
        return runtime.take_outgoing()

    def _events(self) -> None:
        for event in self._replica.take_events():
            if isinstance(event, Changed):
                self.runtime.state_changed(event.key, event.touched, event.version)
            elif isinstance(event, Committed):
                self.runtime.committed(event.ticket)
            elif isinstance(event, ReadAt):
                self.runtime.read_done(event)


async def client(job: Job) -> Sample:
    """Does what `job.case` says."""
    if job.case == "spread":
        return Sample(rate=_spread())
    node = Node()
    if job.case in {"activate", "call"}:
        took_s = node.fill(RATED)
        if job.case == "call":
            took_s = node.fill(RATED)
        return Sample(rate=RATED / took_s, cpu_us=1e6 * took_s / RATED)
    before = _resident()
    node.fill(ACTORS)
    full = _resident()
    if job.case == "idle_bytes":
        return Sample(rate=(full - before) / ACTORS)
    node.empty()
    return Sample(rate=max(1.0, (full - _resident()) / ACTORS))


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_full_info().uss)


def _spread() -> float:
    nodes = [f"node-{number}" for number in range(NODES)]
    actors = (ActorAddress(_SYSTEM, f"cart-{number}", _TEMPLATE) for number in range(ACTORS))
    counts = Counter(owner(actor, nodes, b"benchmarks") for actor in actors)
    verify(ACTORS, sum(counts.values()))
    return max(counts.values()) * NODES / ACTORS


if __name__ == "__main__":
    run_client(client)
