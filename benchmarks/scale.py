"""A million keys: a restart against a bare SELECT, memory for each key, an empty node that joins; and 15 busy nodes.

`restart` and `restart_memory_bytes` load a data directory that production has written, checkpoints and trimmed index
included, in a process of its own; the base reads the rows of the same file into a dict, without checksums. What a node
needs before it serves is all that is counted; entries are decoded later, when they are used, and `first_use` says how
fast. `join` has a real node with these keys, and an empty one that joins it: keys for each second from the start of
its process until it has all entries; then their digests have to be equal, and each shard to have come in one stream.
`spread` simulates 15 nodes with 10,000 updates a second in all, on links of 0.5 to 2 ms and disks of 0.5 to 5 ms: the
time from an update until the last node has it. `spread_copies` is how often each node gets an event.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc

from benchmarks.harness import Options, Side, compare_sides, progress
from benchmarks.load import Job, run_client, run_loop, verify
from benchmarks.measures import Line, Sample, percentile
from benchmarks.nodes import start_node
from benchmarks.processes import Children
from crdtmesh.crdts.base import Whole
from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.sqlite import DATABASE_NAME, SqliteOptions, SqliteStore
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import Changed, EntryKey, Persist, SendTo
from crdtmesh.replication.replica import Replica
from crdtmesh.replication.shard import Shard
from crdtmesh.wire.gen.crdtmesh.v1.cluster_pb2 import StatusRequest, StatusResponse
from crdtmesh.wire.gen.crdtmesh.v1.cluster_pb2_grpc import ClusterStub

CASES: Final = ("restart", "restart_memory_bytes", "first_use", "join", "spread", "spread_copies")

SYSTEM: Final = "shop"
CLUSTER: Final = "benchmarks"
WALL_MS: Final = 1_750_000_000_000
MILLISECOND_NS: Final = 1_000_000

NODES: Final = 15
UPDATES_PER_S: Final = 10_000
SPREAD_KEYS: Final = 1_000

_JOIN_TIMEOUT_S: Final = 1_800.0


def key_of(number: int) -> EntryKey:
    """Names as people write them, of three types."""
    kinds = ("PNCounter", "ORSet", "LWWRegister")
    return EntryKey(SYSTEM, f"shelf-{number % 100:02}/item-{number:07}", kinds[number % 3])


def operation_of(number: int) -> Operation:
    """The first update of a key."""
    return (
        Operation("increment", (number % 9 + 1,)),
        Operation("add", (f"element {number % 50}",)),
        Operation("set", (f"a text of 22 bytes {number % 1000:03}",)),
    )[number % 3]


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases."""
    if any(options.wants(case) for case in CASES[:4]):
        folder = children.folder("filled") / "data"
        progress(f"scale: writing {options.keys:,} keys")
        fill(folder, options.keys)
        for case in CASES[:3]:
            if options.wants(case):
                yield from _loaded(children, options, case, folder)
        if options.wants("join"):
            yield _joined(children, options, folder)
    if options.wants("spread") or options.wants("spread_copies"):
        yield from _spread(options)


# --- one node


def fill(folder: Path, keys: int) -> None:
    """A data directory of a node that has this many keys and is alone: what is in the log is in rows at the end."""
    store = SqliteStore(
        SqliteOptions(directory=folder, node="a", cluster=CLUSTER), lambda seq, error: verify(None, error)
    )
    store.open()
    options = ReplicationOptions(trim_runs_min=1, checkpoint_log_rows=1)
    replica = Replica(options, node="a", replica_id=os.urandom(16), rng=random.Random(1), now_ns=0, wall_ms=WALL_MS)

    def flush() -> None:
        is_writing = True
        while is_writing:
            is_writing = False
            for output in replica.take_outgoing():
                assert isinstance(output, Persist)
                store.write(output.seq, output.records)
                replica.persisted(output.seq, now_ns=0)
                is_writing = True
            replica.take_events()

    for number in range(keys):
        replica.update(key_of(number), [operation_of(number)], ticket=None, wall_ms=WALL_MS)
        if number % 10_000 == 0:
            flush()
    flush()
    for turn in (1, 2):
        # Alone, it may forget all that is in the index; the next update has what is left written.
        replica.tick(now_ns=turn * 2 * options.index_age_ns, wall_ms=WALL_MS)
        replica.update(key_of(0), [operation_of(0)], ticket=None, wall_ms=WALL_MS)
        flush()
    store.close()


def _loaded(children: Children, options: Options, case: str, folder: Path) -> Iterator[Line]:
    command = ("benchmarks.scale",)
    yield from compare_sides(
        children,
        options,
        bench="scale",
        case=case,
        bases={"bare SELECT into a dict": Side(command=command, address=str(folder), case=f"base {case}")},
        subject=(f"{options.keys} keys", Side(command=command, address=str(folder), case=case)),
    )


