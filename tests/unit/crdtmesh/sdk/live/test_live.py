"""Live objects act like the replicated types they stand for, record what was done, and can take it back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import registry
from crdtmesh.crdts.errors import InvalidOperation, InvalidValue
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.values import INTEGER_MAX
from crdtmesh.crdts.values import encode as canonical
from crdtmesh.sdk import (
    BoundedCounter,
    GCounter,
    GSet,
    JsonDocument,
    LWWMap,
    LWWRegister,
    MVRegister,
    ORMap,
    ORMultiMap,
    ORSet,
    PNCounter,
    PNCounterMap,
    RWMap,
    RWSet,
    Text,
    TwoPhaseSet,
    Vote,
)
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.live.flags import Flag
from crdtmesh.sdk.live.mixed_maps import MixedMap
from crdtmesh.sdk.live.register_max import Extreme
from crdtmesh.sdk.live.registry import LIVE_TYPES, live_type

ELEMENTS: st.SearchStrategy[Any] = st.sampled_from(
    [True, 1, 1.0, "1", b"1", None, "milk", ("a", 1), ("a", True), {"k": 1}, {"k": 1.0}, 0.0, False, 0]
)


# Three types each: a sequence of a dozen steps finds what there is to find early, and the unit tests stay quick.
few = settings(max_examples=40)


def keys(elements: Any) -> set[bytes]:
    return {canonical(element) for element in elements}


def steps(state: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911, PLR0912 - one for each kind of state
    amounts = st.integers(0, 9)
    if isinstance(state, PNCounter):
        return st.tuples(st.sampled_from(["increment", "decrement"]), amounts) | st.tuples(st.just("reset"))
    if isinstance(state, ORSet):
        return st.tuples(st.sampled_from(["add", "discard"]), ELEMENTS) | st.tuples(st.just("clear"))
    if isinstance(state, BoundedCounter):
        return st.tuples(st.just("increment"), amounts) | st.tuples(st.just("decrement"), st.just(0))
    if isinstance(state, Extreme):
        return st.tuples(st.just("set"), st.sampled_from([1, 1.0, -2, 3.5])) | st.tuples(st.just("clear"))
    if isinstance(state, LWWMap):
        return st.tuples(st.just("put"), st.sampled_from("kl"), ELEMENTS) | st.tuples(st.just("clear"))
    if isinstance(state, Text):
        return st.tuples(st.just("insert"), st.just(0), st.text(max_size=3)) | st.tuples(st.just("clear"))
    if isinstance(state, JsonDocument):
        fields = st.dictionaries(st.sampled_from("kl"), ELEMENTS)
        return st.tuples(st.sampled_from(["set", "update"]), fields) | st.tuples(st.just("clear"))
    if isinstance(state, PNCounterMap):
        return st.tuples(st.sampled_from(["increment", "decrement"]), st.sampled_from("kl"), amounts)
    if isinstance(state, ORMultiMap):
        bind = st.tuples(st.sampled_from(["add_binding", "remove_binding"]), st.sampled_from("kl"), ELEMENTS)
        return bind | st.tuples(st.just("put"), st.sampled_from("kl"), st.lists(ELEMENTS, max_size=3))
    if isinstance(state, MixedMap):
        wholly = "reset" if isinstance(state, RWMap) else "clear"
        return st.tuples(st.just("remove"), st.sampled_from("kl")) | st.tuples(st.just(wholly))
    if isinstance(state, Flag):
        return st.tuples(st.sampled_from(["enable", "disable"]))
    if isinstance(state, GSet):
        return st.tuples(st.just("add"), ELEMENTS) | st.tuples(st.just("reset"))
    if isinstance(state, GCounter):
        return st.tuples(st.just("increment"), amounts) | st.tuples(st.just("reset"))
    if isinstance(state, TwoPhaseSet | RWSet):
        return st.tuples(st.sampled_from(["add", "remove"]), ELEMENTS) | st.tuples(st.just("reset"))
    if isinstance(state, Vote):
        return st.tuples(st.just("vote"), st.booleans()) | st.tuples(st.sampled_from(["withdraw", "reset"]))
    return st.tuples(st.just("set"), ELEMENTS) | st.tuples(st.just("clear"))


def reading(state: Any) -> Any:
    return keys(state) if isinstance(state, ORSet) else canonical(state.value)


@pytest.mark.parametrize("name", sorted(LIVE_TYPES))
@few
@given(data=st.data())
def test_roll_back_restores_what_commit_left(name: str, data: st.DataObject) -> None:
    state: Any = live_type(name)()
    for step in data.draw(st.lists(steps(state), max_size=6)):
        getattr(state, step[0])(*step[1:])
    state.commit()
    before = reading(state)
    assert [] == state.pending
    for step in data.draw(st.lists(steps(state), max_size=6)):
        getattr(state, step[0])(*step[1:])
    state.roll_back()
    assert before == reading(state)
    assert [] == state.pending


@pytest.mark.parametrize("name", sorted(LIVE_TYPES))
@few
@given(data=st.data())
def test_recorded_operations_are_those_of_the_type(name: str, data: st.DataObject) -> None:
    state: Any = live_type(name)()
    for step in data.draw(st.lists(steps(state), max_size=6)):
        getattr(state, step[0])(*step[1:])
    kind: Any = registry.get(name)
    for operation in state.pending:
        require_operation(name, operation, kind.operations)


@pytest.mark.parametrize("name", sorted(LIVE_TYPES))
def test_live_types_are_named_as_their_data_types(name: str) -> None:
    assert name == live_type(name).type_name == live_type(name).__name__ == registry.get(name).name


def test_every_data_type_has_a_live_object() -> None:
    assert sorted(registry.names()) == sorted(LIVE_TYPES)


def test_register_with_several_values_is_resolved_and_one_with_a_single_value_is_not_asked_about() -> None:
    register = MVRegister[int]()
    register.load_value((1, 2))
    register.resolve(max)
    register.resolve(min)
    assert [Operation("resolve", (2,))] == register.pending
    assert [2] == list(register)
    register.roll_back()
    assert [1, 2] == list(register)


def test_unknown_type_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="did you mean 'PNCounter'"):
        live_type("PNCountr")


@given(st.lists(ELEMENTS), st.lists(ELEMENTS))
def test_set_keeps_apart_what_the_mesh_keeps_apart(added: list[Any], removed: list[Any]) -> None:
    state = ORSet[Any]()
    for element in added:
        state.add(element)
    for element in removed:
        state.discard(element)
    expected = keys(added) - keys(removed)
    assert expected == keys(state)
    assert len(expected) == len(state)
    assert all((canonical(element) in expected) == (element in state) for element in [*added, *removed])


def test_set_holds_true_one_and_text_as_four_elements() -> None:
    state: ORSet[Any] = ORSet([True, 1, 1.0, "1"])
    assert 4 == len(state)
    state.remove(1)
    assert [True, 1.0, "1"] == list(state)
    assert 1 not in state
    assert True in state


def test_set_remove_of_an_absent_element_raises_and_records_nothing() -> None:
    state = ORSet(["bread"])
    with pytest.raises(KeyError):
        state.remove("milk")
    state.discard("milk")
    assert [] == state.pending


def test_set_add_of_a_present_element_is_recorded_because_it_beats_removals() -> None:
    state = ORSet(["bread"])
    state.add("bread")
    assert [Operation("add", ("bread",))] == state.pending


def test_set_takes_over_changes_of_others() -> None:
    state = ORSet(["bread"])
    state.apply_change(["milk", 1], ["bread", "never there"])
    assert {canonical("milk"), canonical(1)} == keys(state)


def test_elements_share_nothing_with_what_was_given() -> None:
    inner: list[Any] = ["a"]
    state: ORSet[Any] = ORSet()
    state.add(inner)
    inner.append("b")
    assert [("a",)] == list(state)


@pytest.mark.parametrize("element", [math.nan, {1, 2}, object(), 1 << 63, "\ud800"])
def test_set_refuses_what_the_mesh_can_not_hold(element: Any) -> None:
    state: ORSet[Any] = ORSet()
    with pytest.raises(InvalidValue):
        state.add(element)
    assert [] == state.pending
    assert element not in state


@pytest.mark.parametrize("amount", [-1, 1.0, True, "1", None, INTEGER_MAX + 1])
def test_counter_refuses_wrong_amounts(amount: Any) -> None:
    state = PNCounter(5)
    for change in (state.increment, state.decrement):
        with pytest.raises(InvalidOperation):
            change(amount)
    assert 5 == state.value
    assert [] == state.pending


def test_counter_refuses_to_leave_64_bits() -> None:
    state = PNCounter(INTEGER_MAX)
    with pytest.raises(InvalidOperation, match="64 bits"):
        state.increment()


def test_counter_reads_as_an_int() -> None:
    state = PNCounter(2)
    state.increment(3)
    state.decrement()
    state.increment(0)
    assert 4 == int(state) == state.value
    assert [Operation("increment", (3,)), Operation("decrement", (1,))] == state.pending


def test_map_records_what_its_live_values_do_and_takes_it_back() -> None:
    state = ORMap()
    state.load_value({"k": {"PNCounter": 2}})
    state["k", PNCounter].increment(3)
    state["l", ORMap]["m", ORSet].add("x")
    expected = [
        Operation("update", ("k", "PNCounter", "increment", 3)),
        Operation("update", ("l", "ORMap", "update", "m", "ORSet", "add", "x")),
    ]
    assert expected == state.pending
    assert {"k": {"PNCounter": 5}, "l": {"ORMap": {"m": {"ORSet": ("x",)}}}} == state.value
    state.remove("k")
    state.roll_back()
    assert ([], {"k": {"PNCounter": 2}}) == (state.pending, state.value)
    state["k", PNCounter].increment()
    state.commit()
    assert {"k": {"PNCounter": 3}} == state.value


def test_removal_of_an_absent_key_is_recorded_where_removals_win() -> None:
    state = RWMap()
    state["k", ORSet].add("x")
    state.remove("k")
    state.remove("l")
    state.reset()
    expected = [
        Operation("update", ("k", "ORSet", "add", "x")),
        Operation("remove", ("k",)),
        Operation("remove", ("l",)),
        Operation("reset"),
    ]
    assert expected == state.pending
    assert {} == state.value


def test_multimap_reads_as_key_to_values_and_records_what_differs() -> None:
    state = ORMultiMap({"k": ["x", 1], "empty": []})
    state.put("k", [1, "x"])
    assert [] == state.pending
    state.put("k", [True, "x"])
    state.add_binding("l", "y")
    state.remove_binding("l", "nothing")
    state.remove("m")
    expected = [Operation("put", ("k", (True, "x"))), Operation("add_binding", ("l", "y"))]
    assert expected == state.pending
    assert {"k": (True, "x"), "l": ("y",)} == state.value
    state.remove_binding("l", "y")
    assert ["k"] == list(state)
    with pytest.raises(InvalidOperation, match="add_binding"):
        state.put("k", "text")
    assert () == state["l"]


def test_register_hands_out_copies() -> None:
    state: LWWRegister[Any] = LWWRegister({"price": [1]})
    handed_out: Any = state.value
    handed_out["price"] = "changed"
    assert {"price": (1,)} == state.value


def test_register_writes_none_and_clears() -> None:
    state: LWWRegister[Any] = LWWRegister(3)
    state.set(None)
    state.clear()
    assert state.value is None
    assert [Operation("set", (None,)), Operation("clear")] == state.pending


@pytest.mark.parametrize(("state", "value"), [(PNCounter(), "x"), (PNCounter(), True), (ORSet(), 3)])
def test_state_of_another_type_is_refused(state: LiveState, value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        state.load_value(value)


def test_whole_state_replaces_what_is_pending() -> None:
    state = ORSet(["a"])
    state.add("b")
    state.load_value(("c",))
    state.roll_back()
    assert (["c"], []) == (list(state), state.pending)
