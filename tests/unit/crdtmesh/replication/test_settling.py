"""Repair leaves to pushes what pushes may still bring, and nothing else."""

from __future__ import annotations

from crdtmesh.replication import wire
from crdtmesh.replication.options import ReplicationOptions
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment


def repairs_of(mesh: Mesh) -> int:
    """Runs the exchange that is due, without delivering pushes; the number of REPAIR messages with anything in them."""
    count = 0
    for _ in range(6):
        for name in mesh.nodes:
            mesh[name].sync()
            for message in mesh.take_sent(name):
                kind = wire.Kind(message.payload[1])
                if kind is wire.Kind.REPAIR:
                    frame = wire.open_message(message.payload[1:])
                    table = mesh.shard(name, LIST).table
                    count += bool(wire.decode(frame.body, table, wire.read_repair).entries)
                if kind is not wire.Kind.PUSH:
                    mesh.deliver(name, message)
    return count


def settled_mesh() -> Mesh:
    mesh = Mesh("ab", options=ReplicationOptions(shards=1))
    mesh.connect_all()
    for number in range(50):
        mesh.update("a", LIST, add(number))
    mesh.settle()
    for _ in range(3):
        mesh.advance(1)
        mesh.drain()
    return mesh


def test_entry_whose_push_is_on_its_way_is_not_sent_by_repair() -> None:
    mesh = settled_mesh()
    mesh.update("a", LIST, add("new"))
    mesh.advance(1)
    assert 0 == repairs_of(mesh)


def test_push_that_was_lost_is_repaired_in_the_round_after() -> None:
    mesh = settled_mesh()
    mesh.update("a", LIST, add("new"))
    mesh.advance(1)
    repairs_of(mesh)
    mesh.advance(1)
    assert 1 <= repairs_of(mesh)
    assert mesh.agree()


def test_young_link_is_repaired_at_once() -> None:
    mesh = settled_mesh()
    mesh.disconnect("a", "b")
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh.connect("a", "b")
    assert 1 == repairs_of(mesh)
    assert mesh.agree()
