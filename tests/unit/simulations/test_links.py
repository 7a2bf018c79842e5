"""Links over simulated paths: order, cuts, breaks and starts."""

import random
from collections import Counter

from simulations.links import IDLE_TIMEOUT_NS, LinkFabric
from simulations.network import Network
from simulations.plan import PathShape
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.trace import Trace


class Owner:
    """One run of a node that records what its links do."""

    def __init__(self, name: str, start: int = 1) -> None:
        self.name = name
        self.start_id = f"{name}{start}".encode()
        self.known: dict[str, bytes] = {}
        self.seen: list[str] = []

    def knows_start(self, peer: str, start_id: bytes) -> bool:
        return peer in self.known and start_id in (b"", self.known[peer])

    def link_up(self, peer: str) -> None:
        self.seen.append(f"up {peer}")

    def link_down(self, peer: str) -> None:
        self.seen.append(f"down {peer}")

    def link_payload(self, payload: bytes, peer: str) -> None:
        self.seen.append(payload.decode())


class Bench:
    def __init__(self, *, is_lossy: bool = False, shape: PathShape | None = None) -> None:
        self.scheduler = Scheduler()
        rng = random.Random(1)
        self.network = Network(self.scheduler, rng, trace=Trace(self.scheduler), counts=Counter(), shape=PathShape())
        self.links = LinkFabric(self.scheduler, self.network, rng, shape=shape or PathShape(), is_lossy=is_lossy)
        self.a, self.b = Owner("a"), Owner("b")
        for owner in (self.a, self.b):
            self.links.attach(owner)
        self.introduce(self.a, self.b)

    def introduce(self, *owners: Owner) -> None:
        for owner in owners:
            for other in owners:
                if other is not owner:
                    owner.known[other.name] = other.start_id
                    self.links.dial(owner, other.name)

    def run(self, seconds: float) -> None:
        self.scheduler.run_until(self.scheduler.now_ns + int(seconds * SECOND_NS))

    def cut(self) -> None:
        self.network.cut([("a", "b"), ("b", "a")])

    def mend(self) -> None:
        self.network.mend([("a", "b"), ("b", "a")])


def numbered(count: int) -> list[str]:
    return [f"{number:03}" for number in range(count)]


def test_link_comes_up_once_on_both_sides() -> None:
    bench = Bench()
    bench.run(10)
    assert (["up b"], ["up a"]) == (bench.a.seen, bench.b.seen)


def test_payloads_arrive_once_and_in_order() -> None:
    bench = Bench(shape=PathShape(delay_ns_min=0, delay_ns_max=SECOND_NS))
    bench.run(10)
    for text in numbered(100):
        assert bench.links.send(bench.a, "b", text.encode())
    bench.run(10)
    assert ["up a", *numbered(100)] == bench.b.seen


def test_lossy_mode_loses_repeats_and_reorders() -> None:
    shape = PathShape(delay_ns_min=0, delay_ns_max=SECOND_NS, loss=0.2, duplication=0.2)
    bench = Bench(is_lossy=True, shape=shape)
    bench.run(10)
    for text in numbered(100):
        bench.links.send(bench.a, "b", text.encode())
    bench.run(10)
    got = bench.b.seen[1:]
    assert len(set(got)) < 100
    assert len(set(got)) < len(got)
    assert sorted(got) != got


def test_short_cut_delays_payloads_and_keeps_their_order() -> None:
    bench = Bench()
    bench.run(10)
    bench.links.send(bench.a, "b", b"000")
    bench.cut()
    bench.links.send(bench.a, "b", b"001")
    bench.run(1)
    assert "001" not in bench.b.seen
    bench.mend()
    bench.links.send(bench.a, "b", b"002")
    bench.run(5)
    assert ["up a", *numbered(3)] == bench.b.seen


def test_long_cut_breaks_the_link_and_loses_what_waited() -> None:
    bench = Bench()
    bench.run(10)
    bench.cut()
    bench.links.send(bench.a, "b", b"lost")
    bench.run(3 * IDLE_TIMEOUT_NS / SECOND_NS)
    assert not bench.links.send(bench.a, "b", b"refused")
    bench.mend()
    bench.run(20)
    assert (["up b", "down b", "up b"], ["up a", "down a", "up a"]) == (bench.a.seen, bench.b.seen)


def test_two_short_cuts_are_not_one_long_one() -> None:
    bench = Bench()
    bench.run(10)
    for _ in range(2):
        bench.cut()
        bench.run(0.9 * IDLE_TIMEOUT_NS / SECOND_NS)
        bench.mend()
        bench.run(0.2)
    bench.run(60)
    assert (["up b"], ["up a"]) == (bench.a.seen, bench.b.seen)


def test_peer_of_another_start_is_not_admitted_until_membership_knows_it() -> None:
    bench = Bench()
    bench.run(10)
    bench.links.detach(bench.b)
    bench.run(1)
    second = Owner("b", start=2)
    second.known["a"] = bench.a.start_id
    bench.links.attach(second)
    bench.links.dial(second, "a")
    bench.run(30)
    assert [] == second.seen
    bench.a.known["b"] = second.start_id
    bench.run(30)
    assert ["up a"] == second.seen
    assert ["up b", "down b", "up b"] == bench.a.seen


def test_reset_breaks_both_sides_and_the_link_returns() -> None:
    bench = Bench()
    bench.run(10)
    assert bench.links.reset("a", "b")
    bench.run(10)
    assert (["up b", "down b", "up b"], ["up a", "down a", "up a"]) == (bench.a.seen, bench.b.seen)
    assert not bench.links.reset("a", "c")


def test_peer_given_up_by_membership_is_not_dialled_again() -> None:
    bench = Bench()
    bench.run(10)
    del bench.a.known["b"]
    bench.links.close(bench.a, "b")
    bench.run(60)
    assert (["up b", "down b"], ["up a", "down a"]) == (bench.a.seen, bench.b.seen)
