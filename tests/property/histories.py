"""Random histories of a few replicas, and what the entries must be at their end.

A history is drawn from its seed: updates, turns of the disks, losses, repeats, reorderings, cut links, crashes with and
without the disk, and indexes that forget what others lack. At its end all replicas are repaired; then each entry must
be what a plain function of the operations says, by what each operation had seen: the events that its replica had
applied.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, EventRun, SendTo
from simulations.history import Applied, holds
from simulations.recorder import applied_of
from tests.unit.crdtmesh.replication.mesh import Mesh

SYSTEM = "shop"
SETS = [EntryKey(SYSTEM, f"set{number}", "ORSet") for number in range(4)]
COUNTER = EntryKey(SYSTEM, "stock", "PNCounter")


@dataclass
class Done:
    """An update, and the events that its replica had applied before."""

    key: EntryKey
    operation: Operation
    event: EventRun
    seen: Applied


@dataclass
class History:
    """One history; `run` plays it to its end.

    Attributes:
        seed: all else is drawn from it.
        crashes: how often nodes crash, beside 10 for updates.
        steps: how long it is.
    """

    seed: int
    crashes: float = 1.0
    steps: int = 60
    done: list[Done] = field(default_factory=list)
    handovers: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        rng = self.rng
        self.names = "abcd"[: rng.choice((2, 3, 3, 4))]
        self.mesh = Mesh(
            self.names,
            seed=self.seed,
            options=ReplicationOptions(
                shards=rng.choice((1, 1, 2)),
                checkpoint_log_rows=rng.choice((3, 10, 1000)),
                checkpoint_slice_entries=rng.choice((1, 100)),
                repair_chunk_bytes=rng.choice((1, 100, 10_000)),
                repair_chunks_in_flight=rng.choice((1, 2)),
                trim_runs_min=1,
                trim_interval_ns=rng.choice((SECOND_NS, 3600 * SECOND_NS)),
                audit_interval_ns=3 * SECOND_NS,
            ),
        )
        self.has_lost_a_disk = False
        self.forgetful = rng.random() < 0.8
        self.loss = rng.choice((0.0, 0.3, 0.6))
        self.in_flight: list[tuple[str, SendTo]] = []
        self.mesh.connect_all()

    def run(self) -> list[str]:
        """What went wrong; nothing if all is well."""
        for _ in range(self.steps):
            self._step()
        for name in self.names:
            self._collect(name)
        try:
            self.mesh.settle()
        except AssertionError:
            return ["replicas differ for ever"]
        for _ in range(40):
            if self._has_applied_the_same():
                break
            self.mesh.advance()
            self.mesh.drain()
        else:
            return ["replicas never apply the same"]
        for name in self.names:
            self.handovers += self.mesh[name].replica._receiver.stagings.count
        problems = [problem for name in self.names for problem in self._check(name)]
        return problems + [problem for name in self.names for problem in self._check_disk(name)]

    def _has_applied_the_same(self) -> bool:
        applied = [applied_of(self.mesh[name].replica, SYSTEM) for name in self.names]
        return all(each == applied[0] for each in applied)

    def _step(self) -> None:
        rng, mesh = self.rng, self.mesh
        name = rng.choice(self.names)
        kind = rng.choices(
            ("update", "sync", "deliver", "wait", "forget", "cut", "crash", "wipe"),
            (10, 8, 20, 3, 3 if self.forgetful else 0, 1, self.crashes, 0.3),
        )[0]
        if kind == "update":
            self._update(name)
        elif kind == "sync":
            mesh[name].sync(now_ns=mesh.now_ns)
            self._collect(name)
        elif kind == "deliver":
            self._deliver()
        elif kind == "wait":
            mesh.advance(rng.choice((0.1, 1.0, 3.0)))
        elif kind == "forget":
            mesh.forget_all(name)
        elif kind == "cut":
            self._cut(name)
        else:
            self.has_lost_a_disk |= kind == "wipe"
            mesh.restart(name, keep_disk=kind == "crash")
            for other in self.names:
                if other != name:
                    mesh.connect(name, other)

    def _update(self, name: str) -> None:
        rng = self.rng
        if rng.random() < 0.2:
            key, operation = COUNTER, Operation("increment", (rng.randint(1, 5),))
        else:
            key = rng.choice(SETS)
            element = rng.randint(0, 3)
            operation = Operation(rng.choice(("add", "add", "remove")), (element,))
        seen = applied_of(self.mesh[name].replica, SYSTEM)
        event = self.mesh.update(name, key, operation).event
        if event is not None:
            self.done.append(Done(key, operation, event, seen))

    def _collect(self, name: str) -> None:
        self.mesh[name].flush()
        self.in_flight += [(name, message) for message in self.mesh.take_sent(name)]

    def _deliver(self) -> None:
        if not self.in_flight:
            return
        at = self.rng.choice((0, 0, self.rng.randrange(len(self.in_flight))))
        source, message = self.in_flight[at]
        if self.rng.random() < 0.9:
            del self.in_flight[at]
        if self.rng.random() >= self.loss:
            self.mesh.deliver(source, message)
            self.mesh[message.peer].sync(now_ns=self.mesh.now_ns)
            self._collect(message.peer)

    def _cut(self, name: str) -> None:
        other = self.rng.choice([other for other in self.names if other != name])
        self.mesh.disconnect(name, other)
        self.mesh.connect(name, other)

    # --- what must be

    def _check_disk(self, name: str) -> list[str]:
        """A restart brings everything back."""
        self.mesh[name].sync(now_ns=self.mesh.now_ns)
        before = self.mesh[name].replica.digest(SYSTEM), applied_of(self.mesh[name].replica, SYSTEM)
        self.mesh.restart(name)
        after = self.mesh[name].replica.digest(SYSTEM), applied_of(self.mesh[name].replica, SYSTEM)
        return [] if before == after else [f"{name} has something else after a restart"]

    def _check(self, name: str) -> list[str]:
        applied = applied_of(self.mesh[name].replica, SYSTEM)
        survived = [done for done in self.done if holds(applied, done.event)]
        problems = []
        for key in SETS:
            expected = self._elements([done for done in survived if done.key == key])
            value = self.mesh.value(name, key) or ()
            assert isinstance(value, tuple)
            if expected != set(value):
                problems.append(f"{key.key} at {name} has {value}, expected {expected}")
        # A later increment carries the earlier ones of its replica, also those whose event was lost with a disk.
        least = sum(self._amount(done) for done in survived if done.key == COUNTER)
        most = sum(self._amount(done) for done in self.done if done.key == COUNTER)
        count = self.mesh.value(name, COUNTER) or 0
        assert isinstance(count, int)
        if not (least <= count <= most if self.has_lost_a_disk else count == least):
            problems.append(f"{COUNTER.key} at {name} is {count}, expected {least}")
        alarms = self.mesh.alarms(name)
        return problems + [f"alarm {alarm} at {name}" for alarm in alarms]

    @staticmethod
    def _amount(done: Done) -> int:
        (amount,) = done.operation.arguments
        assert isinstance(amount, int)
        return amount

    def _elements(self, survived: list[Done]) -> set[object]:
        """Add-wins: an element is in when an add of it was seen by no removal of it.

        A removal also sees the adds that its adds saw: a later add of an element takes the place of the earlier ones.
        """
        beaten: set[int] = set()
        for removed in survived:
            if removed.operation.name == "remove":
                beaten |= self._adds_below(removed)
        return {
            done.operation.arguments[0] for done in survived if done.operation.name == "add" and id(done) not in beaten
        }

    def _adds_below(self, top: Done) -> set[int]:
        found: set[int] = set()
        waiting = [top]
        while waiting:
            above = waiting.pop()
            for done in self.done:
                if (
                    done.key == top.key
                    and done.operation == Operation("add", top.operation.arguments)
                    and id(done) not in found
                    and holds(above.seen, done.event)
                ):
                    found.add(id(done))
                    waiting.append(done)
        return found
