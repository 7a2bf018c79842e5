"""A whole shard for whoever lacks what the index has forgotten; when it forgets, and what that frees."""

from __future__ import annotations

import pytest

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication import wire
from crdtmesh.replication.entry_states import entry_messages
from crdtmesh.replication.levels import voters_key
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import Changed, EntryKey, SendTo
from tests.unit.crdtmesh.replication.mesh import LIST, STOCK, Mesh, add, increment, remove

ONE_SHARD = ReplicationOptions(shards=1)
KEYS = [EntryKey("shop", f"key{number:03}", "ORSet") for number in range(200)]


def kind_of(message: SendTo) -> wire.Kind:
    return wire.Kind(message.payload[1])


def step(mesh: Mesh, *, lost: frozenset[wire.Kind] = frozenset()) -> list[wire.Kind]:
    """Delivers what is on its way, but for kinds that are lost; the kinds, in order."""
    kinds = []
    for name in list(mesh.nodes):
        mesh[name].sync()
        for message in mesh.take_sent(name):
            kinds.append(kind_of(message))
            if kinds[-1] not in lost:
                mesh.deliver(name, message)
    return kinds


def until(mesh: Mesh, kind: wire.Kind) -> SendTo:
    """Delivers until a message of a kind is sent, which is given and not delivered; what is behind it waits."""
    for _ in range(100):
        for name in list(mesh.nodes):
            mesh[name].sync()
            sent = mesh.take_sent(name)
            for at, message in enumerate(sent):
                if kind_of(message) is kind:
                    mesh[name].sent = sent[at + 1 :]
                    return message
                mesh.deliver(name, message)
        mesh.advance(0.1)
    pytest.fail(f"no {kind.name} was sent")


