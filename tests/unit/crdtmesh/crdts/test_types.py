"""Data types one by one: arguments, limits, what is read; and the state that holds one in the hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

import pytest

import crdtmesh.crdts
from crdtmesh.crdts import LWW_REGISTER, OR_SET, PN_COUNTER, WHOLE, Operation, ReplicaTable, State
from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.codec import AMOUNT_MAX, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import pack_dot
from crdtmesh.crdts.errors import CodecError, InvalidOperation, InvalidValue
from crdtmesh.crdts.values import encode


def state(data_type: DataType[Any], owner: bytes = b"a", table: ReplicaTable | None = None) -> State[Any]:
    return State(data_type, ReplicaTable() if table is None else table, replica_id=owner * 16)


def test_counter_adds_and_subtracts() -> None:
    counter = state(PN_COUNTER)
    for operation in (Operation("increment"), Operation("increment", (41,)), Operation("decrement", (2,))):
        counter.apply(operation)
    assert 40 == counter.value


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (Operation("increment", (-1,)), "call decrement"),
        (Operation("decrement", (-1,)), "call increment"),
        (Operation("increment", (1.0,)), "floats don't add up"),
        (Operation("increment", (True,)), "takes an int"),
        (Operation("increment", (1 << 63,)), "less than 2"),
        (Operation("incremnt"), "did you mean 'increment'"),
        (Operation("increment", (1, 2)), "takes 0 to 1 arguments, got 2"),
        (Operation("reset", (1,)), "takes 0 arguments, got 1"),
    ],
)
def test_counter_says_what_to_call_instead(operation: Operation, message: str) -> None:
    counter = state(PN_COUNTER)
    with pytest.raises(InvalidOperation, match=message) as refused:
        counter.apply(operation)
    assert "not_applied" == refused.value.outcome
    assert 0 == len(counter.context)


def test_counter_refuses_to_grow_beyond_63_bits() -> None:
    counter = state(PN_COUNTER)
    counter.apply(Operation("increment", (AMOUNT_MAX,)))
    with pytest.raises(InvalidOperation, match="reset the counter"):
        counter.apply(Operation("increment"))
    assert AMOUNT_MAX == counter.value


def test_operation_without_effect_takes_no_dot() -> None:
    counter, items, register = state(PN_COUNTER), state(OR_SET), state(LWW_REGISTER)
    assert counter.apply(Operation("increment", (0,))) is None
    assert counter.apply(Operation("reset")) is None
    assert items.apply(Operation("remove", ("milk",))) is None
    assert items.apply(Operation("clear")) is None
    assert register.apply(Operation("clear")) is None
    assert 0 == len(counter.context) + len(items.context) + len(register.context)


def test_set_tells_equal_looking_elements_apart() -> None:
    items = state(OR_SET)
    for element in (True, 1, 1.0, "1"):
        items.apply(Operation("add", (element,)))
    items.apply(Operation("remove", (1,)))
    assert sorted([encode(True), encode(1.0), encode("1")]) == [
        encode(element) for element in OR_SET.value(items.delta().store)
    ]
    assert OR_SET.contains(items.delta().store, True)
    assert not OR_SET.contains(items.delta().store, 1)


def test_set_refuses_elements_that_are_not_plain() -> None:
    with pytest.raises(InvalidValue, match="got set"):
        state(OR_SET).apply(Operation("add", ({1},)))  # type: ignore[arg-type]


def test_register_reads_its_last_write() -> None:
    register = state(LWW_REGISTER)
    register.apply(Operation("set", ({"price": 3},)))
    register.apply(Operation("set", ([1, 2],)))
    assert (1, 2) == register.value
    register.apply(Operation("clear"))
    assert register.value is None


def test_join_names_the_elements_that_became_different() -> None:
    table = ReplicaTable()
    a, b = state(OR_SET, b"a", table), state(OR_SET, b"b", table)
    delta = a.apply(Operation("add", ("milk",)))
    assert delta is not None
    assert [encode("milk")] == b.join(delta)
    assert [] == b.join(delta)


def test_join_of_a_counter_touches_the_whole() -> None:
    table = ReplicaTable()
    a, b = state(PN_COUNTER, b"a", table), state(PN_COUNTER, b"b", table)
    a.apply(Operation("increment"))
    assert WHOLE is b.join(a)
    assert not b.join(a)


def test_state_travels_as_bytes_between_processes() -> None:
    here, there = state(OR_SET, b"a"), state(OR_SET, b"b", ReplicaTable(capacity=5))
    there.apply(Operation("add", ("eggs",)))
    here.apply(Operation("add", ("milk",)))
    there.join_encoded(here.encode())
    here.join_encoded(there.encode())
    assert ("eggs", "milk") == here.value == there.value
    assert here.encode() == there.encode()


@pytest.mark.parametrize("data_type", [PN_COUNTER, OR_SET, LWW_REGISTER])
def test_bytes_do_not_depend_on_the_order_of_interning(data_type: DataType[Any]) -> None:
    operation = {"PNCounter": "increment", "ORSet": "add", "LWWRegister": "set"}[data_type.name]
    owners = (b"m", b"z", b"a")
    encoded = set()
    for order in itertools.permutations(owners):
        table = ReplicaTable()
        for owner in order:
            table.intern(owner * 16)
        parts = {owner: state(data_type, owner, table) for owner in owners}
        for owner in owners:
            for argument in (1, 2):
                parts[owner].apply(Operation(operation, (argument,)))
        for owner in order:
            parts[b"a"].join(parts[owner])
        encoded.add(parts[b"a"].encode())
    assert 1 == len(encoded)


def test_delta_group_removes_from_a_large_set_what_it_does_not_name() -> None:
    """Two adds and a removal in one delta: the removed element shows in the context alone."""
    table = ReplicaTable()
    a, b = state(OR_SET, b"a", table), state(OR_SET, b"b", table)
    for number in range(100):
        a.apply(Operation("add", (number,)))
    b.join(a)
    before = b.delta()
    a.apply(Operation("add", ("milk",)))
    a.apply(Operation("add", ("eggs",)))
    a.apply(Operation("remove", (7,)))
    touched = b.join(a.delta_since(before))
    assert a == b
    assert {encode("milk"), encode("eggs"), encode(7)} == set(touched if touched is not WHOLE else ())


def test_large_set_forgets_superseded_siblings() -> None:
    """Dots that were replaced under their own key leave the index, or they would touch their successor once more."""
    table = ReplicaTable()
    a, b, holder = (state(OR_SET, owner, table) for owner in (b"a", b"b", b"c"))
    for number in range(40):
        a.apply(Operation("add", (number,)))
    a.apply(Operation("remove", (0,)))
    for each in (b, holder):
        each.join(a)
    indexing = a.apply(Operation("remove", (1,)))
    siblings = [each.apply(Operation("add", ("milk",))) for each in (a, b)]
    a.join(b)
    b.join(a)
    late_removal, fresh_add = b.apply(Operation("remove", ("milk",))), a.apply(Operation("add", ("milk",)))
    for delta in (indexing, *siblings, fresh_add):
        assert delta is not None
        assert 1 == len(list(cast("Sequence[bytes]", holder.join(delta))))
    assert late_removal is not None
    assert [] == holder.join(late_removal)
    assert OR_SET.contains(holder.delta().store, "milk")


def test_bytes_that_are_refused_change_nothing() -> None:
    items = state(OR_SET)
    items.apply(Operation("add", ("milk",)))
    before = items.encode()
    with pytest.raises(CodecError):
        items.join_encoded(before[:-1])
    assert before == items.encode()


def test_delta_since_carries_only_the_news() -> None:
    table = ReplicaTable()
    a, b = state(OR_SET, b"a", table), state(OR_SET, b"b", table)
    a.apply(Operation("add", ("milk",)))
    b.join(a)
    a.apply(Operation("add", ("eggs",)))
    news = a.delta_since(b)
    assert (encode("eggs"),) == tuple(news.store.keys)
    assert 2 == len(list(a.decompose()))
    b.join(news)
    assert a == b
    assert not a.delta_since(b).context


def test_state_shows_its_type_and_value() -> None:
    counter = state(PN_COUNTER)
    assert "<State of PNCounter: 0>" == repr(counter)
    assert counter != 0


def test_writer_refuses_a_dot_that_its_context_does_not_hold() -> None:
    table = ReplicaTable()
    table.intern(b"a" * 16)
    writer = Writer(table)
    writer.context(CausalContext(table, [pack_dot(1, 2)]))
    for n in (1, 3):
        with pytest.raises(ValueError, match="not in the context"):
            writer.dot(pack_dot(1, n))


def test_package_names_what_it_exports() -> None:
    assert all(getattr(crdtmesh.crdts, name) is not None for name in crdtmesh.crdts.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = crdtmesh.crdts.Nothing
