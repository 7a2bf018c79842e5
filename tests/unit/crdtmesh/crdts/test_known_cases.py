"""Cases that other implementations hold as facts about their types, as facts about ours.

Looked up in the suites of Pekko and Akka Distributed Data, Riak's data types, Automerge and Yjs, and written anew.
Where ours answers otherwise, the case says so; docs/reference/types/README.md tells users.
"""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.values import PlainValue
from tests.unit.crdtmesh.crdts.calls import meet, replicas, same_start

# --- sets: Riak's orswot, Akka's ORSet


def test_set_removal_at_one_of_two_disjoint_sets_holds_in_what_was_merged_before() -> None:
    a, b, c = replicas("ORSet", 3)
    a.add("bar")
    b.add("baz")
    c.takes(a, b)
    a.remove("bar")
    assert ("baz",) == meet(a, c)


def test_set_element_that_each_replica_removed_by_itself_is_gone_from_an_old_copy_too() -> None:
    a, b, old = replicas("ORSet", 3)
    a.add("z")
    old.takes(a)
    a.remove("z")
    b.add("z")
    a.takes(b)
    assert ("z",) == a.value
    b.remove("z")
    assert () == meet(a, b, old)


def test_set_element_of_which_no_dot_is_left_anywhere_is_gone() -> None:
    a, b, old = replicas("ORSet", 3)
    a.add("z")
    b.add("z")
    old.takes(a)
    a.remove("z")
    a.takes(b)
    b.takes(old)
    b.remove("z")
    assert () == meet(a, b, old)


def test_set_removal_that_arrives_before_the_add_it_has_seen_still_removes_it() -> None:
    a, b = replicas("ORSet")
    added = a.add("x")
    removed = a.remove("x")
    b.takes(removed)
    b.takes(added)
    assert () == b.value


def test_set_element_dropped_on_one_side_and_untouched_on_the_other_is_dropped() -> None:
    a, b = same_start("ORSet", ("add", ("x",)), ("add", ("y",)))
    a.remove("x")
    b.add("z")
    assert ("y", "z") == meet(a, b)


def test_set_add_again_saves_an_element_from_a_concurrent_removal_even_if_it_was_there() -> None:
    a, b = same_start("ORSet", ("add", ("x",)))
    a.add("x")
    b.remove("x")
    assert ("x",) == meet(a, b)


# --- maps: Akka's ORMap; Riak's map


def test_map_with_overlapping_keys_keeps_what_each_side_has_not_removed() -> None:
    a, b = replicas("ORMap")
    for key in "ab":
        a.update(key, "ORSet", "add", f"{key}1")
    a.remove("a")
    a.update("d", "ORSet", "add", "d1")
    for key in "cab":
        b.update(key, "ORSet", "add", f"{key}2")
    b.remove("b")
    b.update("d", "ORSet", "add", "d2")
    expected = {"a": ("a2",), "b": ("b1",), "c": ("c2",), "d": ("d1", "d2")}
    assert expected == {key: held["ORSet"] for key, held in meet(a, b).items()}


@pytest.mark.parametrize(("name", "expected"), [("ORMap", ("B2",)), ("UWMap", ("B", "B2")), ("RWMap", None)])
def test_map_key_removed_by_one_and_updated_by_another(name: str, expected: PlainValue) -> None:
    """Akka's map brings the old content back whenever an update is concurrent, as UWMap does; here the map says."""
    a, b = same_start(name, ("update", ("b", "ORSet", "add", "B")))
    a.remove("b")
    updated = b.update("b", "ORSet", "add", "B2")
    a.takes(updated)
    assert expected == a.value.get("b", {}).get("ORSet")
    assert a.value == meet(a, b)


