"""The engine between real cores, with a disk that answers when the test says so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.engine import Engine
from crdtmesh.engine_ports import CommitLost
from crdtmesh.links import Channel
from crdtmesh.persistence.base import Record
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from crdtmesh.replication.watch import Selection
from crdtmesh.replication.watching import WatchRefused
from crdtmesh.runtime.messages import STATE_CHANGED, ReplyColumns
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.runtime import Runtime
from crdtmesh.watch_streams import WatchEnded, WatchStream

KEY = EntryKey("shops", "stock", "PNCounter")


class Bench:
    """An engine, what it wrote, what it sent and what its caller got."""

    def __init__(self) -> None:
        replica = Replica(
            ReplicationOptions(), node="a", replica_id=bytes(16), rng=random.Random(1), now_ns=0, wall_ms=1_000
        )
        runtime = Runtime(
            RuntimeOptions(),
            placement=Placement("a", b"key"),
            replica=replica,
            encode_state=lambda name, value: repr(value).encode(),
            now_ns=0,
        )
        self.written: list[int] = []
        self.sent: list[tuple[str, Channel]] = []
        self.takes = True
        self.replies: list[tuple[int, str, bytes]] = []
        self.failures: list[int] = []
        self.engine = Engine(replica, runtime, write=self._write, send=self._send)

    def deliver_replies(self, columns: ReplyColumns) -> None:
        self.replies += zip(columns.ids, columns.type_urls, columns.payloads, strict=True)
        self.failures += [failure.id for failure in columns.failures]

    def update(self, amount: int, number: int = 1) -> None:
        caller = self.engine.open_caller(self)
        self.engine.update_state(caller, number, KEY, (Operation("increment", (amount,)),))

    def _write(self, seq: int, records: Sequence[Record]) -> None:
        self.written.append(seq)

    def _send(self, peer: str, channel: Channel, payload: bytes) -> bool:
        self.sent.append((peer, channel))
        return self.takes


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_a_reply_waits_for_the_disk(bench: Bench) -> None:
    bench.update(5)
    await bench.engine.flushed()

    assert [1] == bench.written
    assert [] == bench.replies

    bench.engine.persisted(1, None)
    await bench.engine.flushed()

    assert [(1, STATE_CHANGED, b"5")] == bench.replies


async def test_all_of_one_loop_turn_shares_one_commit(bench: Bench) -> None:
    for number in range(10):
        bench.update(1, number)
    await bench.engine.flushed()

    assert [1] == bench.written


async def test_a_push_waits_for_the_disk_and_goes_to_every_peer(bench: Bench) -> None:
    for peer in ("b", "c"):
        bench.engine.peer_up(peer)
    await bench.engine.flushed()
    bench.sent.clear()
    bench.update(5)
    await bench.engine.flushed()

    assert [] == [peer for peer, channel in bench.sent if channel is Channel.REPLICATION]

    bench.engine.persisted(1, None)
    await bench.engine.flushed()

    assert {"b", "c"} == {peer for peer, channel in bench.sent if channel is Channel.REPLICATION}


async def test_a_peer_whose_link_refuses_a_push_is_repaired_later(bench: Bench) -> None:
    bench.engine.peer_up("b")
    await bench.engine.flushed()
    bench.takes = False
    bench.update(5)
    await bench.engine.flushed()
    bench.engine.persisted(1, None)
    await bench.engine.flushed()

    assert frozenset({"b"}) == bench.engine.replica.lagging


async def test_after_a_failed_commit_nothing_is_acknowledged(bench: Bench) -> None:
    told: list[str] = []
    bench.engine.hooks.read_only = told.append
    bench.update(5)
    await bench.engine.flushed()
    bench.engine.persisted(1, "disk full")
    await bench.engine.flushed()

    assert ["disk full"] == told
    assert ([], [1]) == (bench.replies, bench.failures)
    with pytest.raises(CommitLost):
        await bench.engine.committed()


async def test_a_fault_of_the_cores_stops_the_engine_and_is_told_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[str] = []
    bench.engine.hooks.failed = lambda: faults.append("failed")
    monkeypatch.setattr(bench.engine.runtime, "seal", lambda: 1 / 0)
    bench.update(5)
    for _ in range(3):
        await asyncio.sleep(0)
    bench.update(5, 2)
    for _ in range(3):
        await asyncio.sleep(0)

    assert ["failed"] == faults
    assert ([], []) == (bench.written, bench.replies)


# --- watches


def watch(bench: Bench, token: str = "") -> WatchStream:
    return bench.engine.watches.open(Selection(system="shops", key="stock"), interval_ns=0, token=token)


async def test_a_watch_is_shown_a_change_when_it_is_on_disk(bench: Bench) -> None:
    stream = watch(bench)
    async with asyncio.timeout(5):
        await stream.next()
        stream.done()
        bench.update(5)
        waiting = asyncio.create_task(stream.next())
        await bench.engine.flushed()
        await bench.engine.flushed()
        assert not waiting.done()
        bench.engine.persisted(1, None)
        batch, _ = await waiting
    assert [5] == [event.new for event in batch.events]


async def test_a_failed_disk_ends_a_watch(bench: Bench) -> None:
    stream = watch(bench)
    await stream.next()
    stream.done()
    bench.update(5)
    await bench.engine.flushed()
    bench.engine.persisted(1, "disk full")
    with pytest.raises(WatchEnded) as ended:
        await stream.next()
    assert "storage_failed" == ended.value.code


async def test_a_second_reader_of_a_watch_ends_the_first(bench: Bench) -> None:
    first = watch(bench)
    _, token = await first.next()
    first.done()
    waiting = asyncio.create_task(first.next())
    second = watch(bench, token)
    with pytest.raises(WatchEnded) as ended:
        await waiting
    first.close()
    assert "superseded" == ended.value.code
    assert 1 == bench.engine.watches.readers
    second.close()
    assert {"watches.readers": 0, "watches.kept": 1} == {
        name: count for name, count in bench.engine.watches.sizes().items() if name != "watches.held_bytes"
    }


async def test_draining_ends_watches_and_refuses_new_ones(bench: Bench) -> None:
    stream = watch(bench)
    await stream.next()
    await bench.engine.drain()
    with pytest.raises(WatchEnded) as ended:
        await stream.next()
    assert "draining" == ended.value.code
    with pytest.raises(WatchEnded):
        watch(bench)


async def test_a_bad_token_is_refused(bench: Bench) -> None:
    with pytest.raises(WatchRefused):
        watch(bench, "x")
