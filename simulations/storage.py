"""A disk that forgets what was not synced, behind the `Store` protocol that the real one has.

`SimulatedDisk` is what outlives a crash; `SimulatedStore` is one run's hold on it. As in the real store, one
transaction runs at a time and everything queued meanwhile becomes the next. A crash keeps what was synced, and of the
transaction that was under way either all or nothing: it may be on the platter although nobody was told.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from crdtmesh.persistence.base import Completion, Record, StoreImage, StoreMeta
from crdtmesh.persistence.errors import StoreInUse
from crdtmesh.persistence.memory import check_meta
from simulations.plan import DiskShape
from simulations.scheduler import Scheduler

# Half of the crashes within a transaction find it complete.
IN_FLIGHT_SURVIVES: Final = 0.5


@dataclass(slots=True)
class SimulatedDisk:
    """The platter of one node.

    Attributes:
        shape: how it behaves from now on; a heal replaces it.
        image: what is synced.
        meta: whose it is, once a store was opened on it.
    """

    scheduler: Scheduler
    rng: random.Random
    counts: Counter[str]
    shape: DiskShape
    image: StoreImage = field(default_factory=StoreImage)
    meta: StoreMeta | None = None
    is_locked: bool = False

    def sync_ns(self) -> int:
        """How long the next transaction takes."""
        shape = self.shape
        delay_ns = self.rng.randint(shape.sync_ns_min, shape.sync_ns_max)
        if self.rng.random() < shape.slow:
            self.counts["sync_slow"] += 1
            delay_ns = self.rng.randint(delay_ns, shape.slow_ns_max)
        return delay_ns

    def sync_fails(self) -> bool:
        """Whether this transaction meets an error."""
        if self.rng.random() >= self.shape.error:
            return False
        self.counts["sync_error"] += 1
        return True


class SimulatedStore:
    """One run's store on a `SimulatedDisk`; see `Store` for what the methods promise."""

    def __init__(self, *, node: str, cluster: str, completion: Completion, disk: SimulatedDisk) -> None:
        self._node = node
        self._cluster = cluster
        self._completion = completion
        self._disk = disk
        self._queue: list[tuple[int, Sequence[Record]]] = []
        self._in_flight: list[tuple[int, Sequence[Record]]] = []
        self._failure: str | None = None
        self._is_open = False

    def open(self) -> StoreMeta:
        """Locks the disk and checks whose it is."""
        disk = self._disk
        if disk.is_locked:
            raise StoreInUse("the disk is in use by another store; close that one first")
        check_meta(disk.meta, node=self._node, cluster=self._cluster, where="the disk")
        meta = StoreMeta(node=self._node, cluster=self._cluster, is_fresh=disk.meta is None)
        if disk.meta is None:
            disk.meta = StoreMeta(node=self._node, cluster=self._cluster)
        disk.is_locked = self._is_open = True
        return meta

    def load(self) -> Iterator[Record]:
        """State rows by key, then the log."""
        return self._disk.image.load()

    def write(self, seq: int, records: Sequence[Record]) -> None:
        """Queues a group; the completion comes after the sync of the transaction that it goes into."""
        self._queue.append((seq, records))
        if not self._in_flight:
            self._begin()

    def close(self) -> None:
        """Writes what is queued at once and releases the disk."""
        if self._is_open:
            if self._failure is None:
                for _, records in [*self._in_flight, *self._queue]:
                    self._disk.image.apply(records)
            self._release()

    def crash(self) -> None:
        """The process is gone: nothing is written any more, and nobody is told anything."""
        disk = self._disk
        if self._in_flight and self._failure is None:
            if disk.rng.random() < IN_FLIGHT_SURVIVES:
                for _, records in self._in_flight:
                    disk.image.apply(records)
            else:
                self._queue += self._in_flight
        if self._queue:
            disk.counts["unsynced_lost"] += len(self._queue)
        self._release()

    def _release(self) -> None:
        self._queue.clear()
        self._in_flight = []
        self._is_open = False
        self._disk.is_locked = False

    def _begin(self) -> None:
        self._in_flight, self._queue = self._queue, []
        self._disk.scheduler.after(self._disk.sync_ns(), partial(self._finish, self._in_flight))

    def _finish(self, transaction: list[tuple[int, Sequence[Record]]]) -> None:
        if self._in_flight is not transaction or not self._is_open:
            return  # crashed, or closed, meanwhile
        if self._failure is None and self._disk.sync_fails():
            self._failure = "simulated I/O error"
        if self._failure is None:
            for _, records in transaction:
                self._disk.image.apply(records)
        self._in_flight = []
        if self._queue:
            self._begin()
        if self._failure is None:
            self._completion(transaction[-1][0], None)
            return
        for seq, _ in transaction:
            self._completion(seq, self._failure)