async def client(job: Job) -> Sample:
    """Loads a data directory, and says how fast, how large, or how fast it is then used."""
    kind, _, case = job.case.rpartition(" ")
    gc.collect()
    before = _resident_bytes()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    held = _read(Path(job.address)) if kind == "base" else _load(Path(job.address))
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    size = _resident_bytes() - before
    count = len(held) if isinstance(held, dict) else sum(each.entries for each in held.summary())
    if case == "restart_memory_bytes":
        return Sample(rate=max(size, 1) / count)
    if case == "first_use":
        return _used(held, count)
    return Sample(rate=count / took_s, cpu_us=1e6 * cpu_s / count)


def _read(folder: Path) -> dict[bytes, bytes]:
    import sqlite3

    connection = sqlite3.connect(f"file:{folder / DATABASE_NAME}?mode=ro", uri=True)
    rows = {key: data for key, data in connection.execute("SELECT key, data FROM state ORDER BY key")}  # noqa: C416
    rows.update(enumerate(data for (data,) in connection.execute("SELECT data FROM log ORDER BY id")))
    connection.close()
    return rows


def _load(folder: Path) -> Replica:
    store = SqliteStore(SqliteOptions(directory=folder, node="a", cluster=CLUSTER), lambda seq, error: None)
    store.open()
    replica = Replica(
        ReplicationOptions(), node="a", replica_id=os.urandom(16), rng=random.Random(1), now_ns=0, wall_ms=WALL_MS
    )
    replica.load(store.load())
    store.close()
    return replica


def _used(held: dict[bytes, bytes] | Replica, count: int) -> Sample:
    """Looks at 10,000 entries that nobody has looked at; the base at as many rows."""
    rng = random.Random(1)
    wanted: list[Any] = rng.sample(
        sorted(held, key=repr) if isinstance(held, dict) else range(count), min(count, 10_000)
    )
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for each in wanted:
        if isinstance(held, dict):
            verify(True, held[each] is not None)
        else:
            view = held.read(key_of(each))
            verify(True, view is not None and view.value() is not None)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return Sample(rate=len(wanted) / took_s, cpu_us=1e6 * cpu_s / len(wanted))


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- an empty node joins


def _joined(children: Children, options: Options, folder: Path) -> Line:
    a = start_node(children, "a", arguments=["--data-dir", str(folder)])
    expected = run_loop(_known(str(a.ready["grpc"])))
    began_s = time.perf_counter()
    b = start_node(children, "b", join=[str(a.ready["gossip"])])
    ended_s, streams = run_loop(_complete(str(b.ready["grpc"]), expected))
    took_s = ended_s - began_s
    progress(f"scale join: {options.keys} keys in {took_s:.1f} s, {streams} shards in one stream each")
    return Line(
        bench="scale",
        case="join",
        base=None,
        subject=f"{options.keys} keys",
        concurrency=1,
        ratio=None,
        base_rate=None,
        subject_rate=options.keys / took_s,
        server_cpu=None,
        p50_ms=None,
        p99_ms=None,
    )


async def _known(address: str) -> StatusResponse:
    async with grpc.aio.insecure_channel(address) as channel:
        return await _status(channel, digests=True)


async def _complete(address: str, expected: StatusResponse) -> tuple[float, int]:
    """Waits until a node has all entries, and compares them; when that was, and how many shards it took over whole."""
    async with grpc.aio.insecure_channel(address) as channel:
        deadline_s = time.monotonic() + _JOIN_TIMEOUT_S
        while _entries(await _status(channel, digests=False)) < _entries(expected):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not complete within {_JOIN_TIMEOUT_S:g} s")
            await asyncio.sleep(0.5)
        ended_s = time.perf_counter()
        found = await _status(channel, digests=True)
        verify(_digest(expected), _digest(found))
        taken = found.counters.get("replication.handover.taken", 0)
        verify(True, taken <= ReplicationOptions().shards)
        return ended_s, int(taken)


async def _status(channel: grpc.aio.Channel, *, digests: bool) -> StatusResponse:
    answer: StatusResponse = await ClusterStub(channel).Status(StatusRequest(digests=digests), timeout=600)
    return answer


def _entries(status: StatusResponse) -> int:
    return next((each.entries for each in status.systems if each.system == SYSTEM), 0)


def _digest(status: StatusResponse) -> str:
    return next((each.digest for each in status.systems if each.system == SYSTEM), "")


# --- many nodes, in virtual time


