"""What somebody who watches entries is shown, and what it may cost."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.watch import KEPT_BATCHES_MAX, Selection, SnapshotReason, WatchKind
from crdtmesh.replication.watch_values import MAPS, SETS, KeyChange, MapDifference, SetDifference
from crdtmesh.replication.watching import BATCH_EVENTS_MAX, INTERVAL_MS_MAX, WatchOptions, WatchRefused
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment, remove
from tests.unit.crdtmesh.replication.watchers import Desk, Reader

SETTINGS = EntryKey("shop", "settings", "LWWMap")


def one(key: EntryKey) -> Selection:
    return Selection(system=key.system, key=key.key, type_name=key.type_name)


def put(key: str, value: object) -> Operation:
    return Operation("put", (key, value))  # type: ignore[arg-type]


# --- the snapshot


def test_a_watch_begins_with_what_is_there_and_goes_on_with_what_changes() -> None:
    desk, reader = Desk(), Reader()
    desk.update(STOCK, increment(5))
    watch = desk.open()
    desk.read_all(watch, reader)
    assert {STOCK: 5} == reader.shown
    assert reader.is_complete
    assert [SnapshotReason.FIRST] == reader.reasons
    reader.take_events()
    desk.update(STOCK, increment(2))
    desk.read_all(watch, reader)
    [event] = reader.events
    assert (WatchKind.CHANGED, STOCK, 7, 5) == (event.kind, event.key, event.new, event.old)


def test_a_key_without_state_is_absent_and_its_first_state_is_a_change_from_nothing() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open(one(STOCK))
    desk.read_all(watch, reader)
    assert [WatchKind.ABSENT] == [event.kind for event in reader.take_events()]
    assert reader.is_complete
    desk.update(STOCK, increment())
    desk.read_all(watch, reader)
    [event] = reader.events
    assert (WatchKind.CHANGED, 1, False) == (event.kind, event.new, event.had)


def test_a_prefix_without_state_is_an_empty_snapshot() -> None:
    desk, reader = Desk(), Reader()
    desk.read_all(desk.open(), reader)
    assert reader.is_complete
    assert [] == reader.events


def test_a_key_without_type_shows_all_its_types() -> None:
    desk, reader = Desk(), Reader()
    other = EntryKey("shop", "stock", "GCounter")
    desk.update(STOCK, increment(5))
    desk.update(other, increment(6))
    desk.update(LIST, add("milk"))
    desk.read_all(desk.open(Selection(system="shop", key="stock")), reader)
    assert {STOCK: 5, other: 6} == reader.shown


def test_prefix_and_type_select_changes_too() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open(Selection(system="shop", prefix="l", type_name="ORSet"))
    desk.read_all(watch, reader)
    for key in (LIST, EntryKey("shop", "list", "GSet"), EntryKey("shop", "a", "ORSet"), EntryKey("x", "list", "ORSet")):
        desk.update(key, add("milk"))
    desk.read_all(watch, reader)
    assert {LIST: ("milk",)} == reader.shown


def test_a_big_snapshot_comes_in_batches_of_bounded_size_and_changes_wait_behind_it() -> None:
    desk, reader = Desk(), Reader()
    keys = [EntryKey("shop", f"key{number:04}", "PNCounter") for number in range(2 * BATCH_EVENTS_MAX + 1)]
    for key in keys:
        desk.update(key, increment())
    watch = desk.open()
    desk.sync()
    assert BATCH_EVENTS_MAX == len(watch.queue[0].events)
    desk.update(keys[0], increment())
    desk.update(keys[-1], increment())
    desk.update(STOCK, increment())
    desk.read_all(watch, reader)
    kinds = [event.kind for event in reader.events]
    assert [WatchKind.PRESENT] * len(keys) + [WatchKind.CHANGED] * 2 == kinds
    assert desk.state() == reader.shown


# --- the disk


def test_nothing_is_shown_before_it_is_on_disk() -> None:
    desk = Desk()
    watch = desk.open(one(STOCK))
    desk.read_all(watch, Reader())
    desk.update(STOCK, increment())
    desk.turn()
    desk.turn()
    assert not watch.queue
    desk.sync()
    assert 1 == len(watch.queue)


def test_a_failed_disk_ends_the_watch_without_showing_what_it_lost() -> None:
    desk = Desk()
    watch = desk.open(one(STOCK))
    desk.read_all(watch, Reader())
    desk.update(STOCK, increment())
    desk.turn()
    desk.node.replica.persist_failed(desk.node.unsynced[-1].seq, "disk full")
    desk.turn()
    assert ("storage_failed", "disk full") == (watch.end, watch.detail)
    assert not watch.queue
    assert watch in desk.ready


# --- differences


def test_sets_show_what_came_and_went() -> None:
    desk, reader = Desk(), Reader()
    desk.update(LIST, add("milk"), add(1))
    watch = desk.open()
    desk.read_all(watch, reader)
    desk.update(LIST, remove("milk"), add("eggs"), add(True))
    desk.read_all(watch, reader)
    difference = reader.events[-1].difference
    assert isinstance(difference, SetDifference)
    assert {"eggs", True} == set(difference.added)
    assert ("milk",) == difference.removed


def test_maps_show_keys_that_came_went_and_changed() -> None:
    desk, reader = Desk(), Reader()
    desk.update(SETTINGS, put("theme", "dark"), put("size", 1), put("lang", None))
    watch = desk.open()
    desk.read_all(watch, reader)
    desk.update(SETTINGS, put("size", 1.0), put("new", None), Operation("remove", ("theme",)))
    desk.read_all(watch, reader)
    difference = reader.events[-1].difference
    assert isinstance(difference, MapDifference)
    assert {
        KeyChange("theme", True, "dark", False, None),
        KeyChange("size", True, 1, True, 1.0),
        KeyChange("new", False, None, True, None),
    } == set(difference.keys)
    [size] = [change for change in difference.keys if change.key == "size"]
    assert (int, float) == (type(size.old), type(size.new))


def test_deletion_shows_what_was_there_and_the_key_can_come_back() -> None:
    desk, reader = Desk(), Reader()
    desk.update(LIST, add("milk"))
    watch = desk.open()
    desk.read_all(watch, reader)
    desk.update(LIST, remove("milk"))
    desk.read_all(watch, reader)
    assert (WatchKind.DELETED, ("milk",)) == (reader.events[-1].kind, reader.events[-1].old)
    desk.update(LIST, add("milk"))
    desk.read_all(watch, reader)
    assert {LIST: ("milk",)} == reader.shown


@pytest.mark.parametrize("name", sorted(SETS | MAPS))
def test_the_types_with_differences_read_as_sequences_and_maps(name: str) -> None:
    data_type = registry.get(name)
    assert (dict if name in MAPS else tuple) is type(data_type.value(data_type.bottom()))


def test_a_change_that_leaves_the_value_as_it_was_is_not_shown() -> None:
    desk, reader = Desk(), Reader()
    desk.update(LIST, add("milk"))
    watch = desk.open()
    desk.read_all(watch, reader)
    reader.take_events()
    desk.update(LIST, remove("milk"), add("milk"))
    desk.read_all(watch, reader)
    assert [] == reader.events


# --- pace


def test_changes_within_the_interval_come_together_and_are_not_called_lagged() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open(interval_ms=50)
    desk.read_all(watch, reader)
    desk.update(STOCK, increment())
    desk.read_all(watch, reader)
    assert {} == reader.shown, "the snapshot was just sent"
    desk.update(STOCK, increment())
    desk.advance_ms(50)
    desk.read_all(watch, reader)
    assert [(2, False)] == [(event.new, event.is_lagged) for event in reader.events]
    desk.advance_ms(50)
    desk.update(STOCK, increment())
    desk.read_all(watch, reader)
    assert {STOCK: 3} == reader.shown, "after a pause a change leaves at once"


def test_a_slow_reader_gets_one_change_for_many_and_is_told() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open()
    desk.read_all(watch, reader)
    for _ in range(100):
        desk.update(STOCK, increment())
        desk.sync()
    assert 1 == len(watch.queue)
    desk.update(LIST, add("milk"))
    desk.read_all(watch, reader)
    assert [(STOCK, False), (STOCK, True), (LIST, False)] == [(event.key, event.is_lagged) for event in reader.events]
    assert desk.state() == reader.shown


def test_one_slow_reader_holds_up_no_other() -> None:
    desk, reader = Desk(), Reader()
    slow, watch = desk.open(), desk.open()
    for _ in range(10):
        desk.update(STOCK, increment())
        desk.read_all(watch, reader)
    assert desk.state() == reader.shown
    assert 1 == len(slow.queue)


# --- coming back


def test_a_reader_that_comes_back_goes_on_where_it_was() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open()
    desk.read_all(watch, reader)
    desk.watches.park(watch, now_ns=desk.mesh.now_ns)
    desk.update(STOCK, increment())
    desk.sync()
    again = desk.open(token=reader.token)
    desk.read_all(again, reader)
    assert [SnapshotReason.FIRST] == reader.reasons
    assert {STOCK: 1} == reader.shown


def test_batches_that_were_lost_on_the_way_are_given_again_and_those_that_came_are_not() -> None:
    desk, reader, lost = Desk(), Reader(), Reader()
    watch = desk.open()
    desk.read_all(watch, reader)
    lost.is_complete = True
    for _ in range(3):
        desk.update(STOCK, increment())
        desk.read_all(watch, lost)
    desk.update(STOCK, increment())
    desk.sync()
    desk.watches.park(watch, now_ns=desk.mesh.now_ns)
    reader.take_events()
    again = desk.open(token=reader.token)
    desk.read_all(again, reader)
    assert [1, 2, 3, 4] == [event.new for event in reader.events]


def test_a_batch_that_the_reader_has_though_its_write_had_not_ended_is_not_given_again() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open()
    desk.sync()
    batch = watch.queue[0]
    reader.receive(batch, desk.watches.token(watch, batch))
    desk.watches.park(watch, now_ns=desk.mesh.now_ns)
    desk.update(STOCK, increment())
    desk.read_all(desk.open(token=reader.token), reader)
    assert [SnapshotReason.FIRST] == reader.reasons
    assert {STOCK: 1} == reader.shown


def test_a_reader_that_was_away_for_too_long_gets_a_snapshot_that_says_so() -> None:
    desk, reader = Desk(options=WatchOptions(parked_ns_max=1_000_000_000)), Reader()
    watch = desk.open()
    desk.read_all(watch, reader)
    desk.watches.park(watch, now_ns=desk.mesh.now_ns)
    desk.advance_ms(1_000)
    desk.sync()
    assert (0, 0) == (len(desk.watches), desk.watches.held_bytes)
    desk.update(STOCK, increment())
    desk.read_all(desk.open(token=reader.token), reader)
    assert [SnapshotReason.FIRST, SnapshotReason.EXPIRED] == reader.reasons
    assert {STOCK: 1} == reader.shown


def test_a_reader_that_lacks_more_than_is_kept_gets_a_snapshot() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open()
    desk.read_all(watch, reader)
    lost = Reader(is_complete=True)
    for _ in range(KEPT_BATCHES_MAX + 1):
        desk.update(STOCK, increment())
        desk.read_all(watch, lost)
    desk.watches.park(watch, now_ns=desk.mesh.now_ns)
    desk.read_all(desk.open(token=reader.token), reader)
    assert [SnapshotReason.FIRST, SnapshotReason.EXPIRED] == reader.reasons
    assert desk.state() == reader.shown


def test_another_node_and_another_selection_begin_with_a_snapshot_that_says_so() -> None:
    desk, reader = Desk(), Reader()
    desk.read_all(desk.open(), reader)
    other, token = Desk(run="run2"), reader.token
    other.read_all(other.open(token=token), reader)
    desk.read_all(desk.open(one(STOCK), token=token), reader)
    assert [SnapshotReason.FIRST, SnapshotReason.OTHER_NODE, SnapshotReason.OTHER_SELECTION] == reader.reasons


@pytest.mark.parametrize("token", ["x", "run1.1", "run1.x.1", "run1.1.-1", "..", "run1.1." + "9" * 60])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    desk = Desk()
    with pytest.raises(WatchRefused) as refused:
        desk.open(token=token)
    assert not refused.value.is_limit


def test_a_token_of_a_batch_that_was_never_sent_begins_with_a_snapshot() -> None:
    desk, reader = Desk(), Reader()
    desk.read_all(desk.open(), Reader())
    desk.read_all(desk.open(token="run1.1.7"), reader)
    assert [SnapshotReason.EXPIRED] == reader.reasons


# --- bounds


def test_readers_beyond_the_cap_are_refused_and_those_that_went_make_room() -> None:
    desk = Desk(options=WatchOptions(watches_max=2))
    first = desk.open()
    desk.open()
    with pytest.raises(WatchRefused, match="2 watches") as refused:
        desk.open()
    assert refused.value.is_limit
    desk.watches.park(first, now_ns=0)
    desk.open()
    assert 2 == len(desk.watches)


def test_a_selection_of_too_many_entries_is_refused_and_one_that_grows_too_big_ends() -> None:
    desk = Desk(options=WatchOptions(keys_max=4))
    watch = desk.open()
    for number in range(9):
        desk.update(EntryKey("shop", f"key{number}", "PNCounter"), increment())
    with pytest.raises(WatchRefused) as refused:
        desk.open()
    assert refused.value.is_limit
    desk.turn()
    assert "limit_reached" == watch.end
    assert 0 == desk.watches.held_bytes


def test_watches_that_hold_too_much_end_after_those_whose_reader_is_away_were_forgotten() -> None:
    desk = Desk(options=WatchOptions(held_bytes_max=15_000))
    desk.update(LIST, add("x" * 3_000))
    away = desk.open()
    desk.sync()
    desk.watches.park(away, now_ns=0)
    watch = desk.open()
    desk.sync()
    assert watch.end is None
    assert 1 == len(desk.watches)
    third = desk.open()
    desk.sync()
    assert "limit_reached" == third.end
    assert watch.end is None


def test_what_is_held_is_given_back_to_the_last_byte() -> None:
    desk, reader = Desk(), Reader()
    watch = desk.open()
    for number in range(50):
        desk.update(LIST, add(number))
        desk.update(STOCK, increment())
        desk.read_all(watch, reader)
    assert desk.watches.held_bytes == watch.held_bytes > 0
    desk.watches.park(watch, now_ns=0)
    desk.advance_ms(60_000)
    desk.sync()
    assert 0 == desk.watches.held_bytes


@pytest.mark.parametrize("interval_ms", [-1, INTERVAL_MS_MAX + 1])
def test_an_interval_out_of_bounds_is_refused(interval_ms: int) -> None:
    with pytest.raises(WatchRefused):
        Desk().open(interval_ms=interval_ms)


def test_what_comes_from_peers_is_shown_too() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    desk, reader = Desk(mesh=mesh), Reader()
    watch = desk.open()
    desk.read_all(watch, reader)
    mesh.update("b", LIST, add("milk"))
    mesh.drain()
    desk.read_all(watch, reader)
    assert {LIST: ("milk",)} == reader.shown


def test_what_is_kept_beside_an_entry_is_not_shown() -> None:
    selection = Selection(system="shop")
    assert selection.has(EntryKey("shop", "list", "ORSet"))
    assert not selection.has(EntryKey("shop", "list\0operations", "ORSet"))


# --- expiry


def expiring(desk: Desk) -> None:
    desk.node.replica.update(LIST, [add("milk")], ticket=None, wall_ms=desk.mesh.wall_ms, ttl_ms=2_000)


def test_an_entry_whose_time_is_over_is_deleted_as_expired() -> None:
    desk, reader = Desk(), Reader()
    expiring(desk)
    watch = desk.open()
    desk.read_all(watch, reader)
    reader.take_events()
    desk.mesh.advance(3)
    desk.read_all(watch, reader)
    [event] = reader.take_events()
    assert (WatchKind.DELETED, LIST, ("milk",), True) == (event.kind, event.key, event.old, event.is_expired)
    desk.mesh.advance(60)
    desk.read_all(watch, reader)
    assert [] == reader.events


def test_a_slow_reader_is_told_that_it_expired_when_it_was_removed_since() -> None:
    desk, reader = Desk(), Reader()
    expiring(desk)
    watch = desk.open(interval_ms=30_000)
    desk.read_all(watch, reader)
    reader.take_events()
    for _ in range(20):
        desk.mesh.advance(3)
        desk.sync()
    desk.read_all(watch, reader)
    [event] = reader.events
    assert (WatchKind.DELETED, True) == (event.kind, event.is_expired)


def test_an_entry_that_somebody_removed_in_time_has_not_expired() -> None:
    desk, reader = Desk(), Reader()
    expiring(desk)
    watch = desk.open()
    desk.read_all(watch, reader)
    reader.take_events()
    desk.update(LIST, remove("milk"))
    desk.read_all(watch, reader)
    [event] = reader.events
    assert (WatchKind.DELETED, False) == (event.kind, event.is_expired)


def test_an_entry_that_is_new_again_after_it_expired_can_be_deleted_as_any_other() -> None:
    desk, reader = Desk(), Reader()
    expiring(desk)
    watch = desk.open(interval_ms=5_000)
    desk.read_all(watch, reader)
    desk.mesh.advance(3)
    desk.sync()
    desk.update(LIST, add("eggs"))
    desk.mesh.advance(5)
    desk.read_all(watch, reader)
    reader.take_events()
    desk.update(LIST, remove("eggs"))
    desk.mesh.advance(6)
    desk.read_all(watch, reader)
    [event] = reader.events
    assert (WatchKind.DELETED, False) == (event.kind, event.is_expired)
