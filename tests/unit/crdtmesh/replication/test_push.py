"""Updates of one key within a group travel joined; what a receiver counts as applied is what it got."""

from __future__ import annotations

from crdtmesh.crdts import registry
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication import wire
from crdtmesh.replication.events import EntryName, Event, KeyDelta
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.push import coalesce
from crdtmesh.replication.shard import Shard
from tests.unit.crdtmesh.replication.mesh import LIST, PRICE, STOCK, Mesh, add, increment, remove

ONE_SHARD = ReplicationOptions(shards=1)


def connected() -> Mesh:
    mesh = Mesh("ab", options=ONE_SHARD)
    mesh.connect_all()
    mesh.drain()
    return mesh


def pushed(mesh: Mesh) -> list[Event]:
    """Syncs node `a` and gives the events of its one push, which is delivered too."""
    mesh["a"].sync()
    (message,) = mesh.take_sent("a")
    mesh.deliver("a", message)
    table = mesh.shard("b", LIST).table
    push = wire.decode(wire.open_message(message.payload[1:]).body, table, wire.read_push)
    return [event for _, events in push.sections for event in events]


def test_increments_of_a_group_travel_as_one() -> None:
    mesh = connected()
    for _ in range(64):
        mesh.update("a", STOCK, increment())
    (event,) = pushed(mesh)
    assert 64 == len(event.dots)
    assert [64, 64] == mesh.values(STOCK)
    assert 64 == len(mesh.shard("b", STOCK).applied)


def test_updates_of_several_keys_in_turn_are_joined_key_by_key() -> None:
    mesh = connected()
    for number in range(10):
        mesh.update("a", LIST, add(number))
        mesh.update("a", STOCK, increment())
        mesh.update("a", LIST, remove(number - 1), add(-number))
        mesh.update("a", PRICE, Operation("set", (number,)))
    events = pushed(mesh)
    assert 3 == len(events)
    shards = [mesh.shard(name, LIST) for name in "ab"]
    assert len(shards[0].applied) == sum(len(event.dots) for event in events) == len(shards[1].applied)
    assert [10, 10] == mesh.values(STOCK)
    assert [9, 9] == mesh.values(PRICE)
    assert mesh.value("a", LIST) == mesh.value("b", LIST)


def test_joined_event_that_is_lost_is_not_counted_as_applied() -> None:
    """Its dots lie between those of another key: what came of the run is that key's alone."""
    mesh = connected()
    for _ in range(3):
        mesh.update("a", STOCK, increment())
        mesh.update("a", LIST, add("milk"))
    mesh["a"].sync()
    (message,) = mesh.take_sent("a")
    frame = wire.open_message(message.payload[1:])
    table = mesh.shard("a", LIST).table
    push = wire.decode(frame.body, table, wire.read_push)
    (number, (first, second)), *_ = push.sections
    half = wire.encode_push(table, push.clock, [(number, [second])])
    mesh["b"].replica.receive(
        message.payload[:1] + wire.header(frame.kind, frame.shards, frame.system) + half, "a", now_ns=0, wall_ms=0
    )
    shard = mesh.shard("b", LIST)
    assert shard.has_applied(second._replace(parts=_moved(second, shard)))
    assert not shard.has_applied(first._replace(parts=_moved(first, shard)))
    mesh.settle()
    assert [3, 3] == mesh.values(STOCK)


def _moved(event: Event, shard: Shard) -> tuple[KeyDelta, ...]:
    """The parts of an event with dots of another shard's table; both know one replica id, which came first."""
    push = wire.encode_push(event.parts[0].delta.context.table, 0, [(0, [event])])
    ((_, (moved,)),) = wire.decode(push, shard.table, wire.read_push).sections
    return moved.parts


def test_joined_events_survive_a_restart() -> None:
    mesh = connected()
    for number in range(20):
        mesh.update("a", LIST, add(number % 7))
        mesh.update("a", STOCK, increment())
    mesh["a"].sync()
    before = mesh.digests("a"), len(mesh.shard("a", LIST).applied)
    mesh.restart("a")
    assert before == (mesh.digests("a"), len(mesh.shard("a", LIST).applied))


def test_nothing_is_joined_across_an_event_of_several_keys() -> None:
    shard = Shard("shop", HybridClock(bytes(16)))
    name, other = EntryName("one", "ORSet"), EntryName("two", "ORSet")
    data_type = registry.get("ORSet")

    def event(*names: EntryName) -> Event:
        first = shard.mutation.next
        parts = []
        for each in names:
            delta = data_type.mutate(data_type.bottom(), add(first), shard.mutation)
            assert delta is not None
            parts.append(KeyDelta(each, data_type, delta))
        return Event(first, shard.mutation.next - 1, tuple(parts))

    events = [event(name), event(name), event(name, other), event(name), event(other), event(name)]
    joined = coalesce(shard.table, events)
    assert [(1, 2), (3, 4), (5, 7), (6, 6)] == [(each.first & 0xFF, each.last & 0xFF) for each in joined]


def test_updates_too_large_for_a_frame_together_travel_one_by_one() -> None:
    mesh = connected()
    for number in range(4):
        mesh.update("a", LIST, add(f"{number}" + "x" * 20_000))
    mesh["a"].sync()
    sent = mesh.take_sent("a")
    assert 4 == len(sent)
    for message in sent:
        mesh.deliver("a", message)
    assert mesh.value("a", LIST) == mesh.value("b", LIST)


def test_key_of_two_types_is_joined_type_by_type() -> None:
    mesh = connected()
    for number in range(3):
        mesh.update("a", EntryKey("shop", "milk", "PNCounter"), increment())
        mesh.update("a", EntryKey("shop", "milk", "ORSet"), add(number))
    assert 2 == len(pushed(mesh))
    assert [3, 3] == mesh.values(EntryKey("shop", "milk", "PNCounter"))
