"""TCP over simulated paths: order, cuts, resets, back-pressure."""

import asyncio
import random
from collections import Counter

from simulations.clocks import MachineClock
from simulations.loop import VirtualLoop
from simulations.network import Network
from simulations.plan import PathShape
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.tcp import KERNEL_BYTES, TcpFabric
from simulations.trace import Trace


class Side(asyncio.Protocol):
    """Records what its transport does."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.seen.append("made")
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.seen.append(data.decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append("lost" if exc is None else "reset")

    def pause_writing(self) -> None:
        self.seen.append("pause")

    def resume_writing(self) -> None:
        self.seen.append("resume")


class Bench:
    def __init__(self, shape: PathShape | None = None) -> None:
        self.scheduler = Scheduler()
        rng = random.Random(1)
        counts: Counter[str] = Counter()
        self.network = Network(self.scheduler, rng, trace=Trace(self.scheduler), counts=counts, shape=PathShape())
        self.fabric = TcpFabric(self.scheduler, self.network, rng, shape=shape or PathShape())
        self.loops = {name: self._loop(name) for name in ("a", "b")}
        self.a, self.b = Side(), Side()
        self.outcome: list[str] = []

    def _loop(self, name: str) -> VirtualLoop:
        return VirtualLoop(  # type: ignore[abstract]
            name,
            scheduler=self.scheduler,
            clock=MachineClock(self.scheduler),
            rng=random.Random(2),
            failed=self._failed,
            wires=self.fabric,
        )

    def _failed(self, what: str) -> None:
        raise AssertionError(what)

    def connect(self) -> None:
        self.fabric.listen(self.loops["b"], lambda: self.b, "b", 1)
        self.dial()
        self.run(1)

    def dial(self) -> None:
        async def dialled() -> None:
            try:
                await self.loops["a"].create_connection(lambda: self.a, "b", 1)
            except OSError as error:
                self.outcome.append(type(error).__name__)
            else:
                self.outcome.append("connected")

        self.loops["a"].create_task(dialled())

    def run(self, seconds: float) -> None:
        self.scheduler.run_until(self.scheduler.now_ns + int(seconds * SECOND_NS))

    def cut(self) -> None:
        self.network.cut([("a", "b"), ("b", "a")])

    def mend(self) -> None:
        self.network.mend([("a", "b"), ("b", "a")])


def numbered(count: int) -> list[str]:
    return [f"{number:03}" for number in range(count)]


def test_bytes_arrive_once_and_in_order_whatever_is_lost_below() -> None:
    bench = Bench(PathShape(delay_ns_min=0, delay_ns_max=SECOND_NS, loss=0.3, reordering=0.3, duplication=0.3))
    bench.connect()
    bench.run(5)
    for text in numbered(100):
        bench.a.transport.write(text.encode())
    bench.run(60)
    assert ["made", *numbered(100)] == bench.b.seen


def test_dial_is_refused_where_nobody_listens_and_waits_behind_a_cut() -> None:
    bench = Bench()
    bench.dial()
    bench.run(1)
    assert ["ConnectionRefusedError"] == bench.outcome
    bench.fabric.listen(bench.loops["b"], lambda: bench.b, "b", 1)
    bench.cut()
    bench.dial()
    bench.run(2.5)
    assert ["ConnectionRefusedError"] == bench.outcome
    bench.mend()
    bench.run(1)
    assert ["ConnectionRefusedError", "connected"] == bench.outcome


def test_cut_delays_bytes_and_breaks_nothing() -> None:
    bench = Bench()
    bench.connect()
    bench.a.transport.write(b"000")
    bench.cut()
    bench.a.transport.write(b"001")
    bench.run(100)
    assert ["made", "000"] == bench.b.seen
    bench.mend()
    bench.a.transport.write(b"002")
    bench.run(5)
    assert ["made", *numbered(3)] == bench.b.seen


def test_close_ends_both_sides_behind_what_was_written() -> None:
    bench = Bench()
    bench.connect()
    bench.a.transport.write(b"last")
    bench.a.transport.close()
    bench.run(1)
    assert (["made", "lost"], ["made", "last", "lost"]) == (bench.a.seen, bench.b.seen)


def test_death_of_a_process_resets_its_peer() -> None:
    bench = Bench()
    bench.connect()
    bench.loops["b"].kill()
    bench.fabric.killed(bench.loops["b"])
    bench.run(1)
    assert ["made", "reset"] == bench.a.seen


def test_death_behind_a_cut_is_noticed_by_the_first_bytes_after_it() -> None:
    bench = Bench()
    bench.connect()
    bench.cut()
    bench.loops["b"].kill()
    bench.fabric.killed(bench.loops["b"])
    bench.run(100)
    bench.mend()
    bench.run(5)
    assert ["made"] == bench.a.seen
    bench.a.transport.write(b"anybody there")
    bench.run(1)
    assert ["made", "reset"] == bench.a.seen


def test_reader_that_stands_still_stops_its_writer() -> None:
    bench = Bench()
    bench.connect()
    bench.loops["b"].stop_for(10 * SECOND_NS)
    for _ in range(10):
        bench.a.transport.write(b"." * (KERNEL_BYTES // 4))
    bench.run(1)
    assert ["made", "pause"] == bench.a.seen
    bench.run(10)
    assert ["made", "pause", "resume"] == bench.a.seen


def test_narrow_line_takes_its_time() -> None:
    bench = Bench(PathShape(bytes_per_s=1000))
    bench.connect()
    bench.a.transport.write(b"." * 10_000)
    bench.run(9)
    assert ["made"] == bench.b.seen
    bench.run(2)
    assert 2 == len(bench.b.seen)