@pytest.mark.parametrize("name", ["ORMap", "UWMap", "RWMap"])
def test_map_key_removed_in_both_timelines_holds_only_what_came_after(name: str) -> None:
    a, b = same_start(name, ("update", ("b", "ORSet", "add", "B")))
    removed = a.remove("b")
    b.remove("b")
    b.takes(removed)
    b.update("b", "ORSet", "add", "B1")
    b.update("b", "ORSet", "add", "B2")
    assert {"b": {"ORSet": ("B1", "B2")}} == meet(a, b)


def test_map_value_replaced_by_removal_and_update_is_not_merged_with_the_old_one() -> None:
    """Akka's documentation warns of this in so many words; one context for the map and all in it makes it safe."""
    a, b = same_start("ORMap", ("update", ("b", "GSet", "add", "B")))
    a.remove("b")
    a.update("b", "GSet", "add", "B2")
    assert {"b": {"GSet": ("B2",)}} == meet(a, b)


def test_map_removal_resets_fields_of_fields_and_spares_what_is_concurrent() -> None:
    start = [("update", ("m", "ORMap", "update", key, "ExactCounter", "increment", 5)) for key in ("x", "y")]
    a, b = same_start("ORMap", *start)
    a.remove("m")
    b.update("m", "ORMap", "update", "x", "ExactCounter", "increment", 1)
    assert {"m": {"ORMap": {"x": {"ExactCounter": 1}}}} == meet(a, b)


def test_map_field_of_one_name_and_two_types_is_two_fields() -> None:
    a, b = replicas("ORMap")
    a.update("f", "PNCounter", "increment", 3)
    b.update("f", "ORSet", "add", "x")
    assert {"f": {"PNCounter": 3, "ORSet": ("x",)}} == meet(a, b)
    a.remove("f", "PNCounter")
    assert {"f": {"ORSet": ("x",)}} == meet(a, b)


# --- multimap and counter map: Akka's ORMultiMap and PNCounterMap


def test_multimap_removal_of_a_binding_holds_although_another_is_added_concurrently() -> None:
    """Akka's suite documents that the removal may be lost."""
    a, b = same_start("ORMultiMap", ("add_binding", ("a", "A")))
    a.remove_binding("a", "A")
    b.add_binding("a", "B")
    assert {"a": ("B",)} == meet(a, b)


def test_multimap_key_removed_where_only_the_own_binding_was_seen_keeps_the_other() -> None:
    a, b = replicas("ORMultiMap")
    a.add_binding("b", "B1")
    b.add_binding("b", "B2")
    b.remove("b")
    assert {"b": ("B1",)} == meet(a, b)


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([("put", ("b", ("B2",))), ("add_binding", ("b", "B3"))], ("B2", "B3")),
        ([("put", ("b", ("B2",))), ("put", ("b", ("B3",)))], ("B3",)),
        ([("add_binding", ("b", "B3")), ("put", ("b", ("B4",)))], ("B4",)),
        ([("add_binding", ("b", "B3")), ("add_binding", ("b", "B4"))], ("B", "B3", "B4")),
        ([("remove", ("b",)), ("add_binding", ("b", "B2"))], ("B2",)),
        ([("put", ("b", ("B", "B2"))), ("remove_binding", ("b", "B"))], ("B2",)),
    ],
)
def test_multimap_deltas_joined_before_they_are_sent_do_what_they_do_one_by_one(
    acts: list[tuple[str, tuple[PlainValue, ...]]], expected: PlainValue
) -> None:
    a, b, c = same_start("ORMultiMap", ("put", ("a", ("A",))), ("put", ("b", ("B",))), count=3)
    made = [getattr(a, operation)(*arguments) for operation, arguments in acts]
    together = made[0]
    for each in made[1:]:
        together = deltas.join(registry.get("ORMultiMap"), together, each)
    b.takes(together)
    c.takes(*made)
    assert {"a": ("A",), "b": expected} == a.value == b.value == c.value
    assert a.state.encode() == b.state.encode() == c.state.encode()


