"""What a call costs in the cores of a node alone: the production replica and runtime, driven in process without I/O.

Between `local_call` and a profile: no stream, no host, no disk, so the figure is processor time of the cores and of
nothing else, and moves by what is changed in them. Calls come in as tuples, IN_FLIGHT of them at a time over 256
actors; every turn is answered, every group of records is persisted at once, every reply is counted. `echo` has no
state, `counter_durable` increments a PN-counter, `set_durable` adds to an add-wins set of up to 50 elements. There is
no base: the rate is calls per second of processor time.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.harness import Options, alternate
from benchmarks.load import ACTORS, Job, payload, run_client, verify
from benchmarks.measures import Line, Sample, median_of
from benchmarks.processes import Children
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import Changed, Committed, Persist
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.messages import CallerId, HostId, Outgoing
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.runtime import Runtime

CASES: Final = ("echo", "counter_durable", "set_durable")
IN_FLIGHT: Final = (64, 256)

_STATES: Final = {"echo": None, "counter_durable": "crdtmesh.v1.PNCounter", "set_durable": "crdtmesh.v1.ORSet"}
_ACTORS: Final = [ActorAddress("benchmarks", f"actor-{number:04}") for number in range(ACTORS)]
_CALLER: Final = CallerId(1)
_HOST: Final = HostId(1)
_ROUND_NS: Final = 1_000_000
_COMMAND: Final = ("benchmarks.node_cores", "client")


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases, each sample in a fresh process."""
    for case in CASES:
        if not options.wants(case):
            continue
        for concurrency in IN_FLIGHT:
            job = Job(concurrency=concurrency, seconds=options.seconds, case=case)
            label = f"node_cores {case} {concurrency} in flight"
            sides = {"cores": functools.partial(children.client, _COMMAND, job)}
            measured = alternate(sides, pairs=options.pairs, label=label)["cores"]
            yield Line(
                bench="node_cores",
                case=case,
                base=None,
                subject="replica and runtime",
                concurrency=concurrency,
                ratio=None,
                base_rate=None,
                subject_rate=median_of([sample.rate for sample in measured]),
                server_cpu=None,
                p50_ms=None,
                p99_ms=None,
                subject_cpu_us=median_of([sample.cpu_us for sample in measured]),
            )


class Node:
    """The cores of a node with one caller and one host.

    Attributes:
        replies: calls that were answered.
    """

    def __init__(self, case: str) -> None:
        self.replies = 0
        self._case = case
        self._now_ns = 0
        self._persisted = 0
        self._calls = 0
        self._replica = Replica(
            ReplicationOptions(), node="node", replica_id=bytes(16), rng=random.Random(1), now_ns=0, wall_ms=1
        )
        self._replica.load(())
        self._runtime = Runtime(
            RuntimeOptions(),
            placement=Placement("node", b"benchmarks"),
            replica=self._replica,
            encode_state=lambda name, value: repr((name, value)).encode(),
            now_ns=0,
        )
        state = _STATES[case]
        self._runtime.host_connected(
            _HOST,
            [
                ActorDefinition(
                    address=actor, is_stateful=state is not None, state_type=state, actions=frozenset({"act"})
                )
                for actor in _ACTORS
            ],
            now_ns=0,
        )

    def round(self, count: int) -> None:
        """So many calls at once: taken, handed out, answered, made durable and replied to."""
        self._now_ns += _ROUND_NS
        calls = range(self._calls, self._calls + count)
        self._calls += count
        content = payload(self._calls)
        self._runtime.invoke(
            _CALLER, [(n, _ACTORS[n % ACTORS], "act", "t", content, 0, None) for n in calls], now_ns=self._now_ns
        )
        answers = [(turn, "t", content, self._operations(turn)) for _, out in self._work().hosts for turn in out.turns]
        verify(count, len(answers))
        self._runtime.host_answered(_HOST, answers, (), now_ns=self._now_ns, wall_ms=self._now_ns // 1_000_000)
        self._count(self._work())
        self._replica.persisted(self._persisted, now_ns=self._now_ns)
        self._count(self._work())

    def _operations(self, turn: int) -> tuple[Operation, ...]:
        if self._case == "echo":
            return ()
        if self._case == "counter_durable":
            return (Operation("increment", (1,)),)
        return (Operation("add", (f"item-{turn % 50}",)),)

    def _work(self) -> Outgoing:
        """A loop turn, as the engine does it."""
        replica, runtime = self._replica, self._runtime
        replica.tick(now_ns=self._now_ns, wall_ms=self._now_ns // 1_000_000)
        self._events()
        runtime.tick(now_ns=self._now_ns, wall_ms=self._now_ns // 1_000_000)
        runtime.seal()
        for output in replica.take_outgoing():
            if isinstance(output, Persist):
                self._persisted = output.seq
        self._events()
        outgoing = runtime.take_outgoing()
        runtime.next_deadline_ns()
        replica.next_deadline_ns()
        return outgoing

    def _events(self) -> None:
        for event in self._replica.take_events():
            if isinstance(event, Changed):
                self._runtime.state_changed(event.key, event.touched, event.version)
            elif isinstance(event, Committed):
                self._runtime.committed(event.ticket)

    def _count(self, outgoing: Outgoing) -> None:
        for _, columns in outgoing.callers:
            verify([], columns.failures)
            self.replies += len(columns.ids)


async def client(job: Job) -> Sample:
    """Rounds for `job.seconds`."""
    node = Node(job.case)
    for _ in range(10):
        node.round(job.concurrency)
    node.replies = rounds = 0
    until_s = time.perf_counter() + job.seconds
    began_s = time.process_time()
    while time.perf_counter() < until_s:
        node.round(job.concurrency)
        rounds += 1
    took_s = time.process_time() - began_s
    verify(rounds * job.concurrency, node.replies)
    return Sample(rate=node.replies / took_s, cpu_us=1e6 * took_s / node.replies)


if __name__ == "__main__":
    run_client(client)
