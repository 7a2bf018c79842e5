"""What several replicas promise each other: pushes, repair, and the rules that decide correctness."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.base import WHOLE, Delta
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication import wire
from crdtmesh.replication.errors import IdentityLost
from crdtmesh.replication.events import EntryName, Event, KeyDelta
from crdtmesh.replication.options import (
    MESSAGE_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PUSH_FRAME_BYTES,
    SHARDS_DEFAULT,
    ReplicationOptions,
)
from crdtmesh.replication.outputs import CaughtUp, Changed, EntryKey, IdentityNeeded, SendTo
from crdtmesh.replication.parts import WHOLE as WHOLE_MESSAGE
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.systems import shard_number
from tests.unit.crdtmesh.replication.mesh import LIST, PRICE, STOCK, Mesh, add, increment, remove


def connected(names: str, options: ReplicationOptions | None = None) -> Mesh:
    mesh = Mesh(names, options=options)
    mesh.connect_all()
    mesh.drain()
    return mesh


def pushes(mesh: Mesh, name: str) -> list[SendTo]:
    """Syncs and takes what a node pushes, without delivering it; what levels ask is lost."""
    mesh[name].sync()
    return [message for message in mesh.take_sent(name) if message.payload[1] < wire.Kind.CONFIRM]


def kinds(messages: list[SendTo]) -> list[str]:
    return [wire.Kind(message.payload[1]).name for message in messages]


# --- pushes


def test_update_reaches_every_peer_in_one_push() -> None:
    mesh = connected("abc")
    mesh.update("a", STOCK, increment(3))
    sent = pushes(mesh, "a")
    assert ["b", "c"] == [message.peer for message in sent]
    for message in sent:
        mesh.deliver("a", message)
    assert [3, 3, 3] == mesh.values(STOCK)


def test_pushed_event_is_not_forwarded() -> None:
    mesh = connected("abc")
    mesh.update("a", STOCK, increment())
    for message in pushes(mesh, "a"):
        mesh.deliver("a", message)
    assert [] == pushes(mesh, "b")


def test_receiver_tells_which_elements_changed() -> None:
    mesh = connected("ab")
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    (changed,) = mesh["b"].of(Changed)
    assert (LIST, False, 1) == (changed.key, changed.local, changed.version)
    assert changed.touched is not WHOLE
    assert [b"\xa4milk"] == list(changed.touched)


def test_event_that_comes_again_changes_nothing_and_is_not_logged() -> None:
    mesh = connected("ab")
    mesh.update("a", STOCK, increment())
    (message,) = pushes(mesh, "a")
    mesh.deliver("a", message)
    mesh["b"].sync()
    rows = len(mesh["b"].disk.log)
    mesh.deliver("a", message)
    mesh["b"].sync()
    assert rows == len(mesh["b"].disk.log)
    assert 1 == len(mesh["b"].of(Changed))
    assert [] == mesh.alarms("b")


def test_many_events_share_frames_below_the_limit() -> None:
    mesh = connected("ab")
    for number in range(9000):
        mesh.update("a", LIST, add(number))
    sent = pushes(mesh, "a")
    assert 2 <= len(sent) <= 6
    assert max(len(message.payload) for message in sent) <= PUSH_FRAME_BYTES + 1
    for message in sent:
        mesh.deliver("a", message)
    assert mesh.value("a", LIST) == mesh.value("b", LIST)


def test_event_above_the_payload_limit_travels_in_parts() -> None:
    mesh = connected("ab")
    mesh.update("a", LIST, *(add(f"{number}" + "x" * 200_000) for number in range(5)))
    sent = pushes(mesh, "a")
    assert len(sent) >= 4
    assert max(len(message.payload) for message in sent) <= PAYLOAD_BYTES_MAX
    for message in sent:
        assert mesh.value("b", LIST) is None
        mesh.deliver("a", message)
    assert mesh.value("a", LIST) == mesh.value("b", LIST)


def test_full_queue_drops_pushes_and_the_peer_is_repaired() -> None:
    mesh = connected("ab", ReplicationOptions(outgoing_bytes_per_peer_max=200))
    for number in range(20):
        mesh.update("a", LIST, add("element" * 5 + str(number)))
        mesh["a"].replica.take_outgoing()
        mesh["a"].replica.persisted(number + 1, now_ns=0)
    mesh.drain()
    assert not mesh.agree()
    mesh.settle()
    assert mesh.value("a", LIST) == mesh.value("b", LIST)


def test_peer_whose_link_refused_a_push_is_asked_first() -> None:
    mesh = connected("abcdefgh")
    mesh.update("a", STOCK, increment())
    pushes(mesh, "a")
    mesh["a"].replica.refused("g", now_ns=mesh.now_ns)
    mesh.now_ns += 2 * 10**9
    mesh["a"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    (message,) = pushes(mesh, "a")
    assert ("g", True) == (message.peer, message.is_repair)


# --- repair


def test_equal_replicas_exchange_one_digest() -> None:
    mesh = connected("ab")
    mesh.update("a", STOCK, increment())
    mesh.drain()
    mesh.now_ns += 2 * 10**9
    mesh["a"].replica.tick(now_ns=mesh.now_ns, wall_ms=mesh.wall_ms)
    (message,) = pushes(mesh, "a")
    assert ["DIGEST"] == kinds([message])
    assert len(message.payload) < 110
    mesh.deliver("a", message)
    assert [] == pushes(mesh, "b")


def test_new_link_is_repaired_both_ways_within_two_round_trips() -> None:
    mesh = Mesh("ab")
    for number in range(300):
        mesh.update("a", EntryKey("shop", f"a{number}", "ORSet"), add(number))
        mesh.update("b", EntryKey("shop", f"b{number}", "ORSet"), add(number))
    mesh.update("b", EntryKey("only-b", "x", "PNCounter"), increment())
    mesh["a"].sync()
    mesh["b"].sync()
    mesh.connect("a", "b")
    seen: list[list[str]] = []
    for source in ("a", "b", "a", "b"):
        sent = pushes(mesh, source)
        seen.append(kinds(sent))
        for message in sent:
            mesh.deliver(source, message)
    # One system has all its 16 shards to repair, the other one.
    assert [["DIGEST"], ["VECTORS", "VECTORS"], ["REPAIR"] * 17, ["REPAIR"] * 17] == seen
    assert mesh.agree()
    assert [] == pushes(mesh, "a")


def test_repair_sends_the_differing_entries_and_no_others() -> None:
    mesh = connected("ab")
    keys = [EntryKey("shop", f"k{number}", "ORSet") for number in range(500)]
    for key in keys:
        mesh.update("a", key, add("an element of some length"))
    mesh.drain()
    mesh.disconnect("a", "b")
    for key in keys[:5]:
        mesh.update("a", key, add("another"))
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh["b"].events.clear()
    mesh.connect("a", "b")
    sizes = []
    for source in ("a", "b", "a"):
        for message in pushes(mesh, source):
            sizes.append(len(message.payload))
            mesh.deliver(source, message)
    assert {key.key for key in keys[:5]} == {change.key.key for change in _changes(mesh, "b")}
    assert mesh.agree()
    assert sum(sizes) < 800


def _changes(mesh: Mesh, name: str) -> list[Changed]:
    mesh[name].flush()
    return mesh[name].of(Changed)


def test_large_repair_comes_in_chunks_that_are_acknowledged() -> None:
    mesh = Mesh("ab")
    for number in range(60):
        mesh.update("a", EntryKey("shop", f"k{number}", "ORSet"), add("x" * 60_000 + str(number)))
    mesh["a"].sync()
    mesh.connect("a", "b")
    largest = 0
    for _ in range(40):
        for source in "ab":
            for message in pushes(mesh, source):
                largest = max(largest, len(message.payload))
                mesh.deliver(source, message)
    assert mesh.agree()
    assert largest <= PAYLOAD_BYTES_MAX


def test_chunk_is_legal_on_its_own_when_the_rest_is_lost() -> None:
    """Rule B: a part of the keys must not bring the context of all."""
    mesh = Mesh("ab")
    for number in range(60):
        mesh.update("a", EntryKey("shop", f"k{number:02}", "ORSet"), add("x" * 60_000), add("y"))
    mesh["a"].sync()
    mesh.connect("a", "b")
    for source in ("a", "b"):
        for message in pushes(mesh, source):
            mesh.deliver(source, message)
    first, *_lost = pushes(mesh, "a")
    mesh.deliver("a", first)
    arrived = list(mesh["b"].replica.entries("shop"))
    assert 0 < len(arrived) < 60
    mesh.settle()
    assert 60 == len(list(mesh["b"].replica.entries("shop")))


def test_rule_a_what_is_known_is_not_what_was_applied() -> None:
    """The minimal example of the protocol: x1, replaced by x2, replaced by x3; the second delta is lost.

    B's context is complete without it, its store holds x3 and x1. Only E tells that something is missing.
    """
    mesh = connected("ab")
    for price in (1, 2, 3):
        mesh.update("a", PRICE, Operation("set", (price,)))
        mesh["a"].sync()
    first, _second, third = mesh.take_sent("a")
    for message in (third, first):
        mesh.deliver("a", message)
    shard = mesh.shard("b", PRICE)
    entry = shard.entries.find(("price", "LWWRegister"))
    assert entry is not None
    assert 2 == len(entry.store)
    assert 3 == len(shard.known)
    assert 2 == len(shard.applied)
    mesh.settle()
    assert 1 == len(entry.store)
    assert 3 == len(shard.applied)


def test_repair_does_not_claim_what_its_sender_knows_but_never_applied() -> None:
    mesh = Mesh("abc")
    mesh.connect("a", "b")
    mesh.drain()
    for price in (1, 2, 3):
        mesh.update("a", PRICE, Operation("set", (price,)))
        mesh["a"].sync()
    first, _second, third = mesh.take_sent("a")
    for message in (first, third):
        mesh.deliver("a", message)
    mesh.disconnect("a", "b")
    mesh.connect("b", "c")
    mesh.drain()
    shard = mesh.shard("c", PRICE)
    assert (3, 2) == (len(shard.known), len(shard.applied))
    mesh.connect("a", "c")
    mesh.settle()
    assert 3 == len(shard.applied)


def test_rule_c_repaired_entry_drops_what_was_superseded_long_ago() -> None:
    """The superseded dot is one that both have applied; only `base` speaks for it."""
    mesh = connected("ab")
    mesh.update("a", LIST, add("milk"))
    mesh.drain()
    mesh.disconnect("a", "b")
    mesh.update("a", LIST, remove("milk"))
    mesh["a"].sync()
    mesh.connect("a", "b")
    mesh.settle()
    assert [None, None] == mesh.values(LIST)


def test_repair_does_not_remove_what_its_sender_has_not_seen() -> None:
    mesh = Mesh("ab")
    mesh.update("a", LIST, add("milk"))
    mesh.update("b", LIST, add("milk"), add("eggs"))
    mesh.connect_all()
    mesh.settle()
    assert [("eggs", "milk")] * 2 == mesh.values(LIST)


def test_repair_that_builds_on_an_earlier_run_of_the_receiver_is_refused() -> None:
    mesh = connected("ab")
    mesh.update("a", STOCK, increment())
    mesh.drain()
    mesh.disconnect("a", "b")
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh.connect("a", "b")
    for source in ("a", "b"):
        for message in pushes(mesh, source):
            mesh.deliver(source, message)
    (repair,) = pushes(mesh, "a")
    mesh.restart("b", keep_disk=False)
    mesh.connect("a", "b")
    mesh.deliver("a", repair)
    mesh["b"].flush()
    assert ["stale_repair"] == mesh.rejections("b")
    assert mesh.value("b", STOCK) is None
    mesh.settle()
    assert [2, 2] == mesh.values(STOCK)


def test_restarted_node_without_its_disk_is_brought_up_again() -> None:
    mesh = connected("abc")
    for name in "abc":
        mesh.update(name, LIST, add(name))
    mesh.drain()
    mesh.restart("b", keep_disk=False)
    mesh.connect("b", "a")
    mesh.connect("b", "c")
    mesh.settle()
    assert [("a", "b", "c")] * 3 == mesh.values(LIST)
    mesh.update("b", LIST, remove("b"))
    mesh.settle()
    assert [("a", "c")] * 3 == mesh.values(LIST)


def test_busy_replica_answers_no_further_vectors() -> None:
    mesh = Mesh("abcde", options=ReplicationOptions(repair_sessions_max=2))
    for number in range(60):
        mesh.update("a", EntryKey("shop", f"k{number}", "ORSet"), add("x" * 60_000))
    mesh["a"].sync()
    for peer in "bcde":
        mesh.connect("a", peer)
    for message in pushes(mesh, "a"):
        mesh.deliver("a", message)
    for peer in "bcde":
        for message in pushes(mesh, peer):
            mesh.deliver(peer, message)
    assert {"b", "c"} == {message.peer for message in pushes(mesh, "a")}
    mesh.settle()


# --- events of several keys


ONE = EntryKey("shop", "{both}one", "ORSet")
TWO = EntryKey("shop", "{both}two", "ORSet")


def push(table: ReplicaTable, key: EntryKey, event: Event) -> bytes:
    """The payload of an event of the shard of a key."""
    sections = [(shard_number(key.key, SHARDS_DEFAULT), [event])]
    body = wire.encode_push(table, 0, sections)
    return WHOLE_MESSAGE + wire.header(wire.Kind.PUSH, SHARDS_DEFAULT, key.system) + body


def both(mesh: Mesh, name: str, elements: tuple[str, str] = ("left", "right")) -> bytes:
    """A push from a replica of its own, whose one event adds an element to two sets."""
    shard = Shard("shop", HybridClock(mesh.rng.randbytes(16)))
    parts = []
    first = shard.mutation.next
    for key, element in zip((ONE, TWO), elements, strict=True):
        delta = registry.get("ORSet").mutate(registry.get("ORSet").bottom(), add(element), shard.mutation)
        assert delta is not None
        parts.append(KeyDelta(EntryName(key.key, "ORSet"), registry.get("ORSet"), delta))
    event = Event(first, shard.mutation.next - 1, tuple(parts))
    return push(shard.table, ONE, event)


def test_event_of_several_keys_is_repaired_in_one_message() -> None:
    mesh = Mesh("abx")
    mesh.connect("a", "x")
    mesh["a"].replica.receive(both(mesh, "x"), "x", now_ns=0, wall_ms=mesh.wall_ms)
    # So much between the two keys that they would not share a chunk by themselves.
    for number in range(30):
        mesh.update("a", EntryKey("shop", f"big{number}", "ORSet"), add("x" * 60_000))
    mesh["a"].sync()
    mesh.take_sent("a")
    mesh.connect("a", "b")
    for _ in range(40):
        for source in "ab":
            for message in pushes(mesh, source):
                if message.peer != "x":
                    mesh.deliver(source, message)
                has_one, has_two = (mesh.value("b", key) is not None for key in (ONE, TWO))
                assert has_one == has_two
    assert ("left",) == mesh.value("b", ONE)
    # What came by repair is passed on as one event too.
    assert 1 == mesh.shard("b", ONE).span_count


def test_event_of_several_keys_survives_a_restart_as_one() -> None:
    mesh = Mesh("ax", options=ReplicationOptions(checkpoint_log_rows=1))
    mesh.connect("a", "x")
    mesh["a"].replica.receive(both(mesh, "x"), "x", now_ns=0, wall_ms=mesh.wall_ms)
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    mesh.restart("a")
    assert ("right",) == mesh.value("a", TWO)
    assert mesh.shard("a", ONE).span_count >= 1


# --- hostile and doubled peers


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed_part"),
        (b"\x07", "malformed_part"),
        (WHOLE_MESSAGE, "undecodable"),
        (WHOLE_MESSAGE + b"\x63\x00", "undecodable"),
        (WHOLE_MESSAGE + b"\x11\x0f\xff", "undecodable"),
        (WHOLE_MESSAGE + b"\x11\x0f\x02\xff\xff", "undecodable"),
        (WHOLE_MESSAGE + b"\x11\x0f\x04shop\x01\xc4\x11" + bytes(17), "undecodable"),
        (WHOLE_MESSAGE + b"\x11\x0f\x04shop\x01\xc4\x10" + bytes(16) + b"\x00\x01", "undecodable"),
        (WHOLE_MESSAGE + b"\x14\x0f\x04shop" + b"\xff" * 100, "undecodable"),
        (WHOLE_MESSAGE + b"\x11\x07\x04shop\x01\xc4\x00\x00\x00", "shard_count"),
        (WHOLE_MESSAGE + b"\x11\x0f\x04shop\x01\xc4\x00\x00\x01\x10\x00", "undecodable"),
    ],
)
def test_hostile_payload_is_rejected_and_leaves_no_trace(payload: bytes, reason: str) -> None:
    mesh = connected("ab")
    mesh.update("a", STOCK, increment())
    mesh.drain()
    before = mesh["b"].replica.summary(), mesh.digests("b")
    mesh.deliver("a", SendTo("b", payload))
    mesh["b"].flush()
    assert [reason] == mesh.rejections("b")
    assert before == (mesh["b"].replica.summary(), mesh.digests("b"))
    assert [] == mesh["b"].unsynced


def test_event_that_claims_dots_it_does_not_speak_for_is_rejected() -> None:
    mesh = connected("ab")
    table = ReplicaTable()
    dot = table.intern(bytes(range(16))) << 44 | 1
    event = Event(
        dot,
        dot + 5,
        (KeyDelta(EntryName("stock", "PNCounter"), registry.get("PNCounter"), Delta({}, CausalContext(table, [dot]))),),
    )
    mesh.deliver("a", SendTo("b", push(table, STOCK, event)))
    mesh["b"].flush()
    assert ["undecodable"] == mesh.rejections("b")


def test_payload_of_a_peer_without_a_link_is_rejected() -> None:
    mesh = connected("ab")
    mesh["a"].replica.receive(WHOLE_MESSAGE, "z", now_ns=0, wall_ms=0)
    mesh["a"].flush()
    assert ["unknown_peer"] == mesh.rejections("a")


def doubled(mesh: Mesh) -> Mesh:
    """A mesh whose node `a` runs under the replica id of this mesh's `a`, which seeds it the same way."""
    twin = Mesh(mesh.nodes)
    twin.connect_all()
    twin.drain()
    return twin