def test_counter_map_keys_of_both_sides_add_up_and_a_removed_one_stays_away() -> None:
    a, b = replicas("PNCounterMap")
    for key, amount in (("a", 1), ("b", 3), ("c", 2)):
        a.increment(key, amount)
    b.takes(a)
    b.increment("b", 10)
    b.decrement("d", 4)
    a.remove("a")
    assert {"b": 13, "c": 2, "d": -4} == meet(a, b)


def test_lww_map_put_survives_a_concurrent_removal_and_the_later_put_wins() -> None:
    a, b = same_start("LWWMap", ("put", ("k", "old")), ("put", ("l", 1)))
    a.remove("k")
    b.put("k", "new")
    b.put("l", 2)
    b.put("l", 3)
    a.put("l", 9)
    assert {"k": "new", "l": 3} == meet(a, b)


# --- documents: Automerge, Yjs


def test_document_element_set_by_one_and_deleted_by_another_stays_with_what_was_set() -> None:
    a, b = same_start("JsonDocument", ("set", ((), {"l": ["one", "two", "three"]})))
    a.set(("l", 1), "zwei")
    b.delete(("l", 1))
    assert {"l": ["one", "zwei", "three"]} == _lists(meet(a, b))


def test_document_element_put_beside_a_deleted_one_stays_in_its_place() -> None:
    a, b = same_start("JsonDocument", ("set", ((), {"l": ["a", "b", "c"]})))
    a.delete(("l", 1))
    a.delete(("l", 0))
    b.insert(("l",), 1, "x")
    b.insert(("l",), 3, "y")
    assert {"l": ["x", "y", "c"]} == _lists(meet(a, b))


def test_document_element_deleted_by_both_takes_nothing_else_with_it() -> None:
    a, b = same_start("JsonDocument", ("set", ((), {"l": ["a", "b", "c"]})))
    a.delete(("l", 1))
    b.delete(("l", 1))
    b.delete(("l", 0))
    assert {"l": ["c"]} == _lists(meet(a, b))


def test_document_rows_inserted_at_one_place_by_three_stay_whole() -> None:
    a, b, c = same_start("JsonDocument", ("set", ((), {"l": ["(", ")"]})), count=3)
    for letter, replica in zip("abc", (a, b, c), strict=True):
        for number in range(3):
            replica.insert(("l",), 1 + number, f"{letter}{number}")
    read = _lists(meet(a, b, c))["l"]
    assert 11 == len(read)
    for letter in "abc":
        first = read.index(f"{letter}0")
        assert [f"{letter}{number}" for number in range(3)] == read[first : first + 3]


def test_document_nested_object_made_by_both_under_one_key_is_one_object() -> None:
    """Automerge keeps one of the two and hides the other; here objects under one key are the same object."""
    a, b = replicas("JsonDocument")
    a.set(("config",), {"background": "blue"})
    b.set(("config",), {"logo": "logo.png"})
    assert {"config": {"background": "blue", "logo": "logo.png"}} == meet(a, b)


def test_document_field_written_in_an_object_that_another_deletes_survives() -> None:
    """Automerge lets the deletion win."""
    a, b = same_start("JsonDocument", ("set", ((), {"birds": {"robin": 1, "wren": 2}})))
    a.delete(("birds",))
    b.set(("birds", "robin"), 3)
    assert {"birds": {"robin": 3}} == meet(a, b)


def test_text_inserted_into_what_another_deletes_stays() -> None:
    pytest.importorskip("pycrdt")
    a, b = same_start("Text", ("insert", (0, "hello world")))
    a.delete(0, 11)
    b.insert(5, " new")
    assert " new" == str(meet(a, b))


def test_text_deleted_twice_is_deleted_once() -> None:
    pytest.importorskip("pycrdt")
    a, b = same_start("Text", ("insert", (0, "abcdef")))
    a.delete(1, 3)
    b.delete(2, 3)
    assert "af" == str(meet(a, b))


def _lists(value: Any) -> Any:
    """Sequences as lists, for comparison."""
    return {key: list(held) if isinstance(held, tuple | list) else held for key, held in value.items()}
