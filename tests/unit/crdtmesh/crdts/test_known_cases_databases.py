"""Cases of replicated databases and of Lasp's types, as facts about ours.

Looked up in AntidoteDB's and Lasp's suites, and in what the makers of Redis Active-Active and Roshi write of their
types; written anew. Where ours answers otherwise, the case says so; docs/reference/types/README.md tells users.
"""

from __future__ import annotations

import pytest

from crdtmesh.crdts import InvalidOperation, Operation
from tests.unit.crdtmesh.crdts.calls import meet, replicas, same_start

# --- AntidoteDB


@pytest.mark.parametrize("counter", ["ExactCounter", "PNCounter"])
def test_counter_in_a_map_counts_anew_after_removals_that_saw_nothing_and_all(counter: str) -> None:
    here, there = replicas("ORMap")
    here.update("a", counter, "increment", 1)
    here.clear()
    assert there.is_without_effect("remove", "a", counter)
    assert here.is_without_effect("clear")
    here.update("a", counter, "increment", 2)
    assert {"a": {counter: 2}} == meet(here, there)


def test_set_of_winning_removals_in_a_map_is_empty_and_not_barred_after_its_key_is_removed() -> None:
    here, there = replicas("ORMap")
    here.update("s", "RWSet", "add", "a")
    here.update("s", "RWSet", "remove", "b")
    here.clear()
    there.takes(here).update("s", "RWSet", "add", "b")
    assert {"s": {"RWSet": ("b",)}} == meet(here, there)


def test_removing_a_key_of_a_map_that_is_not_there_makes_no_map() -> None:
    here, there = replicas("ORMap")
    assert here.is_without_effect("update", "b", "ORMap", "remove", "a")
    assert there.is_without_effect("remove", "b")
    assert {} == meet(here, there)


def test_map_with_values_of_three_types_is_at_its_bottom_when_cleared() -> None:
    (here,) = replicas("ORMap", 1)
    here.update("a", "ORSet", "add", "1")
    here.update("b", "MVRegister", "set", "2")
    here.update("c", "ExactCounter", "increment", 1)
    assert {"a": {"ORSet": ("1",)}, "b": {"MVRegister": ("2",)}, "c": {"ExactCounter": 1}} == here.value
    here.clear()
    assert {} == here.value
    assert here.state.data_type.is_bottom(here.state.delta().store)


def test_rights_of_others_do_not_help_and_their_owner_may_spend_them() -> None:
    a, b = replicas("BoundedCounter")
    a.increment(10)
    a.decrement(6)
    b.increment(6)
    assert 10 == meet(a, b)["value"]
    with pytest.raises(InvalidOperation, match="transfer"):
        a.state.apply(Operation("decrement", (6,)))
    b.decrement(6)
    assert 4 == meet(a, b)["value"]


def test_rights_that_were_given_may_be_given_back_and_no_more_than_those() -> None:
    a, b = replicas("BoundedCounter")
    names = {letter: (letter * 16).encode().hex() for letter in "ab"}
    a.increment(10)
    a.transfer(names["b"], 6)
    with pytest.raises(InvalidOperation):
        a.state.apply(Operation("transfer", (names["b"], 5)))
    b.takes(a).transfer(names["a"], 5)
    assert {"rights": {names["a"]: 9, names["b"]: 1}, "value": 10} == meet(a, b)


# --- Lasp


def test_flag_that_disabling_wins_begins_off() -> None:
    """Lasp's begins on, since it keeps nothing but disablings; here a key that is removed reads as one never used."""
    here, there = replicas("DWFlag")
    assert here.value is False
    here.enable()
    there.takes(here)
    there.disable()
    here.enable()
    assert meet(here, there) is False


def test_map_with_one_context_counts_a_key_anew_that_was_removed_and_added() -> None:
    here, there = same_start("ORMap", ("update", ("a", "ORSet", "add", 17)), ("update", ("b", "ORSet", "add", 3)))
    here.update("b", "ORSet", "add", 13)
    here.update("b", "ORSet", "remove", 3)
    here.remove("a")
    here.update("a", "ORSet", "add", 17)
    there.remove("a")
    assert {"a": {"ORSet": (17,)}, "b": {"ORSet": (13,)}} == meet(here, there)


# --- Redis Active-Active


def test_counter_takes_increments_and_decrements_of_both_sides_at_each_sync() -> None:
    a, b = replicas("PNCounter")
    a.increment(7)
    b.increment(3)
    assert 10 == meet(a, b)
    a.decrement(3)
    b.increment(6)
    assert 13 == meet(a, b)


def test_string_of_the_later_clock_wins_only_where_neither_side_has_seen_the_other() -> None:
    a, b = replicas("LWWRegister")
    a.now_ms, b.now_ms = 1, 2
    a.set("a")
    b.set("b")
    assert "b" == meet(a, b)
    a.now_ms = 0
    a.set("c")
    assert "c" == meet(a, b)


def test_members_of_a_set_unite_and_a_removal_takes_only_what_it_has_seen() -> None:
    a, b = replicas("ORSet")
    a.add("a")
    b.add("b")
    assert ("a", "b") == meet(a, b)
    a.remove("a")
    b.add("a")
    b.add("c")
    assert ("a", "b", "c") == meet(a, b)


def test_field_of_a_hash_that_one_side_deletes_and_the_other_counts_on_holds_what_was_counted_meanwhile() -> None:
    a, b = same_start("ORMap", ("update", ("field", "ExactCounter", "increment", 10)))
    a.remove("field")
    b.update("field", "ExactCounter", "increment", 5)
    assert {"field": {"ExactCounter": 5}} == meet(a, b)


# --- Roshi


def test_removal_takes_what_it_has_seen_whatever_the_clocks_say() -> None:
    """Roshi's writers bring their own times, and a write of an older one than is there has no effect."""
    a, b = replicas("LWWMap")
    a.now_ms, b.now_ms = 2_000, 1_000
    a.put("k", 1)
    b.takes(a).remove("k")
    assert {} == meet(a, b)
    b.put("k", 2)
    assert {"k": 2} == meet(a, b)


def test_of_a_put_and_a_removal_that_have_not_seen_each_other_the_put_holds() -> None:
    """In Roshi the one with the greater time; of equal ones the first to arrive."""
    a, b = same_start("LWWMap", ("put", ("k", 1)))
    a.now_ms, b.now_ms = 2_000, 1_000
    a.remove("k")
    b.put("k", 2)
    assert {"k": 2} == meet(a, b)