class Spread:
    """Fifteen replicas in virtual time.

    Args:
        updates: how many, at UPDATES_PER_S.

    Attributes:
        latencies_ms: from each update until the last node had it.
    """

    def __init__(self, updates: int) -> None:
        self.latencies_ms: list[float] = []
        self._rng = random.Random(1)
        self._names = [f"n{number:02}" for number in range(NODES)]
        self._now_ns = 0
        self._order = itertools.count()
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._began_ns: dict[bytes, int] = {}
        self._missing: dict[bytes, int] = {}
        self._due: set[str] = set()
        self._updates = updates
        self._replicas = {
            name: Replica(
                ReplicationOptions(),
                node=name,
                replica_id=self._rng.randbytes(16),
                rng=random.Random(name),
                now_ns=0,
                wall_ms=WALL_MS,
            )
            for name in self._names
        }

    def run(self) -> None:
        """All updates, and as long as it takes until all nodes have all of them."""
        for name, replica in self._replicas.items():
            for peer in self._names:
                if peer != name:
                    replica.peer_up(peer, now_ns=0)
            self._wake(name)
        at_ns = 0
        for number in range(self._updates):
            at_ns += int(self._rng.expovariate(UPDATES_PER_S) * SECOND_NS)
            self._at(at_ns, partial(self._update, number))
        while self._missing or self._now_ns < at_ns:
            self._now_ns, _, action = heapq.heappop(self._queue)
            action()

    def _at(self, at_ns: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (at_ns, next(self._order), action))

    def _update(self, number: int) -> None:
        name = self._rng.choice(self._names)
        key = EntryKey(SYSTEM, f"key-{self._rng.randrange(SPREAD_KEYS)}", "ORSet")
        result = self._replicas[name].update(key, [Operation("add", (number,))], ticket=None, wall_ms=WALL_MS)
        assert not isinstance(result.touched, Whole | bytes)
        (element,) = result.touched
        self._began_ns[element], self._missing[element] = self._now_ns, NODES - 1
        self._wake(name)

    def _wake(self, name: str) -> None:
        """A turn of the node's loop, which takes all that came until then."""
        if name not in self._due:
            self._due.add(name)
            self._at(self._now_ns + MILLISECOND_NS // 5, partial(self._turn, name))

    def _turn(self, name: str) -> None:
        self._due.discard(name)
        replica = self._replicas[name]
        replica.tick(now_ns=self._now_ns, wall_ms=WALL_MS + self._now_ns // MILLISECOND_NS)
        for output in replica.take_outgoing():
            if isinstance(output, Persist):
                sync_ns = self._rng.randint(MILLISECOND_NS // 2, 5 * MILLISECOND_NS)
                self._at(self._now_ns + sync_ns, partial(self._persisted, name, output.seq))
            else:
                way_ns = self._rng.randint(MILLISECOND_NS // 2, 2 * MILLISECOND_NS)
                self._at(self._now_ns + way_ns, partial(self._deliver, name, output))
        for event in replica.take_events():
            if isinstance(event, Changed) and not event.local and isinstance(event.touched, list | tuple):
                for element in event.touched:
                    self._arrived(element)

    def _persisted(self, name: str, seq: int) -> None:
        self._replicas[name].persisted(seq, now_ns=self._now_ns)
        self._wake(name)

    def _deliver(self, source: str, message: SendTo) -> None:
        wall_ms = WALL_MS + self._now_ns // MILLISECOND_NS
        self._replicas[message.peer].receive(message.payload, source, now_ns=self._now_ns, wall_ms=wall_ms)
        self._wake(message.peer)

    def _arrived(self, element: bytes) -> None:
        self._missing[element] -= 1
        if not self._missing[element]:
            del self._missing[element]
            self.latencies_ms.append((self._now_ns - self._began_ns[element]) / MILLISECOND_NS)


def _spread(options: Options) -> Iterator[Line]:
    updates = int(UPDATES_PER_S * options.seconds)
    spread = Spread(updates)
    known = 0
    original = Shard.has_applied

    def counted(self: Shard, event: Any) -> bool:
        nonlocal known
        is_known = original(self, event)
        known += is_known
        return is_known

    began_s = time.process_time()
    Shard.has_applied = counted  # type: ignore[method-assign]
    try:
        spread.run()
    finally:
        Shard.has_applied = original  # type: ignore[method-assign]
    cpu_us = 1e6 * (time.process_time() - began_s) / updates / NODES
    verify(updates, len(spread.latencies_ms))
    spread.latencies_ms.sort()
    copies = 1 + known / (updates * (NODES - 1))
    for case, rate in (("spread", float(UPDATES_PER_S)), ("spread_copies", copies)):
        if options.wants(case):
            yield Line(
                bench="scale",
                case=case,
                base=None,
                subject=f"{NODES} replicas in virtual time",
                concurrency=NODES,
                ratio=None,
                base_rate=None,
                subject_rate=rate,
                server_cpu=None,
                p50_ms=percentile(spread.latencies_ms, 0.5) if case == "spread" else None,
                p99_ms=percentile(spread.latencies_ms, 0.99) if case == "spread" else None,
                subject_cpu_us=cpu_us,
                unit="copies" if case == "spread_copies" else None,
            )


if __name__ == "__main__":
    run_client(client)
