"""Which shard a key belongs to, and what a system shares."""

from __future__ import annotations

import pytest

from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.systems import co_located, shard_number
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment


@pytest.mark.parametrize(
    ("key", "decides"),
    [
        ("plain", "plain"),
        ("cart/{alice}", "alice"),
        ("{alice}/{bob}", "alice"),
        ("{}cart", "{}cart"),
        ("cart}{alice", "cart}{alice"),
        ("cart{", "cart{"),
        ("a{b{c}d", "b{c"),
    ],
)
def test_the_first_braces_that_hold_something_decide(key: str, decides: str) -> None:
    assert decides == co_located(key)


def test_the_shard_of_a_key_is_the_same_for_ever() -> None:
    """Recorded: another answer would part every cluster from its data."""
    assert [1, 13, 3] == [shard_number(key, 16) for key in ("stock", "list", "cart/{alice}")]
    assert shard_number("alice", 16) == shard_number("cart/{alice}", 16)


def test_keys_spread_evenly() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[shard_number(f"key{number}", 16)] += 1
    assert 850 < min(counts)
    assert 1150 > max(counts)


def test_two_types_under_one_key_share_a_shard() -> None:
    mesh = Mesh("a")
    mesh.update("a", EntryKey("shop", "milk", "PNCounter"), increment())
    mesh.update("a", EntryKey("shop", "milk", "ORSet"), add("fresh"))
    assert 1 == len(list(mesh["a"].replica._systems))


def test_a_flush_of_many_shards_is_one_row_and_one_message() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.drain()
    rows = len(mesh["a"].disk.log)
    for number in range(64):
        mesh.update("a", EntryKey("shop", f"key{number}", "ORSet"), add(1))
    mesh["a"].sync()
    assert 1 == len(mesh["a"].disk.log) - rows
    assert 1 == len(mesh.take_sent("a"))


def test_peers_with_another_number_of_shards_refuse_each_other() -> None:
    mesh = Mesh("ab")
    other = Mesh("b", options=ReplicationOptions(shards=4))
    mesh.nodes["b"] = other["b"]
    mesh.connect_all()
    mesh.update("a", STOCK, increment())
    mesh.update("b", STOCK, increment())
    mesh.drain()
    assert ["shard_count"] * 2 == [mesh.rejections(name)[0] for name in "ab"]
    assert [1, 1] == mesh.values(STOCK)


@pytest.mark.parametrize("log_rows", [1, 1000])
def test_data_with_another_number_of_shards_is_refused(log_rows: int) -> None:
    mesh = Mesh("a", options=ReplicationOptions(shards=4, checkpoint_log_rows=log_rows))
    for number in range(3):
        mesh.update("a", LIST, add(number))
        mesh["a"].sync()
    again = Mesh("a")
    with pytest.raises(CorruptRecord, match="the data has 4; set shards=4"):
        again["a"].replica.load(mesh["a"].disk.load())