def test_event_of_our_own_that_we_never_issued_raises_the_alarm_and_stops_updates() -> None:
    mesh = connected("ab")
    twin = doubled(mesh)
    twin.update("a", STOCK, increment(5))
    (message,) = pushes(twin, "a")
    mesh["a"].replica.receive(message.payload, "b", now_ns=0, wall_ms=mesh.wall_ms)
    mesh["a"].flush()
    assert ["identity_doubled"] == mesh.alarms("a")
    assert [IdentityNeeded()] == mesh["a"].of(IdentityNeeded)
    with pytest.raises(IdentityLost):
        mesh.update("a", STOCK, increment())
    mesh["a"].replica.renew_identity(mesh.rng.randbytes(16))
    mesh.update("a", STOCK, increment())
    mesh.settle()
    assert [6, 6] == mesh.values(STOCK)


def test_one_event_with_two_contents_raises_the_alarm_at_the_receiver() -> None:
    mesh = connected("ab")
    twin = doubled(mesh)
    mesh.update("a", STOCK, increment(5))
    twin.update("a", STOCK, increment(7))
    for each in (mesh, twin, mesh, twin):
        each["a"].sync()
        for message in each.take_sent("a"):
            mesh["b"].replica.receive(message.payload, "a", now_ns=0, wall_ms=mesh.wall_ms)
    mesh["b"].flush()
    assert ["event_forged"] == mesh.alarms("b")
    assert 5 == mesh.value("b", STOCK)


