"""Vectors are told as changes where both sides remember the last one, and whole where one of them does not."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication import wire
from crdtmesh.replication.options import SECOND_NS
from crdtmesh.replication.outputs import SendTo
from crdtmesh.replication.vectors import Changes, Remembered, VectorMemory, apply_changes, changes_between
from tests.unit.crdtmesh.replication.mesh import LIST, Mesh, add

NAMES = "abcdefghij"


def meshed() -> Mesh:
    """Ten nodes that all wrote to one shard, of which a and b have told each other their vectors once."""
    mesh = Mesh(NAMES)
    mesh.connect_all()
    for name in NAMES:
        mesh.update(name, LIST, add(name))
    mesh.drain()
    asked(mesh)
    return mesh


def asked(mesh: Mesh) -> SendTo:
    """Has an update of a be on its way while a asks b, and delivers all; the VECTORS of b."""
    mesh.update("a", LIST, add(mesh.now_ns))
    mesh.drain()
    mesh.update("b", LIST, add(mesh.now_ns))
    mesh["b"].sync()
    pushes = mesh.take_sent("b")
    replica = mesh["a"].replica
    mesh.now_ns += SECOND_NS
    replica._outlet.send("b", replica._repairer.ask("b", replica._systems, now_ns=mesh.now_ns))
    mesh["a"].sync()
    for message in mesh.take_sent("a"):
        mesh.deliver("a", message)
    mesh["b"].sync()
    [vectors] = [message for message in mesh.take_sent("b") if message.payload[1] == wire.Kind.VECTORS]
    for message in pushes:
        mesh.deliver("b", message)
    return vectors


def told_to_a(mesh: Mesh) -> CausalContext:
    """What a remembers of b's vector."""
    shard = mesh.shard("a", LIST)
    return mesh["a"].replica._repairer._told.of("b", "shop")[shard.number].applied


def test_second_vector_is_told_by_its_changes() -> None:
    mesh = meshed()
    first = asked(mesh)
    assert len(first.payload) > 16 * len(NAMES)
    mesh.deliver("b", first)
    second = asked(mesh)
    assert len(second.payload) < 45
    mesh.deliver("b", second)
    assert [] == mesh.rejections("a")
    assert len(mesh.shard("b", LIST).applied) == len(told_to_a(mesh))


@pytest.mark.parametrize("forgetful", ["a", "b"])
def test_whole_vector_is_told_when_one_side_has_forgotten(forgetful: str) -> None:
    mesh = meshed()
    mesh.deliver("b", asked(mesh))
    repairer = mesh[forgetful].replica._repairer
    (repairer._told if forgetful == "a" else repairer._sent).forget("b" if forgetful == "a" else "a")
    whole = asked(mesh)
    assert len(whole.payload) > 16 * len(NAMES)
    mesh.deliver("b", whole)
    assert len(asked(mesh).payload) < 45


def test_whole_vector_is_told_after_one_was_lost() -> None:
    mesh = meshed()
    mesh.deliver("b", asked(mesh))
    asked(mesh)
    whole = asked(mesh)
    assert len(whole.payload) > 16 * len(NAMES)
    mesh.deliver("b", whole)
    assert len(asked(mesh).payload) < 45


def test_whole_vector_is_told_over_a_new_link() -> None:
    mesh = meshed()
    mesh.deliver("b", asked(mesh))
    mesh.disconnect("a", "b")
    mesh.connect("a", "b")
    mesh.drain()
    assert len(asked(mesh).payload) > 16 * len(NAMES)


def test_changes_that_come_twice_or_late_say_nothing() -> None:
    mesh = meshed()
    mesh.deliver("b", asked(mesh))
    first = asked(mesh)
    for _ in range(3):
        mesh.deliver("b", first)
    assert len(mesh.shard("b", LIST).applied) == len(told_to_a(mesh))
    second = asked(mesh)
    assert len(second.payload) < 45
    mesh.deliver("b", second)
    mesh.deliver("b", first)
    assert len(mesh.shard("b", LIST).applied) == len(told_to_a(mesh))
    mesh["a"].flush()
    assert ["stale_vectors"] * 3 == mesh.rejections("a")


def test_changes_of_what_is_not_remembered_are_refused_and_whole_ones_follow() -> None:
    mesh = meshed()
    mesh.deliver("b", asked(mesh))
    changes = asked(mesh)
    mesh["a"].replica._repairer._told.forget("b")
    mesh.deliver("b", changes)
    mesh["a"].flush()
    assert ["stale_vectors"] == mesh.rejections("a")
    assert len(asked(mesh).payload) > 16 * len(NAMES)


def test_gap_that_is_filled_is_among_the_changes() -> None:
    table = ReplicaTable()
    replica = table.intern(b"r" * 16)
    base, now = CausalContext(table), CausalContext(table)
    for first, last in ((2, 3), (7, 9)):
        base.add_run(replica << 44 | first, replica << 44 | last)
    now.add_run(replica << 44 | 1, replica << 44 | 12)
    changes = changes_between(base, now)
    assert (0, 3, 0, 0, 3, 2, 9, 2) == changes.column
    assert now == apply_changes(base, changes)


@pytest.mark.parametrize(
    "column", [(1, -1), (0,), (-1, -1), (0, 1, 5), (0, 1, -2, 3), (0, 1, 1 << 44, 0), (0, -(1 << 44))]
)
def test_what_is_no_change_of_a_vector_is_refused(column: tuple[int, ...]) -> None:
    table = ReplicaTable()
    base = CausalContext(table, [table.intern(b"r" * 16) << 44 | 1])
    with pytest.raises(CodecError):
        apply_changes(base, Changes(CausalContext(table), column))


def test_memory_is_bounded_and_forgets_the_peer_of_longest_silence() -> None:
    table = ReplicaTable()
    vector = CausalContext(table, [table.intern(b"r" * 16) << 44 | n for n in (1, 3, 5, 7)])
    memory = VectorMemory(bounds_max=20)
    for peer in "abac":
        memory.remember(peer, "shop", [(0, Remembered(vector, b"digest"))], is_fresh=False)
    assert [b"", True, True] == [
        memory.mark("b", "shop"),
        bool(memory.mark("a", "shop")),
        bool(memory.mark("c", "shop")),
    ]
    memory.remember("c", "shop", [(1, Remembered(vector, b"digest"))], is_fresh=True)
    assert [1] == list(memory.of("c", "shop"))
    memory.forget("a")
    memory.forget("c")
    assert 0 == memory._bounds
