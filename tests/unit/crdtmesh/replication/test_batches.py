"""Several entries in one event: all or nothing, here and on every other replica."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.errors import BatchInvalid, LimitExceeded, SnapshotInUse
from crdtmesh.replication.levels import MAJORITY as LEVEL
from crdtmesh.replication.options import KEYS_PER_EVENT_MAX
from crdtmesh.replication.outputs import EntryKey, LevelTimeout
from tests.unit.crdtmesh.replication.mesh import Mesh, add, increment, remove
from tests.unit.crdtmesh.replication.test_level_writes import told, voting

LINES = EntryKey("shop", "{order-7}/lines", "ORSet")
TOTAL = EntryKey("shop", "{order-7}/total", "PNCounter")


def order(mesh: Mesh, name: str, *, ticket: str | None = None) -> None:
    mesh[name].replica.update_batch(
        [(LINES, [add("milk"), add("eggs")]), (TOTAL, [increment(5)])], ticket=ticket, wall_ms=mesh.wall_ms
    )


def test_several_entries_are_one_event() -> None:
    mesh = Mesh("a")
    result = mesh["a"].replica.update_batch(
        [(LINES, [add("milk"), add("eggs")]), (TOTAL, [increment(5)])], ticket="both", wall_ms=mesh.wall_ms
    )
    assert result.event is not None
    assert (1, 3) == (result.event.first, result.event.last)
    assert [("eggs", "milk"), 5] == [entry.value() for entry in result.entries]
    assert [] == mesh["a"].committed
    mesh["a"].sync()
    assert ["both"] == mesh["a"].committed


def test_batch_arrives_and_is_loaded_as_a_whole() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    order(mesh, "a")
    mesh.drain()
    assert [("eggs", "milk"), 5] == [mesh.value("b", LINES), mesh.value("b", TOTAL)]
    mesh.restart("b")
    assert [("eggs", "milk"), 5] == [mesh.value("b", LINES), mesh.value("b", TOTAL)]


def test_batch_whose_push_was_lost_is_repaired_as_a_whole() -> None:
    mesh = Mesh("ab")
    order(mesh, "a")
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh.connect_all()
    seen = set()
    for _ in range(30):
        for name in "ab":
            mesh[name].sync()
            for message in mesh.take_sent(name):
                mesh.deliver(name, message)
                seen.add((mesh.value("b", LINES), mesh.value("b", TOTAL)))
    assert {(None, None), (("eggs", "milk"), 5)} == seen, "never one without the other"


def test_part_without_effect_is_left_out_and_none_at_all_is_no_event() -> None:
    mesh = Mesh("a")
    replica = mesh["a"].replica
    result = replica.update_batch([(LINES, [remove("milk")]), (TOTAL, [increment()])], ticket=None, wall_ms=0)
    assert result.event is not None
    assert (1, 1) == (result.event.first, result.event.last)
    result = replica.update_batch([(LINES, [remove("milk")])], ticket="nothing", wall_ms=0)
    assert result.event is None
    mesh["a"].sync()
    assert ["nothing"] == mesh["a"].committed


def test_refused_part_leaves_nothing_of_the_others() -> None:
    mesh = Mesh("a")
    with pytest.raises(InvalidOperation):
        mesh["a"].replica.update_batch(
            [(LINES, [add("milk")]), (TOTAL, [Operation("increment", ("x",))])], ticket=None, wall_ms=0
        )
    assert mesh.value("a", LINES) is None
    assert 0 == mesh["a"].replica.summary()[0].entries
    mesh.update("a", LINES, add("eggs"))
    mesh["a"].sync()
    assert ("eggs",) == mesh.value("a", LINES)


def test_keys_of_different_shards_are_refused_with_the_way_out() -> None:
    mesh = Mesh("a")
    updates = [(EntryKey("shop", f"order-{number}", "ORSet"), [add("milk")]) for number in range(8)]
    with pytest.raises(BatchInvalid, match=r"part in braces, .* such as \{order-7\}/lines") as refused:
        mesh["a"].replica.update_batch(updates, ticket=None, wall_ms=0)
    assert "not_applied" == refused.value.outcome


def test_entry_that_is_named_twice_and_other_systems_are_refused() -> None:
    mesh = Mesh("a")
    for other in (LINES, LINES._replace(system="bar")):
        with pytest.raises(BatchInvalid):
            mesh["a"].replica.update_batch([(LINES, [add("a")]), (other, [add("b")])], ticket=None, wall_ms=0)


def test_batch_is_bounded() -> None:
    mesh = Mesh("a")
    updates = [(EntryKey("shop", f"{{x}}{number}", "ORSet"), [add(1)]) for number in range(KEYS_PER_EVENT_MAX + 1)]
    with pytest.raises(LimitExceeded):
        mesh["a"].replica.update_batch(updates, ticket=None, wall_ms=0)
    large = [(EntryKey("shop", f"{{x}}{number}", "ORSet"), [add("x" * 200_000)]) for number in range(30)]
    with pytest.raises(LimitExceeded):
        mesh["a"].replica.update_batch(large, ticket=None, wall_ms=0)
    assert [] == mesh["a"].replica.take_outgoing()


def test_batch_goes_not_past_an_open_snapshot() -> None:
    mesh = Mesh("a")
    snapshot = mesh["a"].replica.snapshot(TOTAL)
    with pytest.raises(SnapshotInUse):
        order(mesh, "a")
    snapshot.close()
    order(mesh, "a")


def test_batch_waits_for_its_level_with_and_without_effect() -> None:
    mesh = voting("abc")
    replica = mesh["a"].replica
    updates = [(LINES, [add("milk")]), (TOTAL, [increment(5)])]
    result = replica.update_batch(updates, ticket=None, wall_ms=mesh.wall_ms)
    replica.acknowledge(
        "write", LINES, result.event, level=LEVEL, timeout_ns=5_000_000_000, now_ns=mesh.now_ns, others=[TOTAL]
    )
    mesh.drain()
    assert ["write"] == mesh["a"].committed
    for peer in "bc":
        mesh.disconnect("a", peer)
    mesh.update("a", TOTAL, increment(1))
    result = replica.update_batch([(LINES, [remove("x")]), (TOTAL, [])], ticket=None, wall_ms=mesh.wall_ms)
    assert result.event is None
    replica.acknowledge(
        "nothing", LINES, None, level=LEVEL, timeout_ns=5_000_000_000, now_ns=mesh.now_ns, others=[TOTAL]
    )
    mesh.drain()
    mesh.advance(5)
    mesh["a"].flush()
    assert [LevelTimeout("nothing", 1, 2)] == told(mesh, "a", "nothing"), "what it saw of the total is here alone"
