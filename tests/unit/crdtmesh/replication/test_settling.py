"""When a difference is worth a repair."""

from __future__ import annotations

import pytest

from crdtmesh.replication import wire
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import SendTo
from crdtmesh.replication.settling import Grace, Settling
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment

MS = SECOND_NS // 1000
OPTIONS = ReplicationOptions()
LONGEST = OPTIONS.repair_interval_ns - OPTIONS.repair_jitter_ns


def kinds(sent: list[SendTo]) -> list[str]:
    return [wire.Kind(message.payload[1]).name for message in sent]


# --- the grace


def measured(*trips_ms: int, peer: str = "b", grace: Grace | None = None) -> Grace:
    grace = Grace(OPTIONS) if grace is None else grace
    for trip_ms in trips_ms:
        grace.asked(peer, 0)
        grace.answered(peer, trip_ms * MS)
    return grace


def test_grace_is_the_shortest_pause_between_rounds_while_nothing_is_measured() -> None:
    assert Grace(OPTIONS).ns == LONGEST


@pytest.mark.parametrize(
    ("trips_ms", "grace_ms"), [((100,), 300), ((1,), 50), ((700,), 750), ((100,) * 50, 100), ((100, 100), 250)]
)
def test_grace_is_a_round_trip_as_it_may_take_within_bounds(trips_ms: tuple[int, ...], grace_ms: int) -> None:
    assert grace_ms == pytest.approx(measured(*trips_ms).ns / MS, abs=1)


def test_grace_is_that_of_the_slowest_peer_and_ends_with_its_link() -> None:
    grace = measured(100)
    measured(200, peer="c", grace=grace)
    assert 600 * MS == grace.ns
    grace.forget("c")
    assert 300 * MS == grace.ns


def test_only_the_first_answer_to_a_question_is_a_measurement() -> None:
    grace = measured(100)
    grace.answered("b", 5 * SECOND_NS)
    grace.answered("x", 5 * SECOND_NS)
    assert 300 * MS == grace.ns


# --- what has settled


def test_event_settles_a_grace_after_it_was_seen_first() -> None:
    mesh = Mesh("a")
    settling = Settling(measured(20))  # a grace of 60 ms
    mesh.update("a", STOCK, increment())
    shard = mesh.shard("a", STOCK)
    settling.look([shard], 0)
    assert not settling.settled(shard, 59 * MS)
    assert shard.applied == settling.settled(shard, 60 * MS)
    before = shard.applied.copy()
    mesh.update("a", STOCK, increment())
    settling.look([shard], 100 * MS)
    assert before == settling.settled(shard, 159 * MS)
    assert shard.applied == settling.settled(shard, 160 * MS)


def test_shard_that_never_rests_settles_and_few_copies_are_kept() -> None:
    mesh = Mesh("a")
    settling = Settling(measured(20))
    for at_ms in range(500):
        mesh.update("a", STOCK, increment())
        shard = mesh.shard("a", STOCK)
        settling.look([shard], at_ms * MS)
        [samples] = settling._samples.values()
        assert len(samples) <= 4
        late = len(shard.applied) - len(settling.settled(shard, at_ms * MS))
        assert at_ms < 100 or 60 <= late <= 90


# --- repair


def all_but(mesh: Mesh, source: str, lost: str) -> None:
    """Syncs a node and delivers what it sends, except to one."""
    mesh[source].sync(now_ns=mesh.now_ns)
    for message in mesh.take_sent(source):
        if message.peer != lost:
            mesh.deliver(source, message)


def mesh_of_three() -> Mesh:
    """Links of long standing between three nodes that agree."""
    mesh = Mesh("abc")
    mesh.connect_all()
    mesh.update("a", LIST, add("first"))
    for _ in range(5):
        mesh.drain()
        mesh.advance(1)
    mesh.drain()
    return mesh


def sent_by_repair(mesh: Mesh) -> list[str]:
    """Delivers all until nothing moves; the kinds of the messages."""
    seen: list[str] = []
    while True:
        before = len(seen)
        for name, node in mesh.nodes.items():
            node.sync(now_ns=mesh.now_ns)
            for message in mesh.take_sent(name):
                seen += kinds([message])
                mesh.deliver(name, message)
        if len(seen) == before:
            return seen


def test_what_is_on_its_way_is_not_repaired() -> None:
    mesh = mesh_of_three()
    for turn in range(20):
        # Each round meets updates that two of three have, and one of three.
        mesh.now_ns += SECOND_NS
        mesh.update("a", LIST, add(turn))
        mesh["a"].sync(now_ns=mesh.now_ns)
        for name in "bc":
            mesh[name].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
        mesh["a"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
        late = [message for message in mesh.take_sent("a") if message.payload[1] == wire.Kind.PUSH]
        assert "REPAIR" not in sent_by_repair(mesh)
        for message in late:
            mesh.deliver("a", message)
        assert "REPAIR" not in sent_by_repair(mesh)
    assert mesh.agree()


def test_lost_push_is_repaired_by_the_second_round_after_it() -> None:
    mesh = mesh_of_three()
    mesh.update("a", LIST, add("lost"))
    all_but(mesh, "a", "b")
    assert not mesh.agree()
    rounds = 0
    while not mesh.agree():
        rounds += 1
        mesh.advance(1)
        mesh.drain()
    assert rounds <= 2


def test_what_a_peer_has_is_asked_for_when_it_still_is_missing_a_grace_later() -> None:
    mesh = mesh_of_three()
    mesh.disconnect("a", "b")
    mesh.disconnect("a", "c")
    mesh.update("c", LIST, add("lost"))
    mesh["c"].sync(now_ns=mesh.now_ns)
    mesh.take_sent("c")
    mesh.now_ns += SECOND_NS
    mesh["b"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    assert ["DIGEST", "VECTORS"] == sent_by_repair(mesh)
    due_ns = mesh["b"].replica.next_deadline_ns()
    assert due_ns is not None
    assert SECOND_NS // 20 == due_ns - mesh.now_ns
    mesh.now_ns = due_ns
    mesh["b"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    assert ["REPAIR", "REPAIR"] == sent_by_repair(mesh)
    assert mesh.value("b", LIST) == mesh.value("c", LIST)


def test_peer_whose_link_is_gone_is_not_asked_for_what_it_had() -> None:
    mesh = mesh_of_three()
    mesh.update("c", LIST, add("lost"))
    all_but(mesh, "c", "b")
    mesh.now_ns += SECOND_NS
    mesh["b"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    sent_by_repair(mesh)
    mesh.disconnect("b", "a")
    mesh.disconnect("b", "c")
    mesh.advance(1)
    mesh["b"].sync(now_ns=mesh.now_ns)
    assert [] == mesh.take_sent("b")
