"""Values of types that a node does not know: kept, joined, removed by the dot, passed on, and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import (
    OR_MAP,
    OR_SET,
    PN_COUNTER,
    RW_MAP,
    UW_MAP,
    InvalidOperation,
    Operation,
    ReplicaTable,
    deltas,
    registry,
)
from crdtmesh.crdts import State as AnyState
from crdtmesh.crdts.base import DataType, Delta
from crdtmesh.crdts.codec import Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.deltas import decode_delta, encode_delta, join
from crdtmesh.crdts.dots import pack_dot
from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.nested import Nested
from crdtmesh.crdts.stores import KeyedDots
from crdtmesh.crdts.values import encode
from crdtmesh.testing import Product
from crdtmesh.testing.worlds import World

State = AnyState[Nested]
LATER = Product("Later", tags=OR_SET, count=PN_COUNTER)
MAPS = [pytest.param(each, id=each.name) for each in (OR_MAP, UW_MAP, RW_MAP)]


@contextmanager
def known() -> Iterator[None]:
    """While this holds, the node is one that has the type."""
    registry._LOADED["Later"] = LATER
    try:
        yield
    finally:
        del registry._LOADED["Later"]


def change(name: str, *arguments: Any, key: str = "k") -> Operation:
    return Operation("update", (key, "Later", name, *arguments))


def state(data_type: DataType[Nested], number: int, table: ReplicaTable | None = None) -> State:
    return AnyState(data_type, table or ReplicaTable(), replica_id=bytes([number]) * 16)


@pytest.mark.parametrize("data_type", MAPS)
def test_node_without_the_type_passes_on_what_it_was_given(data_type: DataType[Nested]) -> None:
    author, relay, reader = (state(data_type, number) for number in (1, 2, 3))
    with known():
        author.apply(change("tags.add", "x"))
        author.apply(change("count.increment", 2))
        author.apply(Operation("update", ("k", "ORSet", "add", "plain")))
        sent = author.encode()
    relay.join_encoded(sent)
    assert {"k": {"ORSet": ("plain",)}} == relay.value
    passed_on = relay.encode()
    with known():
        reader.join_encoded(passed_on)
        assert author.value == reader.value
        assert sent == passed_on == reader.encode()


def test_parts_of_several_deltas_and_a_removal_within_them_come_together_at_who_knows_the_type() -> None:
    author, relay, reader = (state(OR_MAP, number) for number in (1, 2, 3))
    with known():
        made = [
            change("tags.add", "x"),
            change("tags.add", "y"),
            change("count.increment", 2),
            change("tags.remove", "x"),
        ]
        sent = [encode_delta(OR_MAP, delta) for each in made if (delta := author.apply(each)) is not None]
    for each in reversed(sent):
        relay.join_encoded(each)
    passed_on = relay.encode()
    with known():
        reader.join_encoded(passed_on)
        assert {"k": {"Later": {"tags": ("y",), "count": 2}}} == reader.value
        assert author.encode() == reader.encode()


def test_removal_of_one_dot_reaches_into_what_came_as_a_whole() -> None:
    author, relay, reader = (state(OR_MAP, number) for number in (1, 2, 3))
    with known():
        for tag in ("x", "y"):
            author.apply(change("tags.add", tag))
        whole = author.encode()
        removal = author.apply(change("tags.remove", "x"))
        assert removal is not None
        sent = encode_delta(OR_MAP, removal)
    relay.join_encoded(whole)
    relay.join_encoded(sent)
    passed_on = relay.encode()
    with known():
        reader.join_encoded(passed_on)
        assert {"k": {"Later": {"tags": ("y",), "count": 0}}} == reader.value
        assert author.encode() == reader.encode()


@pytest.mark.parametrize("data_type", MAPS)
def test_node_without_the_type_can_remove_its_key(data_type: DataType[Nested]) -> None:
    author, relay = state(data_type, 1), state(data_type, 2)
    with known():
        author.apply(change("tags.add", "x"))
        sent = author.encode()
    relay.join_encoded(sent)
    assert relay.apply(Operation("remove", ("k",))) is not None
    removal = relay.encode()
    with known():
        author.join_encoded(removal)
        assert {} == author.value


@pytest.mark.parametrize("data_type", MAPS)
def test_update_of_an_unknown_type_is_refused_before_a_dot_is_taken(data_type: DataType[Nested]) -> None:
    relay = state(data_type, 2)
    with pytest.raises(InvalidOperation, match="no data type 'Later'"):
        relay.apply(change("tags.add", "x"))
    assert not relay.context


@settings(max_examples=150)
@given(data=st.data())
def test_histories_by_way_of_a_node_without_the_type_read_as_without_it(data: st.DataObject) -> None:
    """The node takes deltas in any order, some twice, some never, removes a key, and is asked for all it holds."""
    world = World(OR_MAP)
    tags = st.sampled_from("xy")
    drawn = st.one_of(
        st.builds(lambda tag: change("tags.add", tag), tags),
        st.builds(lambda tag: change("tags.remove", tag), tags),
        st.just(change("count.increment", 1)),
        st.builds(lambda tag: Operation("update", ("k", "ORMap", "update", "l", "Later", "tags.add", tag)), tags),
        st.just(Operation("remove", ("k",))),
    )
    with known():
        for at, operation, other in data.draw(
            st.lists(st.tuples(st.integers(0, 2), drawn, st.integers(0, 2)), max_size=12)
        ):
            delta = world.replicas[at].apply(operation)
            world.deltas += [] if delta is None else [delta]
            world.replicas[other].join(world.replicas[at])
        chosen = data.draw(st.lists(st.sampled_from(world.deltas), max_size=12)) if world.deltas else []
        direct = world.join(chosen)
        sent = [encode_delta(OR_MAP, delta) for delta in chosen]
    relays = [state(OR_MAP, number, ReplicaTable()) for number in (8, 9)]
    for relay in relays:
        for each in data.draw(st.permutations(sent)):
            relay.join_encoded(each)
    held = relays[0].delta()
    assert held == join(OR_MAP, held, held)
    parts = [encode_delta(OR_MAP, part) for part in deltas.decompose(OR_MAP, held)]
    passed_on = [relay.encode() for relay in relays]
    with known():
        for each in passed_on:
            there = decode_delta(OR_MAP, each, world.table)
            assert direct == there
            assert world.encode(direct) == world.encode(there)
        assert direct == world.join([decode_delta(OR_MAP, part, world.table) for part in parts])


def test_sealed_store_without_a_dot_that_it_is_said_to_hold_is_refused_by_who_can_tell() -> None:
    table = ReplicaTable()
    replica = table.intern(b"a" * 16)
    one, two = pack_dot(replica, 1), pack_dot(replica, 2)
    context = CausalContext(table, (one, two))
    tags = KeyedDots({encode("x"): one})
    writer = Writer(table)
    writer.context(context)
    writer.integer(1)
    writer.value(encode(("k", "Later")))
    writer.dots(frozenset((one, two)))
    writer.integer(1)
    writer.binary(encode_delta(LATER, Delta((tags, {}), context)))
    sent = writer.finish()
    assert 2 == len(list(OR_MAP.dots(decode_delta(OR_MAP, sent, table).store)))
    with known(), pytest.raises(CodecError, match="one of others"):
        decode_delta(OR_MAP, sent, table)
