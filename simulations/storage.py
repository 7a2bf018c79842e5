"""A disk that forgets what was not synced, behind the `Store` protocol that the real one has.

`SimulatedDisk` is what outlives a crash; `SimulatedStore` is one run's hold on it. As in the real store, one
transaction runs at a time and everything queued meanwhile becomes the next. A crash keeps what was synced, and of the
transaction that was under way either all or nothing: it may be on the platter although nobody was told.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from crdtmesh.persistence.base import Completion, Loaded, Record, StoreImage, StoreMeta
from crdtmesh.persistence.errors import CorruptRecord, StoreInUse
from crdtmesh.persistence.memory import check_meta
from simulations.plan import DiskShape
from simulations.scheduler import Scheduler

# Half of the crashes within a transaction find it complete.
IN_FLIGHT_SURVIVES: Final = 0.5
# Of the others, half were being written.
IN_FLIGHT_TORN: Final = 0.25


@dataclass(slots=True)
class SimulatedDisk:
    """The platter of one node.

    Attributes:
        shape: how it behaves from now on; a heal replaces it.
        image: what is synced.
        meta: whose it is, once a store was opened on it.
        is_locked: a store has it open.
        is_full: every write fails.
        slow: told of a slow transaction, and how long it takes.
    """

    scheduler: Scheduler
    rng: random.Random
    counts: Counter[str]
    shape: DiskShape
    image: StoreImage = field(default_factory=StoreImage)
    meta: StoreMeta | None = None
    is_locked: bool = False
    is_full: bool = False
    slow: Callable[[int], None] | None = None
    _rotten: bytes | None = None

    def sync_ns(self) -> int:
        """How long the next transaction takes."""
        shape = self.shape
        delay_ns = self.rng.randint(shape.sync_ns_min, shape.sync_ns_max)
        if self.rng.random() < shape.slow:
            self.counts["sync_slow"] += 1
            delay_ns = self.rng.randint(delay_ns, shape.slow_ns_max)
            if self.slow is not None:
                self.slow(delay_ns)
        return delay_ns

    def sync_error(self) -> str | None:
        """The error that this transaction meets, if any."""
        if self.is_full:
            self.counts["disk_full_write"] += 1
            return "simulated disk is full"
        if self.rng.random() >= self.shape.error:
            return None
        self.counts["sync_error"] += 1
        return "simulated I/O error"

    def copy_of(self, other: "SimulatedDisk") -> None:
        """Takes over what another disk holds, as a copied data directory."""
        self.image = StoreImage(dict(other.image.state), list(other.image.log))
        self.meta = other.meta

    def flip_bit(self) -> bool:
        """Changes one bit of one row; whether there was a row. Each row has a checksum, as in the real store."""
        rows: list[bytes] = [*self.image.state, *self.image.log]
        if not rows:
            return False
        number = self.rng.randrange(len(rows))
        if number < len(self.image.state):
            key = rows[number]
            self._rotten = self.image.state[key] = _flipped(self.image.state[key], self.rng)
        else:
            index = number - len(self.image.state)
            self._rotten = self.image.log[index] = _flipped(self.image.log[index], self.rng)
        return True

    def check(self) -> None:
        """Compares all rows with their checksums.

        Raises:
            CorruptRecord: one is not what was written.
        """
        if self._rotten is not None and (self._rotten in self.image.log or self._rotten in self.image.state.values()):
            raise CorruptRecord("a row's checksum is wrong; restore a backup")


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

    def load(self) -> Iterator[Loaded]:
        """State rows by key, then the log."""
        self._disk.check()
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
            fate = disk.rng.random()
            if fate < IN_FLIGHT_SURVIVES:
                for _, records in self._in_flight:
                    disk.image.apply(records)
            else:
                # Nothing of it reached the platter, or a part: that one has no good checksum and counts as nothing.
                if fate > 1 - IN_FLIGHT_TORN:
                    disk.counts["torn_write"] += 1
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
        if self._failure is None:
            self._failure = self._disk.sync_error()
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


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data or b"\0")
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