def test_peer_that_lacks_forgotten_events_gets_the_whole_shard() -> None:
    mesh = Mesh("ab")
    mesh.update("a", LIST, add("milk"), add("eggs"))
    mesh.update("a", LIST, remove("milk"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.connect_all()
    mesh.settle()
    assert [("eggs",)] * 2 == mesh.values(LIST)
    assert mesh.shard("a", LIST).applied == mesh.shard("a", LIST).low
    assert len(mesh.shard("a", LIST).applied) == len(mesh.shard("b", LIST).applied)
    assert 1 == mesh["a"].replica.counters()["handover.sent"]
    assert 1 == mesh["b"].replica.counters()["handover.taken"]


def test_only_buckets_that_differ_are_sent() -> None:
    mesh = Mesh("ab", options=ONE_SHARD)
    mesh.connect_all()
    for key in KEYS:
        mesh.update("a", key, add("an element of some length"))
    mesh.drain()
    mesh.disconnect("a", "b")
    for key in KEYS[:3]:
        mesh.update("a", key, add("another"))
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh.forget_all("a")
    mesh["b"].events.clear()
    mesh.connect_all()
    sizes = 0
    for _ in range(10):
        for name in "ab":
            mesh[name].sync()
            for message in mesh.take_sent(name):
                sizes += len(message.payload) if kind_of(message) is wire.Kind.STAGE else 0
                mesh.deliver(name, message)
    mesh["b"].flush()
    assert {key.key for key in KEYS[:3]} == {change.key.key for change in mesh["b"].of(Changed)}
    assert mesh.agree()
    # 3 buckets of 4,096, so hardly ever another key among them.
    assert 500 > sizes


def test_entry_that_was_deleted_and_forgotten_is_deleted_at_the_peer() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    mesh.disconnect("a", "b")
    mesh.update("a", LIST, remove("milk"))
    mesh["a"].sync()
    mesh.forget_all("a")
    assert 0 == len(mesh.shard("a", LIST).entries)
    mesh.connect_all()
    mesh.settle()
    assert [None, None] == mesh.values(LIST)


def test_deleted_key_can_be_used_again_at_once_and_its_old_content_stays_away() -> None:
    mesh = Mesh("abc")
    mesh.connect_all()
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    mesh.disconnect("a", "c")
    mesh.disconnect("b", "c")
    mesh.update("a", LIST, Operation("clear"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.update("a", LIST, add("eggs"))
    mesh.update("c", LIST, add("flour"))
    mesh.connect_all()
    mesh.settle()
    assert [("eggs", "flour")] * 3 == mesh.values(LIST)


def test_dropped_entry_leaves_its_row_and_later_its_number() -> None:
    mesh = Mesh("a", options=ReplicationOptions(shards=1, checkpoint_log_rows=1))
    mesh.update("a", LIST, add("milk"))
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh["a"].sync()
    rows = len(mesh["a"].disk.state)
    mesh.update("a", LIST, Operation("clear"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    assert rows - 1 >= len(mesh["a"].disk.state)
    mesh.update("a", KEYS[0], add(1))
    entry = mesh.shard("a", KEYS[0]).entries.find(KEYS[0][1:])
    assert entry is not None
    assert 0 == entry.number
    mesh["a"].sync()
    mesh.restart("a")
    assert [None, 2, (1,)] == [mesh.value("a", key) for key in (LIST, STOCK, KEYS[0])]


def test_version_of_an_entry_that_was_dropped_goes_on() -> None:
    mesh = Mesh("a")
    for number in range(3):
        mesh.update("a", LIST, add(number))
    version = mesh.update("a", LIST, Operation("clear")).entry.version
    mesh["a"].sync()
    mesh.forget_all("a")
    assert version < mesh.update("a", LIST, add("milk")).entry.version


def test_broken_handover_changes_nothing_and_goes_on_where_it_was() -> None:
    """Chunks that came before the link broke are not asked for again."""
    options = ReplicationOptions(shards=1, repair_chunk_bytes=2_000, repair_chunks_in_flight=1)
    mesh = Mesh("ab", options=options)
    for key in KEYS:
        mesh.update("a", key, add("an element of some length"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.connect_all()
    for _ in range(3):
        message = until(mesh, wire.Kind.STAGE)
        mesh.deliver("a", message)
    assert [] == list(mesh["b"].replica.entries("shop"))
    assert 0 == len(mesh.shard("b", KEYS[0]).applied)
    mesh.disconnect("a", "b")
    mesh.connect("a", "b")
    message = until(mesh, wire.Kind.WANT)
    wanted = (len(message.payload) - 20) // 2
    assert 100 < wanted < 180
    mesh.deliver("b", message)
    mesh.settle()
    assert 200 == len(list(mesh["b"].replica.entries("shop")))


def test_update_that_arrives_late_does_not_bring_back_what_was_removed() -> None:
    """The sender knows the old event and that it was removed; it reaches the receiver after entries were compared."""
    mesh = Mesh("abc", options=ONE_SHARD)
    mesh.connect("a", "c")
    mesh.drain()
    mesh.update("c", LIST, add("milk"))
    mesh["c"].sync()
    (old,) = mesh.take_sent("c")
    mesh.deliver("c", old)
    mesh.update("a", LIST, remove("milk"))
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh.forget_all("a")
    mesh.disconnect("a", "c")
    mesh.connect("a", "b")
    chunk = until(mesh, wire.Kind.STAGE)
    # Compared: `b` has no list, nor has `a`. Now the push of the one who added comes.
    mesh["b"].replica.peer_up("c", now_ns=mesh.now_ns)
    mesh["b"].replica.receive(old.payload, "c", now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    assert ("milk",) == mesh.value("b", LIST)
    mesh.deliver("a", chunk)
    mesh.deliver("a", until(mesh, wire.Kind.STAGE))
    assert 1 == mesh.value("b", STOCK)
    assert mesh.value("b", LIST) is None


def test_update_during_a_handover_arrives_with_it() -> None:
    options = ReplicationOptions(shards=1, repair_chunk_bytes=2_000, repair_chunks_in_flight=1)
    mesh = Mesh("ab", options=options)
    for key in KEYS:
        mesh.update("a", key, add("an element of some length"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.connect_all()
    mesh.deliver("a", until(mesh, wire.Kind.STAGE))
    for key in KEYS:
        mesh.update("a", key, add("another"))
    for _ in range(60):
        mesh["a"].sync()
        for message in mesh.take_sent("a"):
            if kind_of(message) is not wire.Kind.PUSH:
                mesh.deliver("a", message)
        step(mesh, lost=frozenset({wire.Kind.PUSH}))
    assert 1 == mesh["b"].replica._receiver.stagings.count
    assert 400 == len(mesh.shard("b", KEYS[0]).applied)
    assert mesh.agree()


def test_no_single_entry_is_sent_to_a_peer_below_the_mark() -> None:
    mesh = Mesh("a")
    mesh.update("a", LIST, add("milk"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.update("a", LIST, add("eggs"))
    shard = mesh.shard("a", LIST)
    nothing = CausalContext(shard.table)
    assert [] == entry_messages(shard, nothing, [0], options=mesh.options, clock=0)[0]
    assert 1 == len(entry_messages(shard, shard.low, [0], options=mesh.options, clock=0)[0])


# --- when the index forgets


def test_index_forgets_what_all_members_have_told_they_applied() -> None:
    mesh = Mesh("abc", options=ReplicationOptions(shards=1, trim_runs_min=1))
    mesh.connect_all()
    for key in KEYS:
        mesh.update("a", key, add(1))
    mesh.drain()
    assert 200 == len(mesh.shard("a", KEYS[0]).index)
    for _ in range(60):
        mesh.advance(1)
        mesh.drain()
    assert [0] * 3 == [len(mesh.shard(name, KEYS[0]).index) for name in "abc"]
    assert 0 == mesh["a"].replica._receiver.trimmer.forced


def test_member_that_is_away_keeps_the_index() -> None:
    mesh = Mesh("abc", options=ReplicationOptions(shards=1, trim_runs_min=1))
    mesh.connect_all()
    mesh.drain()
    mesh.disconnect("a", "c")
    mesh.disconnect("b", "c")
    for key in KEYS:
        mesh.update("a", key, add(1))
    for _ in range(60):
        mesh.advance(1)
        mesh.drain()
    assert 200 == len(mesh.shard("a", KEYS[0]).index)


def test_voter_keeps_the_index_while_it_is_away_until_it_is_removed() -> None:
    mesh = Mesh("abc", options=ReplicationOptions(shards=1, trim_runs_min=1))
    mesh.connect_all()
    mesh.enlist("a", "b", "c")
    mesh.restart("a")
    mesh.connect("a", "b")
    mesh.disconnect("b", "c")
    for key in KEYS:
        mesh.update("a", key, add(1))
    for _ in range(60):
        mesh.advance(1)
        mesh.drain()
    assert 200 == len(mesh.shard("a", KEYS[0]).index)
    mesh.update("a", voters_key("_mesh"), remove("c"))
    for _ in range(60):
        mesh.advance(1)
        mesh.drain()
    assert 0 == len(mesh.shard("a", KEYS[0]).index)


def test_index_above_its_limit_forgets_the_oldest_events() -> None:
    options = ReplicationOptions(shards=1, trim_runs_min=1, index_runs_max=80)
    mesh = Mesh("ab", options=options)
    for key in KEYS:
        mesh.update("a", key, add(1))
        if key.key.endswith("0"):
            mesh.advance(20)
    mesh.advance(20)
    mesh["a"].sync()
    assert 40 < len(mesh.shard("a", KEYS[0]).index) <= 80
    assert 0 < mesh["a"].replica._receiver.trimmer.forced
    mesh.connect_all()
    mesh.settle()
    assert 200 == len(list(mesh["b"].replica.entries("shop")))


def test_index_forgets_events_above_their_age() -> None:
    options = ReplicationOptions(shards=1, trim_runs_min=1, index_age_ns=100 * SECOND_NS)
    mesh = Mesh("a", options=options)
    mesh.update("a", KEYS[0], add(1))
    mesh.advance(20)
    mesh.update("a", KEYS[1], add(1))
    mesh.advance(85)
    assert 2 == len(mesh.shard("a", KEYS[0]).index)
    mesh.advance(20)
    assert 1 == len(mesh.shard("a", KEYS[0]).index)


def test_mark_is_on_disk_with_the_index() -> None:
    mesh = Mesh("a", options=ReplicationOptions(shards=1, checkpoint_log_rows=1))
    for key in KEYS[:5]:
        mesh.update("a", key, add(1))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.update("a", KEYS[5], add(1))
    mesh["a"].sync()
    mesh["a"].sync()
    mesh.restart("a")
    shard = mesh.shard("a", KEYS[0])
    assert (5, 6, 1) == (len(shard.low), len(shard.known), len(shard.index))


# --- the audit


def test_audit_of_equal_replicas_counts_no_mismatch() -> None:
    mesh = Mesh("ab")
    mesh.connect_all()
    for key in KEYS:
        mesh.update("a", key, add(1))
    mesh.drain()
    for _ in range(10):
        mesh.advance(60)
        mesh.drain()
    counters = [mesh[name].replica.counters() for name in "ab"]
    assert 15 < sum(each["audit.compared"] for each in counters)
    assert 0 == sum(each["audit.mismatches"] for each in counters)


def test_audit_finds_an_entry_that_rotted_and_makes_both_sides_equal() -> None:
    mesh = Mesh("ab", options=ONE_SHARD)
    mesh.connect_all()
    for key in KEYS:
        mesh.update("a", key, add(1), add(2))
    mesh.drain()
    shard = mesh.shard("b", KEYS[7])
    entry = shard.entries.find(KEYS[7][1:])
    assert entry is not None
    entry.store = entry.data_type.restrict(entry.store, lambda dot: dot & 1 == 1)
    assert not mesh.agree()
    for _ in range(4):
        mesh.advance(60)
        mesh.drain()
    assert mesh.agree()
    assert "audit_mismatch" in mesh.alarms("a") + mesh.alarms("b")
    mismatches = sum(mesh[name].replica._receiver.auditor.mismatches for name in "ab")
    for _ in range(4):
        mesh.advance(60)
        mesh.drain()
    assert mismatches == sum(mesh[name].replica._receiver.auditor.mismatches for name in "ab")


def test_offer_that_comes_again_is_ignored() -> None:
    mesh = Mesh("ab", options=ONE_SHARD)
    mesh.update("a", KEYS[0], add("x"))
    mesh["a"].sync()
    mesh.forget_all("a")
    mesh.connect_all()
    offer = until(mesh, wire.Kind.OFFER)
    mesh.deliver("a", offer)
    stagings = mesh["b"].replica._receiver.stagings._stagings
    before = list(stagings.values())
    mesh.deliver("a", offer)
    assert 1 == len(before)
    assert before == list(stagings.values())


def test_a_handover_that_is_being_prepared_wants_the_next_tick_soon() -> None:
    mesh = Mesh("ab")
    for number in range(2_000):
        mesh.update("a", EntryKey("shop", f"{{x}}{number}", "PNCounter"), increment())
    mesh["a"].sync()
    mesh.connect_all()
    mesh.forget_all("a")
    replica = mesh["a"].replica
    shard = mesh.shard("a", EntryKey("shop", "{x}0", "PNCounter"))
    replica._receiver.handovers.begin("b", shard, shard.applied.copy(), now_ns=mesh.now_ns)
    replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    assert replica._receiver.is_preparing
    due_ns = replica.next_deadline_ns()
    assert due_ns is not None
    assert due_ns - mesh.now_ns < SECOND_NS // 10
