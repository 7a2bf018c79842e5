"""Unary calls in flight: what gathers before the cores are driven."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from crdtmesh.edge.pending import PendingCalls
from crdtmesh.engine import GATHERED_ABOVE, Engine
from crdtmesh.persistence.base import Record
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.messages import TurnColumns
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.runtime import Runtime

ECHO = ActorAddress("shops", "echo")


class Bench:
    """An engine with one host, whose turns are answered when the test says so."""

    def __init__(self) -> None:
        replica = Replica(
            ReplicationOptions(), node="a", replica_id=bytes(16), rng=random.Random(1), now_ns=0, wall_ms=1
        )
        runtime = Runtime(
            RuntimeOptions(),
            placement=Placement("a", b"key"),
            replica=replica,
            encode_state=lambda name, value: b"",
            now_ns=0,
        )
        self.engine = Engine(replica, runtime, write=self._write, send=lambda peer, channel, payload: True)
        self.pending = PendingCalls(self.engine)
        self.batches: list[list[int]] = []
        self.host = self.engine.open_host(self, [ActorDefinition(address=ECHO, actions=frozenset({"echo"}))])

    def deliver_turns(self, columns: TurnColumns) -> None:
        self.batches.append(list(columns.turns))

    def deliver_notice(self, message: str) -> None:
        raise AssertionError(message)

    def call(self, *, timeout_ms: int = 60_000) -> asyncio.Task[object]:
        return asyncio.ensure_future(
            self.pending.invoke(ECHO, "echo", type_url="t", payload=b"p", timeout_ms=timeout_ms, extra=None)
        )

    async def turns(self, count: int) -> None:
        """Lets loop turns pass."""
        for _ in range(count):
            await asyncio.sleep(0)

    def _write(self, seq: int, records: Sequence[Record]) -> None:
        raise AssertionError("an echo writes nothing")


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.engine.flushed()
    return made


async def test_few_unary_calls_are_handed_out_in_the_loop_turn_in_which_they_come(bench: Bench) -> None:
    for number in range(GATHERED_ABOVE):
        bench.call()
        await bench.turns(3)
        assert [1] * (number + 1) == [len(batch) for batch in bench.batches]


async def test_many_unary_calls_gather_over_loop_turns(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [bench.call() for _ in range(GATHERED_ABOVE)]
    await bench.turns(3)
    before = len(bench.batches)
    loop = asyncio.get_running_loop()
    now = loop.time()
    with monkeypatch.context() as stopped:
        stopped.setattr(loop, "time", lambda: now)
        for _ in range(10):
            calls.append(bench.call())
            await bench.turns(3)
        assert before == len(bench.batches)
    await bench.engine.flushed()
    assert [10] == [len(batch) for batch in bench.batches[before:]]

    turns = [turn for batch in bench.batches for turn in batch]
    bench.engine.host_answered(bench.host, [(turn, "t", b"p", ()) for turn in turns], ())
    assert [("t", b"p")] * len(calls) == await asyncio.gather(*calls)
    assert 0 == bench.engine.single_calls


async def test_a_call_that_is_given_up_does_not_count_any_more(bench: Bench) -> None:
    calls = [bench.call() for _ in range(GATHERED_ABOVE + 1)]
    await bench.turns(1)
    assert GATHERED_ABOVE + 1 == bench.engine.single_calls
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert 0 == bench.engine.single_calls