def test_clock_far_ahead_is_reported_once_and_does_not_drag_ours() -> None:
    mesh = connected("ab")
    mesh.update("b", PRICE, Operation("set", (1,)))
    mesh.drain()
    for price in (2, 3):
        mesh["a"].replica.update(PRICE, [Operation("set", (price,))], ticket=None, wall_ms=mesh.wall_ms + 3_600_000)
        mesh["a"].sync()
        for message in mesh.take_sent("a"):
            mesh.deliver("a", message)
    mesh["b"].flush()
    assert ["clock_drift"] == mesh.alarms("b")
    assert 3 == mesh.value("b", PRICE)
    # The poisoned key stays writable, and the poison stays with it.
    mesh.update("b", PRICE, Operation("set", (4,)))
    mesh.drain()
    assert [4, 4] == mesh.values(PRICE)
    assert mesh["b"].replica._systems.clock.time >> 16 < mesh.wall_ms + 60_000


def test_no_message_is_larger_than_what_is_accepted() -> None:
    assert PAYLOAD_BYTES_MAX < MESSAGE_BYTES_MAX


# --- catching up


def test_a_replica_that_comes_later_has_caught_up_only_behind_what_the_others_had() -> None:
    mesh = Mesh("ab")
    mesh.update("a", STOCK, increment(3))
    mesh["a"].sync()
    mesh.connect_all()
    mesh["b"].flush()
    assert [] == mesh["b"].of(CaughtUp)

    mesh.settle()
    mesh.advance()
    mesh.drain()

    assert ["shop"] == [event.system for event in mesh["b"].of(CaughtUp)]
    assert 3 == mesh.value("b", STOCK)


def test_catching_up_is_told_once() -> None:
    mesh = connected("ab")
    for _ in range(3):
        mesh.update("a", STOCK, increment())
        mesh.settle()
        mesh.advance()
        mesh.drain()

    assert 1 == len(mesh["b"].of(CaughtUp))
