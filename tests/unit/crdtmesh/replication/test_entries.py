"""Numbers of entries, of which rows on disk may speak longer than the entries live."""

from __future__ import annotations

from crdtmesh.crdts import registry
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication.entries import EntryTable
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.events import EntryName
from crdtmesh.replication.ground import VoterLists
from crdtmesh.replication.levels import voters_key
from crdtmesh.replication.outputs import EntryKey
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


def everyone(mesh: Mesh) -> frozenset[str]:
    replica = mesh["a"].replica
    return VoterLists(replica.read).everyone(replica._systems)
