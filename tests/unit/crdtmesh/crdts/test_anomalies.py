"""The known anomalies of replicated data types, each with our answer. Names follow the sheet of anomalies."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import (
    DW_FLAG,
    EW_FLAG,
    G_SET,
    LWW_MAP,
    MV_REGISTER,
    OR_MAP,
    OR_SET,
    PN_COUNTER,
    VOTE,
    Operation,
    ReplicaTable,
    State,
)
from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.clock import DRIFT_MS_MAX, HybridClock
from crdtmesh.crdts.register_lww import LWW_REGISTER

TABLE = ReplicaTable()


def pair(data_type: DataType[Any]) -> tuple[State[Any], State[Any]]:
    return State(data_type, TABLE, replica_id=b"a" * 16), State(data_type, TABLE, replica_id=b"b" * 16)


def exchange(a: State[Any], b: State[Any]) -> None:
    a.join(b)
    b.join(a)
    assert a == b


def test_removed_element_does_not_come_back_with_an_old_state() -> None:
    a, b = pair(OR_SET)
    a.apply(Operation("add", ("milk",)))
    exchange(a, b)
    old = b.delta()
    b.apply(Operation("remove", ("milk",)))
    b.join(old)
    exchange(a, b)
    assert () == a.value


def test_element_behind_a_gap_does_not_vanish() -> None:
    a, b = pair(OR_SET)
    milk = a.apply(Operation("add", ("milk",)))
    eggs = a.apply(Operation("add", ("eggs",)))
    assert milk is not None
    assert eggs is not None
    b.join(eggs)
    exchange(a, b)
    b.join(milk)
    assert ("eggs", "milk") == b.value


def test_two_elements_of_one_turn_are_removed_one_by_one() -> None:
    a, b = pair(OR_SET)
    for element in ("milk", "eggs"):
        a.apply(Operation("add", (element,)))
    exchange(a, b)
    b.apply(Operation("remove", ("milk",)))
    exchange(a, b)
    assert ("eggs",) == a.value


def test_add_wins_over_a_concurrent_removal() -> None:
    a, b = pair(OR_SET)
    a.apply(Operation("add", ("milk",)))
    exchange(a, b)
    a.apply(Operation("remove", ("milk",)))
    b.apply(Operation("add", ("milk",)))
    exchange(a, b)
    assert ("milk",) == a.value


def test_clear_spares_what_it_has_not_seen() -> None:
    a, b = pair(OR_SET)
    a.apply(Operation("add", ("milk",)))
    exchange(a, b)
    a.apply(Operation("clear"))
    b.apply(Operation("add", ("eggs",)))
    exchange(a, b)
    assert ("eggs",) == a.value


def test_counter_survives_a_concurrent_reset_with_its_old_value() -> None:
    a, b = pair(PN_COUNTER)
    a.apply(Operation("increment", (5,)))
    exchange(a, b)
    b.apply(Operation("reset"))
    a.apply(Operation("increment"))
    exchange(a, b)
    assert 6 == a.value


def test_counter_of_a_removed_key_survives_with_its_old_value_only_where_it_keeps_sums() -> None:
    for kind, expected in (("PNCounter", 6), ("ExactCounter", 1)):
        a, b = pair(OR_MAP)
        a.apply(Operation("update", ("k", kind, "increment", 5)))
        exchange(a, b)
        b.apply(Operation("remove", ("k",)))
        a.apply(Operation("update", ("k", kind, "increment", 1)))
        exchange(a, b)
        assert {"k": {kind: expected}} == a.value


def test_value_replaced_under_a_key_is_not_merged_with_the_old_one() -> None:
    a, b = pair(OR_MAP)
    a.apply(Operation("update", ("k", "GSet", "add", "old")))
    late = a.delta()
    exchange(a, b)
    b.apply(Operation("remove", ("k",)))
    b.apply(Operation("update", ("k", "GSet", "add", "new")))
    b.join(late)
    exchange(a, b)
    assert {"k": {"GSet": ("new",)}} == a.value


def test_increments_after_a_restart_under_a_fresh_replica_id_are_not_lost() -> None:
    before, other = pair(PN_COUNTER)
    before.apply(Operation("increment", (5,)))
    other.join(before)
    after = State(PN_COUNTER, TABLE, replica_id=b"c" * 16)
    after.apply(Operation("increment", (1,)))
    exchange(after, other)
    assert 6 == after.value


def test_increments_after_a_restart_under_the_old_replica_id_would_be_lost() -> None:
    """Why a node takes a fresh id at every start: `replica` refuses the old one."""
    before, other = pair(PN_COUNTER)
    before.apply(Operation("increment", (5,)))
    other.join(before)
    reused = State(PN_COUNTER, TABLE, replica_id=b"a" * 16)
    reused.apply(Operation("increment", (1,)))
    exchange(reused, other)
    assert 5 == reused.value


def test_part_of_a_replica_that_left_counts_once_however_it_arrives() -> None:
    a, b = pair(PN_COUNTER)
    gone = State(PN_COUNTER, TABLE, replica_id=b"c" * 16)
    gone.apply(Operation("increment", (5,)))
    early = gone.delta()
    gone.apply(Operation("increment", (2,)))
    for state, arriving in ((a, gone.delta()), (b, early)):
        state.join(arriving)
        state.apply(Operation("increment", (1,)))
    for _ in range(2):
        a.join(b)
        b.join(a)
        a.join(early)
    assert 9 == a.value
    assert 9 == b.value
    b.apply(Operation("reset"))
    a.join(b)
    a.join(gone)
    assert 0 == a.value


def test_counter_does_not_count_twice_where_a_delta_was_lost() -> None:
    a, b = pair(PN_COUNTER)
    first, _, third = (a.apply(Operation("increment")) for _ in range(3))
    assert first is not None
    assert third is not None
    b.join(first)
    b.join(third)
    assert 3 == b.value


def test_counter_goes_below_zero_under_concurrent_decrements() -> None:
    a, b = pair(PN_COUNTER)
    a.apply(Operation("increment"))
    exchange(a, b)
    a.apply(Operation("decrement"))
    b.apply(Operation("decrement"))
    exchange(a, b)
    assert -1 == a.value


def test_later_write_wins_over_a_clock_that_is_behind() -> None:
    a, b = pair(LWW_REGISTER)
    a.apply(Operation("set", ("first",)), now_ms=9_000)
    exchange(a, b)
    b.apply(Operation("set", ("second",)), now_ms=5_000)
    exchange(a, b)
    assert "second" == a.value


def test_concurrent_writes_of_one_instant_end_equal() -> None:
    a, b = pair(LWW_REGISTER)
    a.apply(Operation("set", ("of a",)), now_ms=5)
    b.apply(Operation("set", ("of b",)), now_ms=5)
    exchange(a, b)
    assert "of b" == a.value == b.value


def test_register_with_a_stamp_from_the_future_stays_writable() -> None:
    a, b = pair(LWW_REGISTER)
    a.apply(Operation("set", ("poison",)), now_ms=DRIFT_MS_MAX * 1_000)
    b.join(a, now_ms=5)
    b.apply(Operation("set", ("cure",)), now_ms=6)
    exchange(a, b)
    assert "cure" == a.value


def test_write_is_stamped_above_the_stored_stamp_even_beyond_the_drift_guard() -> None:
    a, b = pair(LWW_REGISTER)
    poison = a.apply(Operation("set", ("poison",)), now_ms=DRIFT_MS_MAX * 1_000)
    b.join(a, now_ms=5)
    cure = b.apply(Operation("set", ("cure",)), now_ms=6)
    assert poison is not None
    assert cure is not None
    assert max(poison.store.values()) < max(cure.store.values())


def test_stored_none_differs_from_nothing() -> None:
    a, b = pair(LWW_REGISTER)
    a.apply(Operation("set", (None,)))
    assert (None, None) == (a.value, b.value)
    assert not LWW_REGISTER.is_bottom(a.delta().store)
    assert LWW_REGISTER.is_bottom(b.delta().store)


def test_delta_that_arrives_twice_counts_once() -> None:
    a, b = pair(PN_COUNTER)
    delta = a.apply(Operation("increment", (5,)))
    assert delta is not None
    b.join(delta)
    assert not b.join(delta)
    assert 5 == b.value


def test_value_handed_out_is_no_door_to_the_state() -> None:
    a, _ = pair(LWW_REGISTER)
    mutable: dict[str, Any] = {"items": [1]}
    a.apply(Operation("set", (mutable,)))
    mutable["items"].append(2)
    read = a.value
    assert isinstance(read, dict)
    read["items"] = "changed"
    assert {"items": (1,)} == a.value


@pytest.mark.parametrize(
    ("data_type", "operation"),
    [
        pytest.param(EW_FLAG, Operation("enable"), id="EWFlag"),
        pytest.param(DW_FLAG, Operation("disable"), id="DWFlag"),
        pytest.param(G_SET, Operation("add", ("x",)), id="GSet"),
        pytest.param(LWW_MAP, Operation("put", ("k", "x")), id="LWWMap"),
        pytest.param(LWW_REGISTER, Operation("set", ("x",)), id="LWWRegister"),
        pytest.param(MV_REGISTER, Operation("set", ("x",)), id="MVRegister"),
        pytest.param(OR_SET, Operation("add", ("x",)), id="ORSet"),
        pytest.param(PN_COUNTER, Operation("increment"), id="PNCounter"),
    ],
)
def test_writes_of_one_replica_leave_one_live_dot(data_type: DataType[Any], operation: Operation) -> None:
    a, b = pair(data_type)
    for _ in range(3):
        a.apply(operation)
        exchange(a, b)
    assert 1 == len(list(data_type.dots(b.delta().store)))


def test_ballot_takes_the_place_of_the_one_before_it() -> None:
    a, b = pair(VOTE)
    for ballot in (True, False, True):
        a.apply(Operation("vote", (ballot,)))
        exchange(a, b)
    assert 1 == len(list(VOTE.dots(b.delta().store)))


def test_one_dot_with_two_contents_reads_the_greater_in_either_order_of_arrival() -> None:
    """A replica id used twice brings this about; a restored copy of a disk is the usual way."""
    mine, _ = pair(PN_COUNTER)
    twin, _ = pair(PN_COUNTER)
    for state, amount in ((mine, 1), (twin, 5)):
        state.apply(Operation("increment", (amount,)))
    a, b = mine.delta(), twin.delta()
    for first, second in ((a, b), (b, a)):
        joined = PN_COUNTER.join(first.store, first.context, second.store, second.context)
        absorbed, _ = PN_COUNTER.absorb(PN_COUNTER.copy(first.store), first.context, second)
        assert 5 == PN_COUNTER.value(joined) == PN_COUNTER.value(absorbed)


def test_own_siblings_behind_a_gap_count_once() -> None:
    for data_type, operations, expected in (
        (PN_COUNTER, [Operation("increment")] * 3, 3),
        (VOTE, [Operation("vote", (ballot,)) for ballot in (False, True, False)], {"against": 1, "for": 0}),
    ):
        for order in ((0, 2), (2, 0)):
            a, b = pair(data_type)
            sent = [a.apply(operation) for operation in operations]
            for index in order:
                delta = sent[index]
                assert delta is not None
                b.join(delta)
            assert expected == b.value


def test_newest_own_sibling_behind_a_gap_is_the_one_that_counts() -> None:
    a, b = pair(VOTE)
    sent = [a.apply(Operation("vote", (ballot,))) for ballot in (True, False)]
    sent += [a.apply(Operation("withdraw")), a.apply(Operation("vote", (False,)))]
    for index in (3, 0):
        delta = sent[index]
        assert delta is not None
        b.join(delta)
    assert {"against": 1, "for": 0} == b.value


def _large_set_with_index() -> tuple[State[Any], State[Any]]:
    a, b = pair(OR_SET)
    for number in range(40):
        a.apply(Operation("add", (number,)))
    b.join(a)
    _removed(a, b, 0)
    return a, b


def _removed(a: State[Any], b: State[Any], element: int) -> Any:
    """The removal of an element at b, taken in by a."""
    delta = b.apply(Operation("remove", (element,)))
    assert delta is not None
    a.join(delta)
    return delta


def test_removal_that_arrives_twice_at_a_large_set_changes_nothing_more() -> None:
    a, b = _large_set_with_index()
    delta = _removed(a, b, 7)
    assert not a.join(delta)
    assert a == b


def test_copy_of_a_large_set_and_its_original_see_removals_each_for_itself() -> None:
    a, b = _large_set_with_index()
    delta = b.apply(Operation("remove", (7,)))
    assert delta is not None
    OR_SET.absorb(OR_SET.copy(a.delta().store), a.context, delta)
    copied = a.delta()
    OR_SET.absorb(copied.store, copied.context, delta)
    a.join(delta)
    assert a == b


def test_write_elsewhere_is_ordered_after_what_its_replica_has_seen() -> None:
    a, _ = pair(LWW_REGISTER)
    clock = HybridClock(b"b" * 16)
    one, other = (State(LWW_REGISTER, TABLE, replica_id=b"b" * 16, clock=clock) for _ in range(2))
    delta = a.apply(Operation("set", ("x",)), now_ms=1_000)
    assert delta is not None
    one.join(delta, now_ms=10)
    later = other.apply(Operation("set", ("y",)), now_ms=10)
    assert later is not None
    seen, written = LWW_REGISTER.stamp(delta.store), LWW_REGISTER.stamp(later.store)
    assert seen is not None
    assert written is not None
    assert seen < written
