"""One machine: what outlives the processes on it. A name may move to another machine, and a disk may come from one."""

import random
from collections import Counter
from typing import Final

from crdtmesh.backups import LEFT_OUT
from gossip.identity import Endpoint
from simulations.clocks import MachineClock
from simulations.plan import DiskShape
from simulations.scheduler import Scheduler, SeedStreams
from simulations.storage import SimulatedDisk

GOSSIP_PORT: Final = 7946


class Machine:
    """The machine of one node.

    Attributes:
        name: of the node.
        endpoint: of its gossip port.
        clock: monotonic and wall.
        disk: what is on it now.
        starts: how often a process was started.
        damage: what was done to the disk since the last good start; empty for nothing.
    """

    def __init__(
        self,
        name: str,
        number: int,
        *,
        scheduler: Scheduler,
        seeds: SeedStreams,
        counts: Counter[str],
        shape: DiskShape,
    ) -> None:
        self.name = name
        self.clock = MachineClock(scheduler)
        self.starts = 0
        self.damage = ""
        self._number = number
        self._moves = 0
        self._scheduler = scheduler
        self._seeds = seeds
        self._counts = counts
        self._disks = 0
        self.disk = self._new_disk(shape)
        self._backup: SimulatedDisk | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where its gossip port is."""
        return Endpoint(f"10.{self._moves}.{self._number >> 8}.{self._number & 255}", GOSSIP_PORT)

    def rng(self) -> random.Random:
        """The entropy of the next process; another machine of the same name has another."""
        self.starts += 1
        return self._seeds.stream("node", self.name, self._number, self.starts)

    def move(self) -> None:
        """Gets another address."""
        self._moves += 1

    def wipe(self) -> None:
        """Gets a new disk."""
        self.disk = self._new_disk(self.disk.shape)
        self.damage = ""

    def back_up(self) -> None:
        """Copies the disk away as `crdtmesh backup` does; a later copy takes its place."""
        self._backup = self._new_disk(self.disk.shape)
        self._backup.copy_of(self.disk)
        for key in LEFT_OUT:
            self._backup.image.state.pop(key, None)

    def restore(self) -> bool:
        """Puts the copy in the place of the disk; whether there is one."""
        if self._backup is None:
            return False
        self.disk.copy_of(self._backup)
        return True

    def _new_disk(self, shape: DiskShape) -> SimulatedDisk:
        # A new disk must not repeat the chances of the one before.
        self._disks += 1
        rng = self._seeds.stream("disk", self.name, self._number, self._disks)
        return SimulatedDisk(scheduler=self._scheduler, rng=rng, counts=self._counts, shape=shape)
