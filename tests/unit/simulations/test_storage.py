"""The seeded disk: what a crash leaves, and what a sync error does."""

import random
from collections import Counter

import pytest

from crdtmesh.persistence.base import LogRecord, Record
from crdtmesh.persistence.errors import CorruptRecord
from simulations.plan import DiskShape
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler
from simulations.storage import SimulatedDisk, SimulatedStore


class Bench:
    def __init__(self, *, seed: int = 1, shape: DiskShape | None = None) -> None:
        self.scheduler = Scheduler()
        self.counts: Counter[str] = Counter()
        self.disk = SimulatedDisk(
            scheduler=self.scheduler, rng=random.Random(seed), counts=self.counts, shape=shape or DiskShape()
        )
        self.told: list[tuple[int, str | None]] = []

    def store(self) -> SimulatedStore:
        store = SimulatedStore(
            node="a", cluster="c", completion=lambda seq, error: self.told.append((seq, error)), disk=self.disk
        )
        store.open()
        return store

    def survivors(self) -> list[bytes]:
        return [record.data for record in self.store().load() if isinstance(record, LogRecord)]


def row(number: int) -> list[Record]:
    return [LogRecord(bytes([number]))]


def test_nothing_is_told_before_the_sync() -> None:
    bench = Bench(shape=DiskShape(sync_ns_min=MILLISECOND_NS, sync_ns_max=MILLISECOND_NS))
    bench.store().write(1, row(1))
    bench.scheduler.run_until(MILLISECOND_NS - 1)
    assert [] == bench.told
    bench.scheduler.run_until(MILLISECOND_NS)
    assert [(1, None)] == bench.told


def test_what_was_told_survives_a_crash_and_what_was_queued_does_not() -> None:
    for seed in range(20):
        bench = Bench(seed=seed)
        store = bench.store()
        store.write(1, row(1))
        bench.scheduler.run_until(SECOND_NS)
        for number in (2, 3, 4):
            store.write(number, row(number))
        store.crash()
        bench.scheduler.run_until(2 * SECOND_NS)
        assert [(1, None)] == bench.told
        assert bench.survivors() in ([b"\x01"], [b"\x01", b"\x02"])


def test_transaction_under_way_at_a_crash_survives_in_some_seeds_only() -> None:
    outcomes = set()
    for seed in range(20):
        bench = Bench(seed=seed)
        store = bench.store()
        store.write(1, row(1))
        store.crash()
        outcomes.add(tuple(bench.survivors()))
    assert {(), (b"\x01",)} == outcomes


def test_groups_queued_during_a_transaction_become_the_next_one() -> None:
    bench = Bench()
    store = bench.store()
    for number in (1, 2, 3):
        store.write(number, row(number))
    bench.scheduler.run_until(SECOND_NS)
    assert [(1, None), (3, None)] == bench.told


def test_after_a_sync_error_every_group_fails_and_none_is_kept() -> None:
    bench = Bench(shape=DiskShape(error=1.0))
    store = bench.store()
    for number in (1, 2):
        store.write(number, row(number))
        bench.scheduler.run_until(number * SECOND_NS)
    store.crash()
    assert [1, 2] == [seq for seq, error in bench.told if error is not None]
    assert [] == bench.survivors()
    assert 1 == bench.counts["sync_error"]


def test_flipped_bit_is_noticed_when_the_disk_is_loaded() -> None:
    disk = SimulatedDisk(scheduler=Scheduler(), rng=random.Random(1), counts=Counter(), shape=DiskShape())
    assert not disk.flip_bit()
    disk.image.log.append(b"whole")
    disk.check()
    assert disk.flip_bit()
    with pytest.raises(CorruptRecord):
        disk.check()


def test_copied_disk_is_a_disk_of_its_own() -> None:
    scheduler, counts = Scheduler(), Counter[str]()
    disks = [
        SimulatedDisk(scheduler=scheduler, rng=random.Random(1), counts=counts, shape=DiskShape()) for _ in range(2)
    ]
    disks[0].image.log.append(b"row")
    disks[1].copy_of(disks[0])
    disks[0].image.log.append(b"later")
    assert [b"row"] == disks[1].image.log


def test_full_disk_fails_every_write_until_there_is_room() -> None:
    disk = SimulatedDisk(scheduler=Scheduler(), rng=random.Random(1), counts=Counter(), shape=DiskShape())
    assert disk.sync_error() is None
    disk.is_full = True
    assert disk.sync_error() is not None
