"""The contract of a store, over the real one, the one in memory and the one of the simulator."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crdtmesh.persistence.base import LogRecord, Record, StateRecord, Store, TrimLog, records_of
from crdtmesh.persistence.errors import StoreForeign, StoreInUse
from crdtmesh.persistence.memory import MemoryDisk, MemoryStore
from crdtmesh.persistence.sqlite import SqliteOptions, SqliteStore
from simulations.plan import DiskShape
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.storage import SimulatedDisk, SimulatedStore


class Completions:
    """Collects completions from whatever thread they come on."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str | None]] = []
        self._changed = threading.Condition()
        self.let_time_pass: Callable[[], None] = lambda: None

    def __call__(self, seq: int, error: str | None) -> None:
        with self._changed:
            self.seen.append((seq, error))
            self._changed.notify_all()

    def wait_for(self, seq: int) -> None:
        self.let_time_pass()
        with self._changed:
            assert self._changed.wait_for(lambda: bool(self.seen) and self.seen[-1][0] >= seq, timeout=10)


class Bench:
    """Makes stores on one and the same disk."""

    def __init__(self, make: Callable[[str, str, Completions], Store]) -> None:
        self._make = make
        self._opened: list[Store] = []
        self.completions = Completions()

    def store(self, *, node: str = "shop-1", cluster: str = "shops") -> Store:
        store = self._make(node, cluster, self.completions)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture(params=["memory", "sqlite", "simulated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    disk = MemoryDisk()
    scheduler = Scheduler()
    platter = SimulatedDisk(scheduler=scheduler, rng=random.Random(1), counts=Counter(), shape=DiskShape())

    def make(node: str, cluster: str, completions: Completions) -> Store:
        if request.param == "memory":
            return MemoryStore(node=node, cluster=cluster, completion=completions, disk=disk)
        if request.param == "simulated":
            return SimulatedStore(node=node, cluster=cluster, completion=completions, disk=platter)
        return SqliteStore(SqliteOptions(directory=tmp_path / "data", node=node, cluster=cluster), completions)

    bench = Bench(make)
    if request.param == "simulated":
        bench.completions.let_time_pass = lambda: scheduler.run_until(scheduler.now_ns + SECOND_NS)
    yield bench
    bench.close()


def reloaded(bench: Bench, *groups: list[Record]) -> list[Record]:
    """What a second run loads after the first wrote these groups."""
    store = bench.store()
    store.open()
    for seq, records in enumerate(groups, start=1):
        store.write(seq, records)
        bench.completions.wait_for(seq)
    store.close()
    again = bench.store()
    again.open()
    return list(records_of(again.load()))


def test_new_store_is_fresh_and_empty(bench: Bench) -> None:
    store = bench.store()
    assert store.open().is_fresh
    assert [] == list(store.load())


def test_reopened_store_is_not_fresh_and_knows_its_owner(bench: Bench) -> None:
    store = bench.store()
    store.open()
    store.close()
    meta = bench.store().open()
    assert (False, "shop-1", "shops") == (meta.is_fresh, meta.node, meta.cluster)


def test_log_comes_back_in_order_of_writing(bench: Bench) -> None:
    loaded = reloaded(bench, [LogRecord(b"b"), LogRecord(b"a")], [LogRecord(b"")])
    assert [LogRecord(b"b"), LogRecord(b"a"), LogRecord(b"")] == loaded


def test_state_rows_come_first_and_in_order_of_key(bench: Bench) -> None:
    loaded = reloaded(bench, [LogRecord(b"log"), StateRecord(b"k\xff", b"2"), StateRecord(b"k", b"1")])
    assert [StateRecord(b"k", b"1"), StateRecord(b"k\xff", b"2"), LogRecord(b"log")] == loaded


def test_last_row_of_a_key_wins(bench: Bench) -> None:
    group: list[Record] = [StateRecord(b"k", b"1"), StateRecord(b"k", b"2")]
    assert [StateRecord(b"k", b"3")] == reloaded(bench, group, [StateRecord(b"k", b"3")])


def test_deleted_row_is_gone_and_may_return(bench: Bench) -> None:
    group: list[Record] = [
        StateRecord(b"a", b"1"),
        StateRecord(b"a", None),
        StateRecord(b"b", b"1"),
        StateRecord(b"b", None),
        StateRecord(b"b", b"2"),
    ]
    assert [StateRecord(b"b", b"2")] == reloaded(bench, group)


def test_trim_cuts_the_oldest_rows_and_never_its_own_group(bench: Bench) -> None:
    first: list[Record] = [LogRecord(b"1"), LogRecord(b"2"), LogRecord(b"3")]
    assert [LogRecord(b"3"), LogRecord(b"4")] == reloaded(bench, first, [LogRecord(b"4"), TrimLog(2)])


def test_trim_of_more_than_there_is_empties_the_log_before_its_group(bench: Bench) -> None:
    assert [LogRecord(b"2")] == reloaded(bench, [LogRecord(b"1")], [TrimLog(9), LogRecord(b"2")])


def test_trim_counts_from_the_oldest_row_after_a_reopening(bench: Bench) -> None:
    reloaded(bench, [LogRecord(b"1"), LogRecord(b"2"), LogRecord(b"3")], [TrimLog(1)])
    bench.close()
    assert [LogRecord(b"3"), LogRecord(b"4")] == reloaded(bench, [TrimLog(1), LogRecord(b"4")])


def test_completions_come_in_order_and_reach_the_last_group(bench: Bench) -> None:
    store = bench.store()
    store.open()
    for seq in range(1, 101):
        store.write(seq, [LogRecord(bytes([seq]))])
    bench.completions.wait_for(100)
    told = [seq for seq, _ in bench.completions.seen]
    assert sorted(told) == told
    assert 100 == told[-1]
    assert {None} == {error for _, error in bench.completions.seen}


def test_close_writes_what_is_queued(bench: Bench) -> None:
    store = bench.store()
    store.open()
    for seq in range(1, 51):
        store.write(seq, [LogRecord(bytes([seq]))])
    store.close()
    again = bench.store()
    again.open()
    assert 50 == len(list(records_of(again.load())))


def test_store_in_use_is_refused(bench: Bench) -> None:
    bench.store().open()
    with pytest.raises(StoreInUse, match="in use"):
        bench.store().open()


def test_store_of_another_node_is_refused_and_stays_usable(bench: Bench) -> None:
    reloaded(bench, [LogRecord(b"1")])
    bench.close()
    with pytest.raises(StoreForeign, match="'shop-1', not to 'shop-2'"):
        bench.store(node="shop-2").open()
    again = bench.store()
    again.open()
    assert [LogRecord(b"1")] == list(records_of(again.load()))


def test_store_of_another_cluster_is_refused(bench: Bench) -> None:
    first = bench.store()
    first.open()
    first.close()
    with pytest.raises(StoreForeign, match="cluster 'shops', not to 'ships'"):
        bench.store(cluster="ships").open()
