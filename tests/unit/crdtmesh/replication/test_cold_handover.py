"""What is cold goes to an empty node as it stands on disk, and is put in there without being decoded."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable, pack_dot
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication import shard_wire, wire
from crdtmesh.replication.carrying import canonical
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import Changed, EntryKey, SendTo, ShardTaken
from crdtmesh.replication.rows import canonical_in, check_foreign, name_in, write_row
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment, remove
from tests.unit.crdtmesh.replication.test_handover import until

ONE_SHARD = ReplicationOptions(shards=1)
KEYS = [EntryKey("shop", f"key{number:03}", "ORSet") for number in range(100)]


def filled(*, options: ReplicationOptions = ONE_SHARD) -> Mesh:
    """A node with a hundred entries of which its index has forgotten all, and an empty one without a link to it."""
    mesh = Mesh("ab", options=options)
    for key in KEYS:
        mesh.update("a", key, add("an element"))
    mesh["a"].sync()
    mesh.forget_all("a")
    return mesh


def packed(mesh: Mesh, name: str) -> int:
    entries = mesh.shard(name, KEYS[0]).entries
    return sum(entries.packed(number) is not None for _, number in entries.names())


def joined(mesh: Mesh) -> None:
    mesh.connect("a", "b")
    mesh.settle()


def test_empty_node_gets_cold_entries_without_decoding_them() -> None:
    mesh = filled()
    joined(mesh)
    assert 100 == packed(mesh, "b")
    assert ("an element",) == mesh.value("b", KEYS[7])
    assert 100 == len(mesh["b"].of(Changed))
    assert 0 == mesh["b"].replica.summary()[0].index_runs
    (taken,) = mesh["b"].of(ShardTaken)
    assert ("shop", 0, 1, "a", 100) == taken[:5]


def test_entries_that_were_never_decoded_come_back_from_the_log_and_from_rows() -> None:
    mesh = filled(options=ReplicationOptions(shards=1, checkpoint_log_rows=1_000_000, checkpoint_log_bytes=1 << 40))
    joined(mesh)
    before = mesh["b"].replica.digest("shop")
    mesh.restart("b")
    assert before == mesh["b"].replica.digest("shop")
    mesh = filled(options=ReplicationOptions(shards=1, checkpoint_log_bytes=1_000))
    joined(mesh)
    mesh.update("b", STOCK, increment())  # with the next group the chunks are cut from the log
    mesh["b"].sync()
    mesh.settle()
    mesh.restart("b")
    assert 101 == packed(mesh, "b")
    assert mesh["a"].replica.digest("shop") == mesh["b"].replica.digest("shop")


def test_updates_go_on_from_an_entry_that_came_as_a_row() -> None:
    mesh = filled()
    joined(mesh)
    mesh.update("b", KEYS[3], remove("an element"), add("another"))
    mesh.update("a", KEYS[3], add("a third"))
    mesh.settle()
    assert [("a third", "another")] * 2 == mesh.values(KEYS[3])
    mesh.restart("b")
    assert ("a third", "another") == mesh.value("b", KEYS[3])


def test_entry_with_an_event_above_the_mark_comes_as_a_state() -> None:
    mesh = filled()
    mesh.update("a", KEYS[3], add("late"))
    mesh["a"].sync()
    joined(mesh)
    assert 99 == packed(mesh, "b")
    assert ("late", "an element") == mesh.value("b", KEYS[3])


def test_row_is_joined_with_what_came_meanwhile() -> None:
    mesh = filled()
    mesh.connect("a", "b")
    chunk = until(mesh, wire.Kind.STAGE)
    mesh.update("b", KEYS[3], add("of b"))
    mesh.update("b", STOCK, increment(2))
    mesh.deliver("a", chunk)
    mesh.settle()
    assert [("of b", "an element")] * 2 == mesh.values(KEYS[3])
    assert [2, 2] == mesh.values(STOCK)


def test_row_does_not_bring_back_what_was_removed_here_meanwhile() -> None:
    """The removal reaches the empty node before the row of what it removed; then the index forgets the removal."""
    mesh = filled()
    mesh.connect("a", "b")
    chunk = until(mesh, wire.Kind.STAGE)
    mesh.update("a", KEYS[3], remove("an element"))
    mesh["a"].sync()
    for message in mesh.take_sent("a"):
        mesh.deliver("a", message)
    assert mesh.value("b", KEYS[3]) is None
    mesh.deliver("a", chunk)
    mesh.settle()
    assert [None, None] == mesh.values(KEYS[3])
    assert 99 == len(list(mesh["b"].replica.entries("shop")))


def test_expiry_is_known_as_soon_as_it_came() -> None:
    mesh = Mesh("ab", options=ONE_SHARD)
    mesh["a"].replica.update(LIST, [add("milk")], ticket=None, wall_ms=mesh.wall_ms, ttl_ms=60_000)
    mesh["a"].sync()
    mesh.forget_all("a")
    joined(mesh)
    assert mesh.wall_ms + 60_000 == mesh["b"].replica.expires_ms(LIST)
    mesh.advance(61)
    assert mesh.value("b", LIST) is None


def altered(mesh: Mesh, message: SendTo, row: bytes) -> SendTo:
    """A chunk with another row in place of its first."""
    table = mesh.shard("a", KEYS[0]).table
    frame = wire.open_message(message.payload[1:])
    stage = wire.decode(frame.body, table, shard_wire.read_stage)
    body = shard_wire.encode_stage(table, stage._replace(rows=(row, *stage.rows[1:])))
    head = wire.header(wire.Kind.STAGE, 1, "shop")
    return message._replace(payload=message.payload[:1] + head + body)


def test_chunk_with_a_row_that_is_none_is_refused_and_changes_nothing() -> None:
    mesh = filled()
    mesh.connect("a", "b")
    chunk = until(mesh, wire.Kind.STAGE)
    entry = mesh.shard("a", KEYS[0]).entries.find(KEYS[0][1:])
    assert entry is not None
    row = write_row(entry.name, entry.data_type, entry.store, mesh.shard("a", KEYS[0]).table)
    mesh.deliver("a", altered(mesh, chunk, row[:-1] + b"\xc1"))
    mesh["b"].sync()
    assert ["undecodable"] == mesh.rejections("b")
    assert 0 == mesh["b"].replica.counters()["handover.entries"]
    mesh.settle()
    assert 100 == len(list(mesh["b"].replica.entries("shop")))


@pytest.mark.parametrize(
    ("key", "dot", "known"), [("", 1, True), ("k" * 1025, 1, True), ("k", 9, True), ("k", 1, False)]
)
def test_row_that_speaks_of_more_than_the_offer_is_refused(key: str, dot: int, known: bool) -> None:
    mesh = Mesh("a", options=ONE_SHARD)
    mesh.update("a", STOCK, increment())
    shard = mesh.shard("a", STOCK)
    entry = shard.entries.find(("stock", "PNCounter"))
    assert entry is not None
    table = shard.table if known else ReplicaTable()
    replica = shard.mutation.replica if known else table.intern(bytes(16))
    store = {pack_dot(replica, dot): (1, 0)}
    row = write_row(entry.name._replace(key=key), entry.data_type, store, table)
    size = len(shard.table)
    with pytest.raises(CodecError):
        check_foreign(row, shard.table, CausalContext(shard.table, entry.data_type.dots(entry.store)))
    assert size == len(shard.table)


@pytest.mark.parametrize("elements", [1, 3, 40, 1000])
def test_row_has_the_canonical_bytes_of_its_entry(elements: int) -> None:
    mesh = Mesh("abc", options=ReplicationOptions(shards=1, checkpoint_log_rows=1))
    mesh.connect_all()
    for number in range(elements):
        mesh.update("abc"[number % 3], LIST, add(f"element {number}"))
        mesh.update("abc"[number % 3], STOCK, increment())
    mesh.settle()
    shard = mesh.shard("a", LIST)
    for entry in shard.entries:
        row = write_row(entry.name, entry.data_type, entry.store, shard.table)
        assert (name_in(row), canonical(entry.data_type, entry.store, shard.table)) == canonical_in(row)


def test_empty_entry_has_no_canonical_bytes_in_its_row() -> None:
    mesh = Mesh("a", options=ONE_SHARD)
    mesh.update("a", LIST, add("milk"))
    mesh.update("a", LIST, remove("milk"))
    shard = mesh.shard("a", LIST)
    (entry,) = shard.entries
    assert (entry.name, None) == canonical_in(write_row(entry.name, entry.data_type, entry.store, shard.table))


def test_broken_handover_of_rows_goes_on_where_it_was() -> None:
    mesh = filled(options=ReplicationOptions(shards=1, repair_chunk_bytes=2_000, repair_chunks_in_flight=1))
    mesh.connect("a", "b")
    for _ in range(3):
        mesh.deliver("a", until(mesh, wire.Kind.STAGE))
    mesh.disconnect("a", "b")
    came = mesh["b"].replica.counters()["handover.entries"]
    assert 0 < came < 100
    joined(mesh)
    assert 100 == packed(mesh, "b")
    assert 100 + 30 > mesh["b"].replica.counters()["handover.entries"]


def test_node_with_an_older_copy_gets_states() -> None:
    mesh = filled()
    mesh.update("b", STOCK, increment())
    joined(mesh)
    assert 0 == packed(mesh, "b")
