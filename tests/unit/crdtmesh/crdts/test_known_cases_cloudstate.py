"""Cases that Cloudstate's compatibility kit and its proxy hold as facts about their types, as facts about ours.

Written anew: `here` stands for the replica whose function is called, `there` for those whose deltas come in between.
Where ours answers otherwise, the case says so; docs/reference/types/README.md tells users.
"""

from __future__ import annotations

import pytest

from crdtmesh.crdts import VOTE, InvalidOperation, Operation, PlainValue
from tests.unit.crdtmesh.crdts.calls import Replica, meet, replicas, same_start


def change(counter: Replica, amount: int) -> None:
    counter.takes(counter.increment(amount) if amount > 0 else counter.decrement(-amount))


# --- counters and sets


def test_counter_adds_up_what_comes_from_here_and_from_there() -> None:
    here, there = replicas("GCounter")
    here.increment(1)
    here.takes(there.increment(2), there.increment(3))
    assert 6 == here.value
    here.increment(4)
    here.takes(there.increment(5))
    here.increment(6)
    assert 21 == meet(here, there)


@pytest.mark.parametrize("amount", [-1, 0.5, "1", True])
def test_grow_only_counter_takes_no_amount_that_is_no_natural_number(amount: PlainValue) -> None:
    (here,) = replicas("GCounter", 1)
    with pytest.raises(InvalidOperation):
        here.state.apply(Operation("increment", (amount,)))
    assert 0 == here.value


def test_counter_goes_below_zero_by_changes_of_either_sign_from_here_and_there() -> None:
    here, there = replicas("PNCounter")
    change(here, 1)
    change(there, -2)
    change(there, 3)
    assert 2 == here.takes(there).value
    change(here, -4)
    change(there, 5)
    change(here, -6)
    assert -3 == meet(here, there)


def test_element_that_came_from_there_is_no_news_here_for_a_grow_only_set() -> None:
    here, there = replicas("GSet")
    here.add("a")
    for element in "abc":
        here.takes(there.add(element))
    assert here.is_without_effect("add", "c")
    here.add("d")
    assert ("a", "b", "c", "d") == meet(here, there)


def test_adding_what_is_in_the_set_is_an_event_which_a_removal_elsewhere_does_not_undo() -> None:
    """For Cloudstate it is none; so a removal that crosses it wins there."""
    here, there = same_start("ORSet", ("add", ("a",)))
    assert not here.is_without_effect("add", "a")
    there.remove("a")
    assert ("a",) == meet(here, there)


def test_set_removes_what_is_there_and_nothing_for_what_is_not() -> None:
    here, there = same_start("ORSet", ("add", ("a",)), ("add", ("b",)), ("add", ("c",)))
    assert here.is_without_effect("remove", "d")
    here.takes(there.remove("b"), there.add("e"))
    here.remove("c")
    assert ("a", "e") == meet(here, there)
    here.clear()
    assert here.is_without_effect("clear")
    here.add("x")
    assert ("x",) == meet(here, there)


# --- the register and its clocks


def test_register_that_was_never_set_reads_nothing() -> None:
    """Cloudstate's function has to set one at once, as its protocol has no register without a value."""
    assert replicas("LWWRegister", 1)[0].value is None


def test_default_clock_is_the_wall_clock_or_just_beyond_the_last_write() -> None:
    here, there = replicas("LWWRegister")
    here.now_ms, there.now_ms = 2_000, 1_000
    here.set("one")
    there.takes(here).set("two")
    assert "two" == meet(here, there)


def test_reverse_clock_is_the_register_of_the_first_write() -> None:
    here, there = replicas("FWWRegister")
    here.now_ms, there.now_ms = 1_000, 2_000
    here.set("one")
    there.set("two")
    assert "one" == meet(here, there)
    assert there.is_without_effect("set", "three")


def test_custom_clock_that_runs_back_loses_nothing_that_has_seen_what_it_replaces() -> None:
    """Cloudstate's CUSTOM drops a write with a smaller number at once, its AUTO_INCREMENT writes on as ours does."""
    here, there = replicas("LWWRegister")
    here.now_ms = 1_000_000
    here.set("two")
    here.now_ms = 1_000
    here.set("three")
    assert "three" == meet(here, there)


