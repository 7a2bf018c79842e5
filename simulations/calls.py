"""Calls at one node: what the edge and the runtime do between a client and the replication core.

Local writers of one key pass one queue. Some updates are *turns*: they hold a snapshot while a handler runs, and are
computed against it. A client is told only when the commit barrier says so; what waits when the process dies is unknown.
"""

import random
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Final

from crdtmesh.crdts.dots import DOT_BITS, N_MAX
from crdtmesh.crdts.errors import CrdtError
from crdtmesh.replication.entry import Snapshot
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from simulations.history import Applied, Call, Outcome
from simulations.plan import WorkloadPlan
from simulations.scheduler import Action, Scheduler
from simulations.trace import Trace
from simulations.workload import Done

_REFUSALS: Final = (ReplicationError, CrdtError)


@dataclass(slots=True)
class _Waiting:
    call: Call
    done: Done


class CallServer:
    """Serves the calls of one run of a node.

    Args:
        replica: where updates and reads go.
        scheduler: virtual time.
        rng: of this run.
        plan: how often an update is a turn, and how long its handler takes.
        trace: gets every reply.
        node: name, for the trace.
        wall_ms: the node's wall clock.
        resume: has an action run as an input of the node: later if it is paused, never if it is gone.
    """

    def __init__(
        self,
        replica: Replica,
        *,
        scheduler: Scheduler,
        rng: random.Random,
        plan: WorkloadPlan,
        trace: Trace,
        node: str,
        wall_ms: Callable[[], int],
        resume: Callable[[Action], None],
    ) -> None:
        self._replica = replica
        self._scheduler = scheduler
        self._rng = rng
        self._plan = plan
        self._trace = trace
        self._node = node
        self._wall_ms = wall_ms
        self._resume = resume
        self._waiting: dict[Hashable, _Waiting] = {}
        self._queues: dict[EntryKey, deque[Action]] = {}

    def submit(self, call: Call, done: Done) -> None:
        """Takes a call; `done` is called once, whatever becomes of this node."""
        self._waiting[call.number] = _Waiting(call, done)
        self._resume(partial(self._enqueue if call.is_update else self._read, call))

    def committed(self, ticket: Hashable) -> None:
        """The commit barrier lets a reply go."""
        self._complete(ticket, Outcome.OK)

    def commit_failed(self, ticket: Hashable) -> None:
        """What a reply waited for will never be on disk."""
        self._complete(ticket, Outcome.UNKNOWN)

    def lost(self) -> None:
        """The process is gone."""
        for ticket in list(self._waiting):
            self._complete(ticket, Outcome.UNKNOWN)

    def _read(self, call: Call) -> None:
        view = self._replica.read(call.key)
        call.value = view.value() if view is not None else None
        self._replica.barrier(call.number)

    def _enqueue(self, call: Call) -> None:
        queue = self._queues.setdefault(call.key, deque())
        queue.append(partial(self._update, call))
        if len(queue) == 1:
            queue[0]()

    def _update(self, call: Call) -> None:
        if self._rng.random() >= self._plan.turns:
            self._apply(call, None)
            return
        snapshot = self._replica.snapshot(call.key)
        call.visible = applied_of(self._replica, call.key.system)
        delay_ns = self._rng.randint(0, self._plan.handler_ns_max)
        self._scheduler.after(delay_ns, partial(self._resume, partial(self._apply, call, snapshot)))

    def _apply(self, call: Call, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            call.visible = applied_of(self._replica, call.key.system)
        try:
            result = self._replica.update(
                call.key, call.operations, ticket=call.number, wall_ms=self._wall_ms(), view=snapshot
            )
            call.event = result.event
        except _REFUSALS:
            self._complete(call.number, Outcome.FAILED)
        finally:
            if snapshot is not None:
                snapshot.close()
        queue = self._queues[call.key]
        queue.popleft()
        if queue:
            queue[0]()

    def _complete(self, ticket: Hashable, outcome: Outcome) -> None:
        entry = self._waiting.pop(ticket, None)
        if entry is None:
            return
        call = entry.call
        call.outcome = outcome
        call.completed_ns = self._scheduler.now_ns
        self._trace.note("reply", self._node, call.number, outcome, repr(call.value))
        entry.done(call)


def applied_of(replica: Replica, system: str) -> Applied:
    """The events that a replica has applied, in a form that outlives it."""
    # Private, since production has no use for it: a checker that asked the cores what they promise would check nothing.
    applied: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
    for shard in replica._systems.get(system) or ():
        for first, last in shard.applied.intervals():
            owner = shard.number, shard.table.id_of(first >> DOT_BITS)
            applied.setdefault(owner, []).append((first & N_MAX, last & N_MAX))
    return {owner: tuple(runs) for owner, runs in sorted(applied.items())}
