"""A key that is deleted, forgotten and made again, on a node that dies within the next checkpoint.

The row of the deleted entry stays on disk until the next checkpoint ends, for the index on disk names its number. Once
the key was made again under another number, a slice of that checkpoint wrote a second row of the same key, and after a
crash before the end the node refused its own disk. And a row that stays must not bring back what was deleted: when the
key is made again after the checkpoint began, the log that tells of the deletion is cut at its end.
"""

import random

from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.base import StoreImage
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist
from crdtmesh.replication.replica import Replica

BASKET = EntryKey("shop", "basket", "ORSet")
PRICE = EntryKey("shop", "price", "LWWRegister")
WALL_MS = 1_750_000_000_000
OPTIONS = ReplicationOptions(
    shards=1, checkpoint_log_rows=6, checkpoint_slice_entries=1, trim_runs_min=1, trim_interval_ns=SECOND_NS
)


class _Node:
    """A replica without peers. Each update is on disk at once, and after each one it is asked what a crash would do."""

    def __init__(self) -> None:
        self._disk = StoreImage()
        self._now_ns = 0
        self._starts = 0
        self._replica = self._start()
        self.problems: list[str] = []

    def update(self, key: EntryKey, operation: str, argument: str) -> bool:
        """One update in a group of its own; whether a checkpoint has more to write after it."""
        self._replica.update(key, [Operation(operation, (argument,))], ticket=None, wall_ms=WALL_MS)
        for output in self._replica.take_outgoing():
            if isinstance(output, Persist):
                self._disk.apply(output.records)
                self._replica.persisted(output.seq, now_ns=self._now_ns)
        self._replica.take_events()
        self._compare()
        return self._replica._outlet.checkpoints.is_running

    def write(self, *, until_running: bool) -> None:
        """Updates something else until a checkpoint begins, or ends."""
        number = 0
        while self.update(PRICE, "set", f"price {number}") is not until_running:
            number += 1

    def forget(self) -> None:
        """Lets the index forget by age, and with it entries of which nothing is left."""
        for _ in range(2):
            self._now_ns += 2 * OPTIONS.index_age_ns
            self._replica.tick(now_ns=self._now_ns, wall_ms=WALL_MS)

    def _start(self) -> Replica:
        self._starts += 1
        replica_id = self._starts.to_bytes(16, "big")
        rng = random.Random(self._starts)
        replica = Replica(OPTIONS, node="a", replica_id=replica_id, rng=rng, now_ns=self._now_ns, wall_ms=WALL_MS)
        replica.load(self._disk.load())
        return replica

    def _compare(self) -> None:
        try:
            found = _basket(self._start())
        except CorruptRecord as error:
            self.problems.append(f"after start {self._starts}: refuses its own disk: {error}")
            return
        if found != _basket(self._replica):
            self.problems.append(f"after start {self._starts}: {found!r}, expected {_basket(self._replica)!r}")


def _basket(replica: Replica) -> object:
    view = replica.read(BASKET)
    return None if view is None else view.value()


def _forgetful() -> _Node:
    """A node whose last checkpoint wrote the basket with milk in it; since then it was emptied, and forgotten."""
    node = _Node()
    node.update(BASKET, "add", "milk")
    node.write(until_running=True)
    node.write(until_running=False)
    node.update(BASKET, "remove", "milk")
    node.forget()
    return node


def run() -> list[str]:
    """What went wrong; nothing if all is well."""
    before = _forgetful()
    before.update(BASKET, "add", "eggs")
    before.write(until_running=True)
    before.write(until_running=False)
    after = _forgetful()
    after.write(until_running=True)
    after.update(BASKET, "add", "eggs")
    after.write(until_running=False)
    return [
        f"made again {when} a checkpoint began: {problem}"
        for when, node in (("before", before), ("after", after))
        for problem in node.problems
    ]
