"""What one replica promises its callers and its disk."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.errors import InvalidOperation, UnknownType
from crdtmesh.crdts.operations import Operation
from crdtmesh.persistence.base import LogRecord, StateRows
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication.errors import LimitExceeded, SnapshotInUse, StorageFailed
from crdtmesh.replication.options import KEY_BYTES_MAX, ReplicationOptions
from crdtmesh.replication.outputs import Changed, EntryKey, Persist, ReadOnly
from tests.unit.crdtmesh.replication.mesh import LIST, PRICE, STOCK, Mesh, add, increment, remove

# --- updates


def test_update_is_seen_at_once_and_counts_its_operations_as_dots() -> None:
    mesh = Mesh("a")
    result = mesh.update("a", LIST, add("milk"), add("eggs"), remove("milk"))
    assert ("eggs",) == mesh.value("a", LIST)
    assert result.event is not None
    assert (1, 3) == (result.event.first, result.event.last)


def test_dots_continue_with_the_next_event() -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"), add("eggs"))
    result = mesh.update("a", LIST, add("flour"))
    assert result.event is not None
    assert (3, 3) == (result.event.first, result.event.last)


def test_each_shard_numbers_its_events_by_itself() -> None:
    mesh = Mesh("a")
    events = [mesh.update("a", EntryKey("shop", f"key{number}", "ORSet"), add(1)).event for number in range(400)]
    by_shard: dict[int, list[int]] = {}
    for event in events:
        assert event is not None
        by_shard.setdefault(event.shard, []).append(event.first)
    assert set(range(16)) == set(by_shard)
    for numbers in by_shard.values():
        assert list(range(1, len(numbers) + 1)) == numbers


def test_no_effect_is_no_event_and_takes_no_dot() -> None:
    mesh = Mesh("a")
    result = mesh.update("a", LIST, remove("milk"))
    assert (None, ()) == (result.event, result.touched)
    assert mesh.value("a", LIST) is None
    assert [] == mesh["a"].replica.take_outgoing()
    result = mesh.update("a", LIST, add("milk"))
    assert result.event is not None
    assert 1 == result.event.first


def test_no_effect_still_waits_for_what_it_could_have_seen() -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"), ticket="add")
    mesh.update("a", LIST, remove("eggs"), ticket="nothing")
    mesh["a"].flush()
    assert [] == mesh["a"].committed
    mesh["a"].sync()
    assert ["add", "nothing"] == mesh["a"].committed


def test_update_tells_what_changed() -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"))
    mesh["a"].flush()
    (changed,) = mesh["a"].of(Changed)
    assert (LIST, True, 1) == (changed.key, changed.local, changed.version)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (EntryKey("shop", "list", "OrSet"), UnknownType),
        (EntryKey("shop", "", "ORSet"), LimitExceeded),
        (EntryKey("shop", "ä" * (KEY_BYTES_MAX // 2 + 1), "ORSet"), LimitExceeded),
        (EntryKey("", "list", "ORSet"), LimitExceeded),
        (EntryKey("s" * 256, "list", "ORSet"), LimitExceeded),
    ],
)
def test_impossible_key_is_refused(key: EntryKey, error: type[Exception]) -> None:
    mesh = Mesh("a")
    with pytest.raises(error):
        mesh.update("a", key, add("milk"))
    assert [] == list(mesh["a"].replica.entries(key.system))


def test_refused_operation_leaves_nothing_of_its_update() -> None:
    mesh = Mesh("a")
    with pytest.raises(InvalidOperation):
        mesh.update("a", LIST, add("milk"), Operation("increment"))
    assert mesh.value("a", LIST) is None
    assert [] == mesh["a"].replica.take_outgoing()
    result = mesh.update("a", LIST, add("eggs"))
    assert result.event is not None
    assert 1 == result.event.first


def test_entry_above_the_hard_limit_is_refused_with_sizes() -> None:
    mesh = Mesh("a")
    element = "x" * 200_000
    for number in range(20):
        mesh.update("a", LIST, add(f"{number}{element}"))
    mesh["a"].flush()
    assert ["entry_large"] == mesh.alarms("a")
    with pytest.raises(LimitExceeded, match=r"4000[0-9]{3} bytes would exceed 4194304 bytes with 200034"):
        mesh.update("a", LIST, add(f"20{element}"))
    value = mesh.value("a", LIST)
    assert isinstance(value, tuple)
    assert 20 == len(value)
    mesh.update("a", LIST, Operation("clear"))
    assert mesh.value("a", LIST) is None


def test_entries_are_listed_in_order_of_key_with_a_prefix() -> None:
    mesh = Mesh("a")
    for key in ("fruit/pear", "fruit/apple", "milk", "fruit/fig"):
        mesh.update("a", EntryKey("shop", key, "ORSet"), add(1))
    mesh.update("a", EntryKey("shop", "fruit/fig", "ORSet"), remove(1))
    keys = [entry.key.key for entry in mesh["a"].replica.entries("shop", "fruit/")]
    assert ["fruit/apple", "fruit/pear"] == keys


def test_two_types_under_one_key_are_two_entries() -> None:
    mesh = Mesh("a")
    mesh.update("a", EntryKey("shop", "milk", "PNCounter"), increment(2))
    mesh.update("a", EntryKey("shop", "milk", "ORSet"), add("fresh"))
    assert 2 == mesh.value("a", EntryKey("shop", "milk", "PNCounter"))
    assert ("fresh",) == mesh.value("a", EntryKey("shop", "milk", "ORSet"))


# --- the commit barrier


def test_update_is_acknowledged_when_its_group_is_on_disk() -> None:
    mesh = Mesh("a")
    mesh.update("a", STOCK, increment(), ticket=1)
    mesh["a"].flush()
    (first,) = mesh["a"].unsynced
    mesh.update("a", STOCK, increment(), ticket=2)
    mesh["a"].flush()
    assert [] == mesh["a"].committed
    mesh["a"].replica.persisted(first.seq, now_ns=0)
    mesh["a"].flush()
    assert [1] == mesh["a"].committed
    mesh["a"].sync()
    assert [1, 2] == mesh["a"].committed


def test_changes_between_two_flushes_are_one_group() -> None:
    mesh = Mesh("a")
    for ticket in range(5):
        mesh.update("a", STOCK, increment(), ticket=ticket)
    groups = [output for output in mesh["a"].replica.take_outgoing() if isinstance(output, Persist)]
    assert 1 == len(groups)
    assert 1 == len([record for record in groups[0].records if isinstance(record, LogRecord)])


def test_read_waits_for_the_update_it_saw_and_not_for_later_ones() -> None:
    mesh = Mesh("a")
    mesh.update("a", STOCK, increment())
    mesh["a"].flush()
    (group,) = mesh["a"].unsynced
    mesh["a"].replica.barrier("read")
    mesh.update("a", STOCK, increment())
    mesh["a"].flush()
    assert [] == mesh["a"].committed
    mesh["a"].replica.persisted(group.seq, now_ns=0)
    mesh["a"].flush()
    assert ["read"] == mesh["a"].committed


def test_read_with_nothing_pending_is_acknowledged_at_once() -> None:
    mesh = Mesh("a")
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh["a"].replica.barrier("read")
    mesh["a"].flush()
    assert ["read"] == mesh["a"].committed


def test_read_of_a_pushed_update_waits_for_this_nodes_disk() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.drain()
    mesh.update("a", STOCK, increment(5))
    mesh["a"].sync()
    for message in mesh.take_sent("a"):
        mesh.deliver("a", message)
    assert 5 == mesh.value("b", STOCK)
    mesh["b"].replica.barrier("read")
    mesh["b"].flush()
    assert [] == mesh["b"].committed
    mesh["b"].sync()
    assert ["read"] == mesh["b"].committed


def test_nothing_is_pushed_before_it_is_on_disk() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.drain()
    mesh.update("a", STOCK, increment())
    mesh["a"].flush()
    assert [] == mesh["a"].sent
    mesh["a"].sync()
    assert ["b"] == [message.peer for message in mesh["a"].sent]


def test_failed_commit_acknowledges_nothing_and_refuses_from_there_on() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.drain()
    mesh.update("a", STOCK, increment(), ticket="lost")
    mesh["a"].flush()
    (group,) = mesh["a"].unsynced
    mesh.update("a", STOCK, increment(), ticket="open")
    mesh["a"].replica.persist_failed(group.seq, "disk full")
    mesh["a"].replica.barrier("read")
    mesh["a"].flush()
    assert [] == mesh["a"].committed
    assert ["lost", "open", "read"] == mesh["a"].failed
    assert [ReadOnly("disk full")] == mesh["a"].of(ReadOnly)
    assert [] == mesh["a"].sent
    with pytest.raises(StorageFailed, match="disk full") as caught:
        mesh.update("a", STOCK, increment())
    assert "not_applied" == caught.value.outcome


def test_replica_with_a_failed_disk_takes_nothing_from_peers() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.drain()
    mesh["b"].replica.persist_failed(1, "disk full")
    mesh.update("a", STOCK, increment())
    mesh.drain()
    assert mesh.value("b", STOCK) is None
    assert mesh["b"].replica.next_deadline_ns() is None


def test_read_only_replica_serves_reads_and_refuses_updates() -> None:
    mesh = Mesh("a", options=ReplicationOptions(read_only=True))
    mesh["a"].replica.barrier("read")
    mesh["a"].flush()
    assert ["read"] == mesh["a"].committed
    with pytest.raises(StorageFailed, match="read_only"):
        mesh.update("a", STOCK, increment())


# --- snapshots


def test_snapshot_costs_nothing_until_something_else_changes_the_entry() -> None:
    mesh = Mesh("a")
    replica = mesh["a"].replica
    mesh.update("a", LIST, add("milk"))
    snapshot = replica.snapshot(LIST)
    replica.update(LIST, [add("eggs")], ticket=None, wall_ms=mesh.wall_ms, view=snapshot)
    assert not snapshot.is_detached
    assert ("eggs", "milk") == snapshot.value()


def test_removal_in_a_turn_does_not_remove_an_add_that_arrived_during_it() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    snapshot = mesh["a"].replica.snapshot(LIST)
    mesh.update("b", LIST, add("milk"), add("eggs"))
    mesh.drain()
    assert ("milk",) == snapshot.value()
    assert snapshot.is_detached
    mesh["a"].replica.update(LIST, [Operation("clear")], ticket=None, wall_ms=mesh.wall_ms, view=snapshot)
    assert () == snapshot.value()
    assert ("eggs", "milk") == mesh.value("a", LIST)
    snapshot.close()
    mesh.drain()
    assert [("eggs", "milk")] * 2 == mesh.values(LIST)


def test_second_turn_on_one_snapshot_builds_on_the_first() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", STOCK, increment(3))
    mesh.drain()
    snapshot = mesh["a"].replica.snapshot(STOCK)
    mesh.update("b", STOCK, increment(10))
    mesh.drain()
    for _ in range(2):
        mesh["a"].replica.update(STOCK, [increment(1)], ticket=None, wall_ms=mesh.wall_ms, view=snapshot)
    assert 5 == snapshot.value()
    assert 15 == mesh.value("a", STOCK)
    mesh.drain()
    assert [15, 15] == mesh.values(STOCK)


def test_update_past_an_open_snapshot_is_refused() -> None:
    mesh = Mesh("a")
    snapshot = mesh["a"].replica.snapshot(STOCK)
    with pytest.raises(SnapshotInUse):
        mesh.update("a", STOCK, increment())
    with pytest.raises(SnapshotInUse):
        mesh["a"].replica.snapshot(STOCK)
    snapshot.close()
    mesh.update("a", STOCK, increment())
    with pytest.raises(SnapshotInUse):
        mesh["a"].replica.update(STOCK, [increment()], ticket=None, wall_ms=0, view=snapshot)


def test_snapshot_of_a_new_key_is_bottom_and_no_entry() -> None:
    mesh = Mesh("a")
    snapshot = mesh["a"].replica.snapshot(LIST)
    assert () == snapshot.value()
    assert mesh["a"].replica.read(LIST) is None
    snapshot.close()


# --- loading


def test_acknowledged_updates_are_there_after_a_crash_and_others_are_not() -> None:
    mesh = Mesh("a")
    mesh.update("a", STOCK, increment(2))
    mesh.update("a", LIST, add("milk"))
    mesh["a"].sync()
    mesh.update("a", STOCK, increment(40))
    mesh["a"].flush()
    mesh.restart("a")
    assert 2 == mesh.value("a", STOCK)
    assert ("milk",) == mesh.value("a", LIST)


def test_log_is_applied_twice_without_harm() -> None:
    mesh = Mesh("a")
    mesh.update("a", STOCK, increment(2))
    mesh.update("a", LIST, add("milk"), remove("milk"), add("eggs"))
    mesh["a"].sync()
    before = mesh["a"].replica.digest("shop")
    disk = mesh["a"].disk
    disk.log += disk.log
    mesh.restart("a")
    assert before == mesh["a"].replica.digest("shop")


def test_checkpoint_cuts_the_log_and_loses_nothing() -> None:
    options = ReplicationOptions(checkpoint_log_rows=10, checkpoint_slice_entries=3)
    mesh = Mesh("ab", options=options)
    mesh.connect_all()
    for number in range(60):
        mesh.update("a", EntryKey("shop", f"k{number % 17}", "ORSet"), add(number), remove(number - 20))
        mesh.update("b", STOCK, increment())
        mesh.drain()
    mesh.settle()
    assert len(mesh["a"].disk.log) < 30
    before = mesh.digests("a")
    for name in "ab":
        mesh.restart(name)
        assert before == mesh.digests(name)
    # A peer without anything is brought up from what was loaded: contexts and index came back too.
    mesh.nodes["c"] = Mesh("c", seed=9, options=options)["c"]
    mesh.connect("a", "c")
    mesh.connect("a", "b")
    mesh.settle()
    assert before == mesh.digests("c")


def test_crash_in_the_middle_of_a_checkpoint_loses_nothing() -> None:
    mesh = Mesh("a", options=ReplicationOptions(checkpoint_log_rows=5, checkpoint_slice_entries=1))
    for number in range(40):
        key = EntryKey("shop", f"k{number % 7}", "ORSet")
        mesh.update("a", key, add(number), remove(number - 7))
        # One group at a time reaches the disk, so a checkpoint of seven slices is always under way.
        mesh["a"].flush()
        group = mesh["a"].unsynced.pop(0)
        mesh["a"].disk.apply(group.records)
        mesh["a"].replica.persisted(group.seq, now_ns=0)
        mesh["a"].flush()
        before = mesh["a"].replica.digest("shop")
        if not mesh["a"].unsynced and number % 5 == 0:
            mesh.restart("a")
            assert before == mesh["a"].replica.digest("shop"), number


def test_stamps_go_on_above_those_of_the_run_before_although_the_clock_was_set_back() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.now_ns = 3600 * 10**9
    mesh.update("a", PRICE, Operation("set", (1,)))
    mesh.drain()
    mesh.restart("a")
    mesh.now_ns = 0
    # On another key there is no older stamp to exceed: only the persisted bound keeps the order.
    mesh.update("a", EntryKey("shop", "other", "LWWRegister"), Operation("set", (2,)))
    keys = [EntryKey("shop", key, "LWWRegister") for key in ("price", "other")]
    stores = [mesh.shard("a", key).entries.find(key[1:]) for key in keys]
    stamps = [max(entry.store.values())[0] for entry in stores if entry is not None]
    assert stamps[0] < stamps[1]


def test_replica_id_of_an_earlier_run_is_refused() -> None:
    mesh = Mesh("a")
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh.rng.seed(1)
    with pytest.raises(ValueError, match="used before"):
        mesh.restart("a")


@pytest.mark.parametrize(
    "record",
    [
        LogRecord(b""),
        LogRecord(b"\x01\x04shop\xff"),
        LogRecord(b"\x02\x00\x01\xc4\x00\x00"),
        StateRows((b"",), (b"",)),
        StateRows((b"E\x04shop" + bytes(8),), (b"junk",)),
        StateRows((b"Z\x04shop",), (b"\x01\xc4\x00",)),
    ],
)
def test_record_of_nobody_stops_the_load(record: LogRecord | StateRows) -> None:
    with pytest.raises(CorruptRecord):
        Mesh("a")["a"].replica.load([record])