def test_writes_of_one_time_are_decided_by_the_greater_replica_id() -> None:
    """By the lower address in Cloudstate."""
    here, there = replicas("LWWRegister")
    there.set("of b")
    here.set("of a")
    assert "of b" == meet(here, there)


# --- the flag


def test_flag_is_on_once_anybody_has_enabled_it() -> None:
    here, there = replicas("EWFlag")
    assert here.value is False
    there.enable()
    assert here.takes(there).value is True
    here.enable()
    assert meet(here, there) is True


def test_flag_may_be_switched_off_again() -> None:
    """Cloudstate's may not, and has no operation for it; who never calls `disable` has Cloudstate's."""
    here, there = same_start("EWFlag", ("enable", ()))
    here.disable()
    assert meet(here, there) is False


# --- the map


def test_map_holds_values_of_all_types_from_here_and_there_and_maps_within() -> None:
    here, there = replicas("ORMap")
    here.update("counter", "PNCounter", "increment", 42)
    for element in "xyz":
        there.update("set 1", "ORSet", "add", element)
    there.update("register", "LWWRegister", "set", "one")
    here.takes(there).update("register", "LWWRegister", "set", "ONE")
    there.update("map", "ORMap", "update", "counter", "PNCounter", "increment", 123)
    there.update("map", "ORMap", "update", "register", "LWWRegister", "set", "ABC")
    there.remove("set 1")
    here.takes(there).update("map", "ORMap", "update", "counter", "PNCounter", "decrement", 456)
    assert {
        "counter": {"PNCounter": 42},
        "map": {"ORMap": {"counter": {"PNCounter": -333}, "register": {"LWWRegister": "ABC"}}},
        "register": {"LWWRegister": "ONE"},
    } == meet(here, there)


def test_map_cleared_and_filled_anew_holds_only_what_came_after_and_what_was_concurrent() -> None:
    here, there = same_start("ORMap", ("update", ("old", "GCounter", "increment", 5)))
    here.clear()
    here.update("new", "GCounter", "increment", 123)
    there.update("other", "GSet", "add", "1")
    assert {"new": {"GCounter": 123}, "other": {"GSet": ("1",)}} == meet(here, there)


@pytest.mark.parametrize(("kind", "amount"), [("PNCounter", 5), ("GCounter", 3)])
def test_map_key_that_is_removed_and_used_for_another_counter_starts_at_zero(kind: str, amount: int) -> None:
    here, there = same_start("ORMap", ("update", ("k", "GCounter", "increment", 5)))
    here.remove("k")
    here.update("k", kind, "increment", amount)
    assert {"k": {kind: amount}} == meet(here, there)


def test_map_key_with_nothing_in_its_value_is_not_there() -> None:
    """Cloudstate shows a key from when it is added, with an empty value; here a key begins with its first content."""
    (here,) = replicas("ORMap", 1)
    assert here.is_without_effect("update", "counter", "PNCounter", "increment", 0)
    here.update("set", "ORSet", "add", "a")
    here.update("set", "ORSet", "remove", "a")
    assert {} == here.value


# --- the vote


def test_vote_counts_each_member_once_by_its_last_ballot() -> None:
    a, b, c = replicas("Vote", 3)
    members = [letter * 16 for letter in (b"a", b"b", b"c")]
    a.vote(True)
    b.vote(True)
    c.takes(a, b)
    assert c.is_without_effect("withdraw")
    c.vote(False)
    assert {"against": 1, "for": 2} == meet(a, b, c)
    a.vote(False)
    assert a.is_without_effect("vote", False)
    assert {"against": 2, "for": 1} == meet(a, b, c)
    tally = VOTE.tally(a.state.delta().store, a.state.table, members)
    assert (3, 1, True, False, False) == (
        tally.members,
        tally.votes_for,
        tally.is_any,
        tally.is_majority,
        tally.is_unanimous,
    )


def test_vote_of_a_member_that_left_does_not_count() -> None:
    a, b = replicas("Vote")
    a.vote(True)
    b.vote(True)
    meet(a, b)
    tally = VOTE.tally(a.state.delta().store, a.state.table, [b"a" * 16])
    assert (1, 1, True) == (tally.members, tally.votes_for, tally.is_unanimous)
    assert {"against": 0, "for": 2} == a.value
