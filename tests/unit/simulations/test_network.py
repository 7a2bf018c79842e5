"""Paths: cuts, chances and what arrives."""

import random
from collections import Counter

import pytest

from simulations.network import Network
from simulations.partitions import PARTITIONS
from simulations.plan import PathShape
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler
from simulations.trace import Trace


class Bench:
    def __init__(self, shape: PathShape | None = None) -> None:
        self.scheduler = Scheduler()
        self.counts: Counter[str] = Counter()
        self.network = Network(
            self.scheduler,
            random.Random(1),
            trace=Trace(self.scheduler),
            counts=self.counts,
            shape=shape or PathShape(),
        )
        self.got: list[tuple[str, bytes]] = []
        self.network.attach("b", lambda data, source: self.got.append((source, data)))

    def send(self, *packets: bytes) -> list[bytes]:
        for data in packets:
            self.network.send_datagram("a", "b", data)
        self.scheduler.run_until(self.scheduler.now_ns + 60 * SECOND_NS)
        return [data for _, data in self.got]


def test_clean_path_delivers_everything_once() -> None:
    packets = [bytes([number]) for number in range(100)]
    assert packets == sorted(Bench().send(*packets))


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (PathShape(loss=0.5), "loss"),
        (PathShape(corruption=0.5), "corruption"),
        (PathShape(duplication=0.5), "duplication"),
    ],
)
def test_every_chance_is_counted_as_often_as_it_happened(shape: PathShape, kind: str) -> None:
    bench = Bench(shape)
    got = bench.send(*[b"x"] * 1000)
    assert {kind} == set(bench.counts)
    assert bench.counts[kind] == abs(1000 - len(got))
    assert 400 < bench.counts[kind] < 600


def test_reordering_lets_later_packets_overtake() -> None:
    packets = [bytes([number]) for number in range(100)]
    bench = Bench(PathShape(delay_ns_min=1, delay_ns_max=MILLISECOND_NS, reordering=0.3))
    got = bench.send(*packets)
    assert packets != got
    assert packets == sorted(got)


def test_cut_path_loses_one_way_only_until_mended() -> None:
    bench = Bench()
    bench.network.cut([("a", "b")])
    assert [] == bench.send(b"lost")
    assert bench.network.is_open("b", "a")
    bench.network.mend([("a", "b")])
    assert [b"found"] == bench.send(b"found")


def test_path_under_two_cuts_opens_after_both() -> None:
    bench = Bench()
    bench.network.cut([("a", "b")])
    bench.network.cut([("a", "b")])
    bench.network.mend([("a", "b")])
    assert not bench.network.is_open("a", "b")
    bench.network.mend([("a", "b")])
    assert bench.network.is_open("a", "b")


def test_watchers_hear_of_each_change_once() -> None:
    bench = Bench()
    heard: list[tuple[tuple[str, str], bool]] = []
    bench.network.watch(lambda path, is_open: heard.append((path, is_open)))
    for _ in range(2):
        bench.network.cut([("a", "b")])
    for _ in range(2):
        bench.network.mend([("a", "b")])
    assert [(("a", "b"), False), (("a", "b"), True)] == heard


def test_nothing_reaches_a_node_that_is_down() -> None:
    bench = Bench()
    bench.network.attach("b", None)
    assert [] == bench.send(b"x")


@pytest.mark.parametrize("kind", sorted(PARTITIONS))
@pytest.mark.parametrize("count", [2, 3, 5])
def test_partitions_cut_existing_paths_once_and_only_full_ones_cut_all(kind: str, count: int) -> None:
    names = [f"n{number}" for number in range(count)]
    paths = PARTITIONS[kind](names)
    assert len(set(paths)) == len(paths)
    assert all(a in names and b in names and a != b for a, b in paths)
    if count == 5:
        assert (kind == "full") == (len(paths) == count * (count - 1))
        assert (kind == "one_way") == any((b, a) not in paths for a, b in paths)
