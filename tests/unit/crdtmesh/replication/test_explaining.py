"""What a replica tells of one key."""

from __future__ import annotations

from crdtmesh.replication.explaining import INTERVALS_MAX, Explanation, Writer
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.systems import shard_number
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment, remove


def explain(mesh: Mesh, node: str, key: EntryKey = LIST) -> Explanation:
    return mesh[node].replica.explain(key)


def test_dots_and_last_writers_are_by_replica_id_and_removals_count_as_touching() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"), add("eggs"))
    mesh.drain()
    mesh.update("b", LIST, remove("milk"))
    mesh.drain()
    found = explain(mesh, "a")
    a, b = mesh["a"].replica.replica_id, mesh["b"].replica.replica_id
    writers = {writer.replica_id: writer for writer in found.writers}
    assert Writer(a, ((2, 2),), 1, 2, ((1, 2),), ((1, 2),), 0) == writers[a]
    assert Writer(b, (), 0, 1, ((1, 1),), ((1, 1),), 0) == writers[b]
    assert ("eggs",) == found.value
    assert a == found.own_replica_id
    assert shard_number(LIST.key, 16) == found.shard


def test_nodes_that_hold_the_same_have_one_fingerprint_and_others_do_not() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    same = explain(mesh, "a").fingerprint
    assert same == explain(mesh, "b").fingerprint
    mesh.update("a", LIST, add("eggs"))
    assert same != explain(mesh, "a").fingerprint


def test_a_deleted_entry_has_no_state_and_its_writers_are_still_told() -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"), remove("milk"))
    found = explain(mesh, "a")
    assert (False, None, b"") == (found.found, found.value, found.fingerprint)
    assert [2] == [writer.last for writer in found.writers]


def test_a_key_that_nobody_wrote_has_its_shard_alone() -> None:
    mesh = Mesh("a")
    found = explain(mesh, "a", STOCK)
    assert (False, 0, ()) == (found.found, found.version, found.writers)
    assert shard_number(STOCK.key, 16) == found.shard


def test_explaining_changes_nothing() -> None:
    mesh = Mesh("a")
    explain(mesh, "a", EntryKey("nobody", "has", "ORSet"))
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    explain(mesh, "a", STOCK)
    explain(mesh, "a", EntryKey("shop", "other", "PNCounter"))
    assert ["shop"] == mesh["a"].replica.systems()
    assert [] == mesh["a"].replica.take_outgoing()


def test_what_is_told_of_scattered_dots_is_bounded() -> None:
    mesh = Mesh("a")
    other = EntryKey("shop", "{list}2", "ORSet")
    for number in range(3 * INTERVALS_MAX):
        mesh.update("a", EntryKey("shop", "{list}1", "ORSet"), add(number))
        mesh.update("a", other, add(number))
    [writer] = explain(mesh, "a", other).writers
    assert INTERVALS_MAX == len(writer.live)
    assert 3 * INTERVALS_MAX == writer.live_count
    assert 6 * INTERVALS_MAX == writer.last
