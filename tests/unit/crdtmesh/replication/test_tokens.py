"""Session tokens: a read at another node waits until it has what an earlier answer showed."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication.errors import TokenInvalid
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import LevelTimeout
from tests.unit.crdtmesh.replication.mesh import LIST, Mesh, add
from tests.unit.crdtmesh.replication.test_level_writes import told


def await_token(mesh: Mesh, name: str, token: bytes, ticket: str) -> None:
    mesh[name].replica.await_token(token, ticket=ticket, timeout_ns=5_000_000_000, now_ns=mesh.now_ns)


def test_reader_waits_until_it_has_what_the_token_holds() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"))
    token = mesh["a"].replica.token(LIST)
    await_token(mesh, "b", token, "read")
    assert [] == mesh["b"].committed
    mesh.drain()
    assert ["read"] == mesh["b"].committed
    assert ("milk",) == mesh.value("b", LIST)


def test_what_is_there_already_waits_for_nothing_but_the_disk() -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"))
    await_token(mesh, "a", mesh["a"].replica.token(LIST), "read")
    mesh["a"].flush()
    assert [] == mesh["a"].committed
    mesh["a"].sync()
    assert ["read"] == mesh["a"].committed


def test_token_of_nothing_is_reached_at_once() -> None:
    mesh = Mesh("ab")
    await_token(mesh, "b", mesh["a"].replica.token(LIST), "read")
    mesh["b"].flush()
    assert ["read"] == mesh["b"].committed
    assert [] == mesh["b"].replica.systems(), "a token brings no system into being"


def test_time_that_is_over_is_told() -> None:
    mesh = Mesh("ab")
    mesh.update("a", LIST, add("milk"))
    await_token(mesh, "b", mesh["a"].replica.token(LIST), "read")
    assert mesh.now_ns + 5_000_000_000 == mesh["b"].replica.next_deadline_ns()
    mesh.advance(5)
    mesh["b"].flush()
    assert [LevelTimeout("read", 0, 1)] == told(mesh, "b", "read")


def test_token_outlives_the_node_that_made_it() -> None:
    mesh = Mesh("abc")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    token = mesh["a"].replica.token(LIST)
    mesh.restart("c")
    await_token(mesh, "c", token, "read")
    mesh["c"].flush()
    assert ["read"] == mesh["c"].committed


@pytest.mark.parametrize("token", [b"", b"\x00", b"x" * 40, b"\xc1\xc1"])
def test_bytes_that_are_no_token_are_refused(token: bytes) -> None:
    mesh = Mesh("a")
    with pytest.raises(TokenInvalid) as refused:
        await_token(mesh, "a", token, "read")
    assert "not_applied" == refused.value.outcome


def test_token_of_a_cluster_with_other_shards_is_refused_and_leaves_no_replica_id() -> None:
    mesh, other = Mesh("a"), Mesh("b", options=ReplicationOptions(shards=2), seed=2)
    mesh.update("a", LIST, add("eggs"))
    other.update("b", LIST, add("milk"))
    with pytest.raises(TokenInvalid):
        await_token(mesh, "a", other["b"].replica.token(LIST), "read")
    strange = Mesh("b", seed=3)
    strange.update("b", LIST, add("milk"))
    await_token(mesh, "a", strange["b"].replica.token(LIST), "read")
    assert 1 == mesh["a"].replica.summary()[0].replica_ids


def test_token_of_a_shard_that_there_is_not_is_refused() -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"))
    token = mesh["a"].replica.token(LIST)
    table = ReplicaTable()
    reader = Reader(token, table)
    version, shards, system, _, applied = (
        reader.integer(),
        reader.integer(),
        reader.text(),
        reader.integer(),
        reader.context(),
    )
    writer = Writer(table)
    writer.integer(version)
    writer.integer(shards)
    writer.text(system)
    writer.integer(shards)
    writer.context(applied)
    with pytest.raises(TokenInvalid):
        await_token(mesh, "a", writer.finish(), "read")
