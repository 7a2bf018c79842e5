"""Expiry: hidden by each node's clock, removed by an event of one node, kept by an update that the remover missed."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.errors import LimitExceeded, TtlInvalid
from crdtmesh.replication.expiring import GRACE_MS, NO_EXPIRY_MS, TAKEOVER_MS, cell_of
from crdtmesh.replication.options import KEY_BYTES_MAX, TTL_MS_MAX, ReplicationOptions
from crdtmesh.replication.outputs import Changed, EntryKey
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment

GRACE_S = GRACE_MS / 1000
TAKEOVER_S = TAKEOVER_MS / 1000


def put(mesh: Mesh, name: str, element: str, ttl_s: float | None = 10, *, key: EntryKey = LIST) -> None:
    ttl_ms = None if ttl_s is None else int(ttl_s * 1000)
    mesh[name].replica.update(key, [add(element)], ticket=None, wall_ms=mesh.wall_ms, ttl_ms=ttl_ms)


def removed(mesh: Mesh) -> dict[str, int]:
    return {name: node.replica.counters()["expiry.removed"] for name, node in mesh.nodes.items()}


def connected(*names: str, options: ReplicationOptions | None = None) -> Mesh:
    mesh = Mesh(names, options=options)
    mesh.connect_all()
    mesh.enlist(*names)
    mesh.drain()
    return mesh


def test_an_entry_is_shown_until_it_expires_on_every_node_and_then_gone() -> None:
    mesh = connected("a", "b", "c")
    put(mesh, "a", "milk", 10)
    mesh.drain()
    mesh.advance(9.9)
    assert [("milk",)] * 3 == mesh.values(LIST)
    mesh.advance(0.1)
    assert [None] * 3 == mesh.values(LIST)
    assert [] == list(mesh["b"].replica.entries("shop"))


def test_one_node_removes_an_expired_entry_and_nothing_is_left_of_it_anywhere() -> None:
    mesh = connected("a", "b", "c")
    put(mesh, "a", "milk", 10)
    mesh.drain()
    mesh.advance(10 + GRACE_S)
    mesh.settle()
    assert [0, 0, 1] == sorted(removed(mesh).values())
    for name in "abc":
        entries = mesh.shard(name, LIST).entries
        assert all(entry.is_bottom for entry in entries)


def test_readers_are_told_when_an_entry_expires() -> None:
    mesh = connected("a")
    put(mesh, "a", "milk", 1)
    mesh["a"].flush()
    before = len(mesh["a"].of(Changed))
    mesh.advance(1)
    mesh["a"].flush()
    assert [LIST] == [event.key for event in mesh["a"].of(Changed)[before:]]


def test_a_tick_is_wanted_when_an_entry_expires() -> None:
    mesh = Mesh("a")
    assert mesh["a"].replica.next_deadline_ns() is None
    put(mesh, "a", "milk", 10)
    mesh["a"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    assert mesh.now_ns + 10_000_000_000 == mesh["a"].replica.next_deadline_ns()


def test_another_node_takes_over_when_the_first_is_away() -> None:
    mesh = connected("a", "b", "c")
    put(mesh, "a", "milk", 10)
    mesh.drain()
    mesh.advance(10)
    first = next(name for name in "abc" if mesh[name].replica._expiry._rank(LIST) == 0)
    others = [name for name in "abc" if name != first]
    for other in others:
        mesh.disconnect(first, other)
    del mesh.nodes[first]
    mesh.advance(GRACE_S)
    mesh.drain()
    assert {0} == set(removed(mesh).values())
    mesh.advance(TAKEOVER_S)
    mesh.settle()
    assert [0, 1] == sorted(removed(mesh).values())


def test_an_update_with_a_later_expiry_survives_a_removal_that_did_not_see_it() -> None:
    mesh = connected("a", "b")
    put(mesh, "a", "milk", 10)
    mesh.drain()
    mesh.disconnect("a", "b")
    mesh.advance(9)
    put(mesh, "b", "eggs", 100)
    mesh["b"].sync()
    mesh.take_sent("b")
    mesh.advance(1 + GRACE_S + TAKEOVER_S)
    mesh["a"].sync()
    assert 1 == removed(mesh)["a"]
    mesh.connect("a", "b")
    mesh.settle()
    assert [("eggs",)] * 2 == mesh.values(LIST)
    expiries = {mesh[name].replica.expires_ms(LIST) for name in "ab"}
    assert 1 == len(expiries)
    assert None not in expiries


def test_an_expiry_that_is_not_raised_is_still_written_anew_so_that_the_entry_does_not_outlive_it() -> None:
    mesh = connected("a", "b")
    put(mesh, "a", "milk", 10)
    mesh.drain()
    mesh.disconnect("a", "b")
    put(mesh, "b", "eggs", 1)  # earlier than what stands there: it stays as it is
    mesh["b"].sync()
    mesh.take_sent("b")
    mesh.nodes["a"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms + 60_000)  # a clock that is far ahead
    mesh["a"].sync()
    mesh.connect("a", "b")
    mesh.settle()
    assert {None} != {mesh[name].replica.expires_ms(LIST) for name in "ab"}


def test_a_touch_raises_the_expiry_and_never_lowers_it() -> None:
    mesh = connected("a")
    replica = mesh["a"].replica
    put(mesh, "a", "milk", 10)
    replica.update(LIST, (), ticket=None, wall_ms=mesh.wall_ms, ttl_ms=60_000)
    assert mesh.wall_ms + 60_000 == replica.expires_ms(LIST)
    replica.update(LIST, (), ticket=None, wall_ms=mesh.wall_ms, ttl_ms=1_000)
    assert mesh.wall_ms + 60_000 == replica.expires_ms(LIST)


def test_an_entry_that_expired_but_was_raised_elsewhere_is_shown_again() -> None:
    mesh = connected("a", "b")
    put(mesh, "a", "milk", 10)
    mesh.drain()
    mesh["b"].replica.update(LIST, (), ticket=None, wall_ms=mesh.wall_ms, ttl_ms=60_000)
    mesh["b"].sync()
    late = mesh.take_sent("b")
    mesh.advance(10)
    assert mesh.value("a", LIST) is None
    for message in late:
        mesh.deliver("b", message)
    assert ("milk",) == mesh.value("a", LIST)


def test_an_update_of_an_expired_entry_begins_anew() -> None:
    mesh = connected("a")
    mesh["a"].replica.update(STOCK, [increment(5)], ticket=None, wall_ms=mesh.wall_ms, ttl_ms=1_000)
    mesh.advance(1)
    mesh.update("a", STOCK, increment(1))
    assert 1 == mesh.value("a", STOCK)
    assert mesh["a"].replica.expires_ms(STOCK) is None


def test_a_turn_on_an_expired_entry_sees_nothing_of_it() -> None:
    mesh = connected("a")
    put(mesh, "a", "milk", 1)
    mesh.advance(1)
    view = mesh["a"].replica.snapshot(LIST)
    assert () == view.value()
    view.close()


def test_an_expiry_that_comes_during_a_turn_leaves_the_turn_its_view() -> None:
    mesh = connected("a")
    put(mesh, "a", "milk", 1)
    view = mesh["a"].replica.snapshot(LIST)
    mesh.advance(1 + GRACE_S)
    assert ("milk",) == view.value()
    mesh["a"].replica.update(LIST, [add("eggs")], ticket=None, wall_ms=mesh.wall_ms, view=view)
    assert ("eggs", "milk") == view.value()
    view.close()
    assert ("eggs",) == mesh.value("a", LIST)


def test_expiry_survives_a_restart() -> None:
    mesh = connected("a")
    put(mesh, "a", "milk", 10)
    mesh["a"].sync()
    mesh.restart("a")
    assert ("milk",) == mesh.value("a", LIST)
    mesh.advance(10)
    assert mesh.value("a", LIST) is None


def test_what_expired_while_a_node_was_down_is_not_shown_after_its_start() -> None:
    mesh = connected("a")
    put(mesh, "a", "milk", 10)
    mesh["a"].sync()
    mesh.now_ns += 11_000_000_000
    mesh.restart("a")
    assert mesh.value("a", LIST) is None


def test_each_update_of_a_key_with_a_rule_renews_its_expiry() -> None:
    mesh = connected("a", options=ReplicationOptions(ttl_rules=(("li?t", 5_000), ("*", 1_000))))
    put(mesh, "a", "milk", None)
    assert mesh.wall_ms + 5_000 == mesh["a"].replica.expires_ms(LIST)
    mesh.advance(3)
    view = mesh["a"].replica.snapshot(LIST)
    mesh["a"].replica.update(LIST, [add("eggs")], ticket=None, wall_ms=mesh.wall_ms, view=view)
    assert ("eggs", "milk") == view.value()
    view.close()
    assert mesh.wall_ms + 5_000 == mesh["a"].replica.expires_ms(LIST)


def test_rules_leave_the_mesh_s_own_entries_and_types_without_removal_alone() -> None:
    mesh = connected("a", options=ReplicationOptions(ttl_rules=(("*", 1_000),)))
    rights = EntryKey("shop", "rights", "BoundedCounter")
    mesh.update("a", rights, increment(5))
    assert mesh["a"].replica.expires_ms(rights) is None
    mesh.advance(5)
    assert ["a"] == mesh["a"].replica.voters("shop")
    entry = mesh["a"].replica.read(rights)
    assert entry is not None


def test_a_batch_gives_each_of_its_entries_an_expiry_in_the_same_event() -> None:
    mesh = connected("a", "b")
    lines, total = EntryKey("shop", "{o}/lines", "ORSet"), EntryKey("shop", "{o}/total", "PNCounter")
    result = mesh["a"].replica.update_batch(
        [(lines, [add("milk")]), (total, [increment(3)])], ticket=None, wall_ms=mesh.wall_ms, ttl_ms=5_000
    )
    assert result.event is not None
    assert (1, 4) == (result.event.first, result.event.last)
    mesh.drain()
    mesh.advance(5)
    assert [None, None] == [mesh.value("b", key) for key in (lines, total)]


@pytest.mark.parametrize("ttl_ms", [-1, TTL_MS_MAX + 1])
def test_a_ttl_out_of_bounds_is_refused_and_changes_nothing(ttl_ms: int) -> None:
    mesh = connected("a")
    with pytest.raises(LimitExceeded):
        mesh["a"].replica.update(LIST, [add("milk")], ticket=None, wall_ms=mesh.wall_ms, ttl_ms=ttl_ms)
    assert mesh.value("a", LIST) is None


def test_a_ttl_for_rights_that_cannot_be_removed_is_refused() -> None:
    mesh = connected("a")
    rights = EntryKey("shop", "rights", "BoundedCounter")
    with pytest.raises(TtlInvalid, match="leave the ttl out"):
        mesh["a"].replica.update(rights, [increment(5)], ticket=None, wall_ms=mesh.wall_ms, ttl_ms=1_000)
    assert mesh.value("a", rights) is None


def test_a_key_too_long_for_its_cell_is_refused_whole() -> None:
    mesh = connected("a")
    key = EntryKey("shop", "k" * KEY_BYTES_MAX, "ORSet")
    with pytest.raises(LimitExceeded):
        put(mesh, "a", "milk", 1, key=key)
    assert mesh["a"].replica._updates.find(key) is None


def test_the_queue_does_not_grow_with_updates() -> None:
    mesh = connected("a")
    for _ in range(100):
        put(mesh, "a", "milk", 10)
        mesh.advance(0.01)
    assert 1 == len(mesh["a"].replica._expiry._queue)
    assert 1 == len(mesh["a"].replica._expiry)


def test_a_cell_is_no_entry_of_the_user_s() -> None:
    mesh = connected("a")
    put(mesh, "a", "milk", 10)
    assert [LIST] == [view.key for view in mesh["a"].replica.entries("shop")]
    assert mesh["a"].replica.shard_of(LIST) == mesh["a"].replica.shard_of(cell_of(LIST))


def test_a_removal_of_an_expired_entry_leaves_what_other_types_have_under_its_key() -> None:
    mesh = connected("a")
    other = EntryKey("shop", "list", "PNCounter")
    mesh.update("a", other, Operation("increment", (2,)))
    put(mesh, "a", "milk", 1)
    mesh.advance(1 + GRACE_S)
    mesh.advance(1)
    assert 1 == removed(mesh)["a"]
    assert 2 == mesh.value("a", other)


def test_a_ttl_of_nothing_ends_the_expiry() -> None:
    mesh = connected("a", "b")
    put(mesh, "a", "milk", 10)
    mesh["a"].replica.update(LIST, (), ticket=None, wall_ms=mesh.wall_ms, ttl_ms=NO_EXPIRY_MS)
    mesh.drain()
    assert [None, None] == [mesh[name].replica.expires_ms(LIST) for name in "ab"]
    mesh.advance(60)
    assert [("milk",)] * 2 == mesh.values(LIST)


def test_ending_an_expiry_that_is_none_is_no_event() -> None:
    mesh = connected("a")
    result = mesh["a"].replica.update(LIST, (), ticket=None, wall_ms=mesh.wall_ms, ttl_ms=NO_EXPIRY_MS)
    assert result.event is None
