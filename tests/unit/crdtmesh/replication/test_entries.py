"""Numbers of entries, of which rows on disk may speak longer than the entries live."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication.entries import EntryTable
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.events import EntryName
from crdtmesh.replication.ground import VoterLists
from crdtmesh.replication.levels import voters_key
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.rows import write_row
from tests.unit.crdtmesh.replication.mesh import Mesh, add, remove


def make(table: EntryTable, key: str) -> Entry:
    return table.make(EntryName(key, "ORSet"), registry.get("ORSet"))


def test_name_that_is_made_again_before_the_disk_is_settled_gets_its_number_again() -> None:
    table = EntryTable("shop", ReplicaTable())
    milk, eggs = make(table, "milk"), make(table, "eggs")
    table.drop(milk)
    assert [0] == table.dropped
    assert 2 == make(table, "bread").number
    assert 0 == make(table, "milk").number
    assert ([], ["milk"]) == (table.dropped, [entry.name.key for entry in table.returned])
    assert (-1, 1) == (milk.number, eggs.number)


def test_number_of_a_dropped_entry_is_given_to_others_once_the_disk_is_settled() -> None:
    table = EntryTable("shop", ReplicaTable())
    table.drop(make(table, "milk"))
    table.settle()
    assert ([], []) == (table.dropped, table.returned)
    assert [0, 1] == [make(table, key).number for key in ("bread", "milk")]


def test_entry_that_is_made_again_and_taken_back_is_dropped_as_before() -> None:
    table = EntryTable("shop", ReplicaTable())
    table.drop(make(table, "milk"))
    table.take_back(make(table, "milk"))
    assert ([0], []) == (table.dropped, table.returned)
    table.take_back(make(table, "eggs"))
    assert 1 == make(table, "bread").number


def test_entry_that_is_dropped_made_again_and_dropped_again_is_one_number() -> None:
    table = EntryTable("shop", ReplicaTable())
    table.drop(make(table, "milk"))
    table.drop(make(table, "milk"))
    assert ([0], []) == (table.dropped, table.returned)


def test_voter_lists_are_found_among_other_entries_until_nothing_is_left_of_them() -> None:
    mesh = Mesh("a")
    mesh.update("a", EntryKey("_mesh", "actors/x", "ORSet"), add("milk"))
    for system in ("homes", "shops"):
        mesh.update("a", voters_key(system), add(f"node of {system}"))
    assert {"node of homes", "node of shops"} == everyone(mesh)
    mesh.update("a", voters_key("homes"), remove("node of homes"))
    assert {"node of shops"} == everyone(mesh)
    mesh["a"].sync()
    mesh.restart("a")
    assert {"node of shops"} == everyone(mesh)


def rows_of(*keys: str) -> list[bytes]:
    data_type = registry.get("ORSet")
    return [write_row(EntryName(key, "ORSet"), data_type, data_type.bottom(), ReplicaTable()) for key in keys]


def test_rows_that_are_put_back_together_keep_their_numbers_and_leave_those_between_free() -> None:
    table = EntryTable("shop", ReplicaTable())
    assert table.restore_rows((0, 1), rows_of("a", "b"))
    assert table.restore_rows((4, 7), rows_of("c", "d"))
    table.restored()
    assert [("a", 0), ("b", 1), ("c", 4), ("d", 7)] == [(name.key, number) for name, number in table.names()]
    assert [6, 5, 3, 2, 8] == [make(table, str(number)).number for number in range(5)]


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1), (0, 2), (5, 10_000_000)])
def test_rows_with_numbers_that_do_not_follow_each_other_are_left_to_be_looked_at_one_by_one(
    numbers: tuple[int, int],
) -> None:
    table = EntryTable("shop", ReplicaTable())
    assert table.restore_rows((0,), rows_of("a"))
    assert not table.restore_rows(numbers, rows_of("b", "c"))
    assert 1 == len(table)


@pytest.mark.parametrize("keys", [("b", "b"), ("b", "a")])
def test_one_name_under_two_numbers_is_refused(keys: tuple[str, str]) -> None:
    table = EntryTable("shop", ReplicaTable())
    assert table.restore_rows((0,), rows_of("a"))
    with pytest.raises(ValueError, match="one name"):
        table.restore_rows((1, 2), rows_of(*keys))


def everyone(mesh: Mesh) -> frozenset[str]:
    replica = mesh["a"].replica
    return VoterLists(replica.read).everyone(replica._systems)
