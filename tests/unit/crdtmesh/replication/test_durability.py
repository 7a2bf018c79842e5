"""Durability modes: what waits for the disk, what does not, and when it is written after all."""

from __future__ import annotations

import pytest

from crdtmesh.durations import NEVER_MS
from crdtmesh.replication.options import POSTPONED_BYTES_MAX, ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist
from tests.unit.crdtmesh.replication.mesh import LIST, Mesh, add

BRIEF = EntryKey("shop", "brief", "ORSet")
NEVER = EntryKey("shop", "never", "ORSet")
OPTIONS = ReplicationOptions(durability_rules=(("brief", 100), ("never", NEVER_MS)))


@pytest.fixture
def mesh() -> Mesh:
    made = Mesh("ab", options=OPTIONS)
    made.connect_all()
    made.drain()
    return made


@pytest.mark.parametrize("key", [BRIEF, NEVER])
def test_an_update_that_need_not_wait_is_acknowledged_and_sent_before_anything_is_written(
    mesh: Mesh, key: EntryKey
) -> None:
    mesh.update("a", key, add("milk"), ticket="t")
    mesh["a"].flush()
    assert ["t"] == mesh["a"].committed
    assert [] == mesh["a"].unsynced
    for message in mesh.take_sent("a"):
        mesh.deliver("a", message)
    assert ("milk",) == mesh.value("b", key)
    mesh["b"].flush()
    assert [] == mesh["b"].unsynced


def test_it_is_written_when_its_interval_is_over_on_every_node_that_has_it(mesh: Mesh) -> None:
    mesh.update("a", BRIEF, add("milk"))
    mesh["a"].flush()
    for message in mesh.take_sent("a"):
        mesh.deliver("a", message)
    assert mesh.now_ns + 100_000_000 == mesh["a"].replica.next_deadline_ns()
    mesh.advance(0.1)
    for name in "ab":
        mesh["a" if name == "a" else "b"].sync()
        mesh.restart(name)
        assert ("milk",) == mesh.value(name, BRIEF)


def test_without_an_interval_it_is_written_with_whatever_is_written_next(mesh: Mesh) -> None:
    mesh.update("a", NEVER, add("milk"))
    mesh["a"].flush()
    mesh.advance(0.5)
    mesh["a"].flush()
    assert [] == mesh["a"].unsynced
    mesh.update("a", LIST, add("eggs"))
    mesh["a"].sync()
    mesh.restart("a")
    assert (("milk",), ("eggs",)) == (mesh.value("a", NEVER), mesh.value("a", LIST))


def test_without_an_interval_it_is_written_when_much_of_it_waits(mesh: Mesh) -> None:
    assert 5 * 240_000 > POSTPONED_BYTES_MAX
    for number in range(5):
        mesh.update("a", NEVER, add("x" * 240_000 + str(number)))
        mesh["a"].flush()
    assert 1 == len(mesh["a"].unsynced)


def test_a_crash_before_it_is_written_loses_it_unless_another_node_has_it(mesh: Mesh) -> None:
    mesh.update("a", BRIEF, add("milk"))
    mesh["a"].flush()
    for message in mesh.take_sent("a"):
        mesh.deliver("a", message)
    mesh.restart("a")
    assert mesh.value("a", BRIEF) is None
    mesh.connect("a", "b")
    mesh.settle()
    assert [("milk",)] * 2 == mesh.values(BRIEF)


def test_what_waits_for_the_disk_still_does_beside_it(mesh: Mesh) -> None:
    mesh.update("a", LIST, add("eggs"), ticket="sync")
    mesh["a"].flush()
    mesh.update("a", BRIEF, add("milk"), ticket="brief")
    mesh["a"].flush()
    assert [] == mesh["a"].committed  # its caller may have seen what is not on disk yet
    assert [] == mesh["a"].sent
    mesh["a"].sync()
    assert ["sync", "brief"] == mesh["a"].committed


def test_one_entry_that_waits_has_all_of_a_batch_wait(mesh: Mesh) -> None:
    other = EntryKey("shop", "{brief}/other", "ORSet")
    batch = [(EntryKey("shop", "brief", "ORSet"), [add("milk")]), (other, [add("eggs")])]
    mesh["a"].replica.update_batch(batch, ticket="t", wall_ms=mesh.wall_ms)
    mesh["a"].flush()
    assert [] == mesh["a"].committed
    assert 1 == len(mesh["a"].unsynced)


def test_the_end_of_a_run_writes_what_was_left_to_be_written(mesh: Mesh) -> None:
    mesh.update("a", NEVER, add("milk"))
    mesh["a"].flush()
    mesh["a"].replica.settle()
    (group,) = mesh["a"].replica.take_outgoing()
    assert isinstance(group, Persist)
    mesh["a"].disk.apply(group.records)
    mesh.restart("a")
    assert ("milk",) == mesh.value("a", NEVER)


def test_a_checkpoint_keeps_what_was_written_late(mesh: Mesh) -> None:
    mesh = Mesh("a", options=ReplicationOptions(durability_rules=(("*", 100),), checkpoint_log_rows=3))
    for number in range(20):
        mesh.update("a", LIST, add(number))
        mesh["a"].sync()
        mesh.advance(0.06)
    mesh["a"].replica.settle()
    mesh["a"].sync()
    mesh.restart("a")
    assert tuple(range(20)) == mesh.value("a", LIST)


def test_a_failed_disk_is_told_of_also_when_nobody_waited(mesh: Mesh) -> None:
    mesh.update("a", BRIEF, add("milk"))
    mesh.advance(0.1)
    mesh["a"].flush()
    mesh["a"].replica.persist_failed(mesh["a"].unsynced[0].seq, "full")
    mesh["a"].replica.barrier("t")
    mesh["a"].flush()
    assert ["t"] == mesh["a"].failed
