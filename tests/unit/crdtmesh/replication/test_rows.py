"""Rows of entries: names without the rest, and the rest when it is looked at."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import registry, values
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication.entries import EntryTable
from crdtmesh.replication.events import EntryName
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.rows import is_bottom_in, name_in, names_in, read_row, write_row
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment, remove

REGISTER = registry.get("MVRegister")


@pytest.mark.parametrize("key", ["k", "é" * 15, "x" * 31, "x" * 32, "x" * 256, "x" * 70_000, "nul\0in it"])
@pytest.mark.parametrize("replicas", [0, 1, 20])
def test_the_name_of_a_row_is_found_without_a_look_at_the_rest(key: str, replicas: int) -> None:
    table = ReplicaTable()
    dots = [table.intern(bytes([number]) * 16) << 44 | 1 for number in range(replicas)]
    store = {dot: values.encode("v") for dot in dots}
    row = write_row(EntryName(key, "MVRegister"), REGISTER, store, table)
    assert (key, "MVRegister") == name_in(row)
    assert (not replicas) == is_bottom_in(row)
    assert ((key, "MVRegister"), store) == (read_row(row, table).name, read_row(row, table).store)


def test_any_beginning_of_a_row_is_refused_or_names_a_part_of_the_key() -> None:
    row = write_row(EntryName("stock of milk", "MVRegister"), REGISTER, {}, ReplicaTable())
    for stop in range(len(row)):
        try:
            key, type_name = name_in(row[:stop])
        except CodecError:
            continue
        assert "stock of milk".startswith(key)
        assert "MVRegister".startswith(type_name)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x94", b"\x94\x01\xc4\x00\xa1k\xa1t", b"\x94\x02\xa1k\xa1t", b"\x94\x02\xc4\x00\xa1\xff\xa1t"],
)
def test_what_does_not_begin_like_an_entry_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        name_in(data)
    row = write_row(EntryName("key", "MVRegister"), REGISTER, {}, ReplicaTable())
    with pytest.raises(CodecError):
        names_in([(0, row), (1, data)], {})


def test_the_names_of_many_rows_are_those_of_each() -> None:
    table = ReplicaTable()
    numbers = [table.intern(bytes([number]) * 16) for number in range(20)]
    rows: dict[int, bytes] = {}
    for key in ("k", "é" * 15, "x" * 31, "x" * 32, "x" * 256, "nul\0in it"):
        for count in (1, 1, 2, 20, 1, 0):
            store = {number << 44 | 1: values.encode("v") for number in numbers[:count]}
            rows[len(rows)] = write_row(EntryName(f"{key}{len(rows)}", "MVRegister"), REGISTER, store, table)
    found: dict[str, dict[str, int]] = {}
    names_in(rows.items(), found)
    assert {name_in(row): number for number, row in rows.items()} == {
        (key, type_name): number for type_name, keys in found.items() for key, number in keys.items()
    }


def reloaded(mesh: Mesh) -> EntryTable:
    """The entries of a node that restarted with all that it had in rows."""
    mesh.restart("a")
    return mesh.shard("a", LIST).entries


@pytest.fixture
def mesh() -> Mesh:
    """A node with two entries and one that is deleted, all of them in a checkpoint."""
    made = Mesh("a", options=ReplicationOptions(shards=1, checkpoint_log_rows=1))
    gone = EntryKey("shop", "gone", "ORSet")
    made.update("a", LIST, add("milk"))
    made.update("a", STOCK, increment(5))
    made.update("a", gone, add(1))
    made.update("a", gone, remove(1))
    made["a"].sync()
    return made


def packed(entries: EntryTable) -> list[str]:
    return sorted(name[0] for name, number in entries.names() if isinstance(entries._numbered[number], bytes))


def test_entries_stay_packed_until_they_are_looked_at(mesh: Mesh) -> None:
    entries = reloaded(mesh)
    assert ["gone", "list", "stock"] == packed(entries)
    assert 5 == mesh.value("a", STOCK)
    assert ["gone", "list"] == packed(entries)


def test_lists_digests_and_sums_leave_them_packed(mesh: Mesh) -> None:
    before = mesh["a"].replica.digest("shop")
    entries = reloaded(mesh)
    assert before == mesh["a"].replica.digest("shop")
    assert [LIST, STOCK] == [view.key for view in mesh["a"].replica.entries("shop")]
    fingerprints = mesh.shard("a", LIST).fingerprints
    assert fingerprints.sum_up(10)
    assert 2 == sum(map(bool, fingerprints.sums))
    assert ["gone", "list", "stock"] == packed(entries)


def test_an_update_of_a_packed_entry_goes_on_from_it(mesh: Mesh) -> None:
    reloaded(mesh)
    mesh.update("a", LIST, add("eggs"))
    mesh["a"].sync()
    mesh.restart("a")
    assert ("eggs", "milk") == mesh.value("a", LIST)


def test_a_deleted_entry_goes_without_being_decoded_for_the_others(mesh: Mesh) -> None:
    entries = reloaded(mesh)
    mesh.forget_all("a")
    assert ["list", "stock"] == packed(entries)
    assert 2 == len(entries)


def test_a_repair_leaves_what_it_sends_packed(mesh: Mesh) -> None:
    entries = reloaded(mesh)
    mesh.nodes["b"] = type(mesh["a"])("b", mesh.new_replica("b"))
    mesh.connect_all()
    mesh.settle()
    assert [("milk",)] * 2 == mesh.values(LIST)
    assert ["gone", "stock"] == [name for name in packed(entries) if name != "list"]


def test_operations_are_computed_on_a_packed_entry(mesh: Mesh) -> None:
    reloaded(mesh)
    result = mesh["a"].replica.update(LIST, [Operation("remove", ("milk",))], ticket=None, wall_ms=mesh.wall_ms)
    assert result.event is not None
    assert mesh.value("a", LIST) is None


def test_a_row_that_only_begins_like_an_entry_is_told_of_as_damage_of_the_disk() -> None:
    row = write_row(EntryName("k", "MVRegister"), REGISTER, {}, ReplicaTable())
    entries = EntryTable("shop", ReplicaTable())
    entries.restore_row(0, row[:-1] + b"\xc1")
    with pytest.raises(CorruptRecord, match="restore a backup"):
        entries.find(("k", "MVRegister"))
