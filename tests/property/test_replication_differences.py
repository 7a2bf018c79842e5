"""Repair of one entry, of every type, equals the join of the whole states, and sends nothing that its receiver has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import registry
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication import wire
from crdtmesh.replication.carrying import canonical
from crdtmesh.replication.events import EntryName, Event, KeyDelta
from crdtmesh.replication.session import Session
from crdtmesh.replication.shard import Shard
from tests.property.strategies import World, worlds

EXAMPLES = settings.get_profile(settings.get_current_profile_name()).max_examples


def events_of(world: World) -> list[Event]:
    """The deltas of a world as events: the dots of each are those that none before it names."""
    name = EntryName("key", world.data_type.name)
    seen = CausalContext(world.table)
    events = []
    for delta in world.deltas:
        [(first, last)] = delta.context.difference(seen).intervals()
        seen.update(delta.context)
        events.append(Event(first, last, (KeyDelta(name, world.data_type, delta),)))
    return events


def shard_of(world: World, replica_id: bytes, events: list[Event]) -> Shard:
    shard = Shard("shop", HybridClock(replica_id), table=world.table)
    for event in events:
        shard.apply_event(event)
    return shard


@pytest.mark.parametrize("name", registry.names())
@settings(max_examples=EXAMPLES if EXAMPLES > 1_000 else 20)
@given(data=st.data())
def test_repair_equals_the_join_of_whole_states_and_sends_only_news(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    events = events_of(world)
    chosen = data.draw(st.lists(st.integers(0, 3), min_size=len(events), max_size=len(events)))
    # 0 and 1: one side has it; 2: both; 3: neither. So both have gaps.
    sender = shard_of(world, b"s" * 16, [event for event, who in zip(events, chosen, strict=True) if who in (0, 2)])
    receiver = shard_of(world, b"r" * 16, [event for event, who in zip(events, chosen, strict=True) if who in (1, 2)])
    entry, had = sender.entries.find(("key", name)), receiver.entries.find(("key", name))
    session = Session(sender, receiver.applied.copy(), 1, chunk_bytes=1 << 20, wants_back=False)
    if entry is None or session.has_nothing:
        assert sender.applied.issubset(receiver.applied)
        return
    mine, theirs = entry.store, world.data_type.bottom() if had is None else had.store
    joined = world.data_type.join(mine, sender.known, theirs, receiver.known)
    applied = sender.applied.union(receiver.applied)

    body, _ = session.chunk(0, may_wait=False)
    repair = wire.decode(body, world.table, wire.read_repair)
    assert session.is_done
    assert repair.base.issubset(receiver.applied)
    for state in repair.entries:
        assert not any(dot in receiver.applied for dot in world.data_type.dots(state.store))
    receiver.apply_states(repair.base, repair.entries)

    repaired = receiver.entries.find(("key", name))
    assert repaired is not None
    if not world.data_type.is_bottom(joined):
        assert canonical(world.data_type, joined, world.table) == canonical(
            world.data_type, repaired.store, world.table
        )
    assert world.data_type.is_bottom(joined) == repaired.is_bottom
    assert applied == receiver.applied
