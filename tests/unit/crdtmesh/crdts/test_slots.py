"""First writes, extremes, two-phase sets, votes and bounded counters: what users must be able to rely on."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import (
    BOUNDED_COUNTER,
    FWW_REGISTER,
    MAX_REGISTER,
    MIN_REGISTER,
    TWO_PHASE_SET,
    VOTE,
    InsufficientRights,
    InvalidOperation,
    Operation,
    ReplicaTable,
    State,
)
from crdtmesh.crdts.base import DataType

A, B = b"a" * 16, b"b" * 16


def pair(data_type: DataType[Any]) -> tuple[State[Any], State[Any]]:
    table = ReplicaTable()
    return State(data_type, table, replica_id=A), State(data_type, table, replica_id=B)


def exchange(a: State[Any], b: State[Any]) -> None:
    a.join(b)
    b.join(a)
    assert a == b


def test_first_write_decides_and_a_later_one_is_no_event() -> None:
    a, b = pair(FWW_REGISTER)
    a.apply(Operation("set", ("red",)), now_ms=2)
    b.apply(Operation("set", ("blue",)), now_ms=1)
    exchange(a, b)
    assert "blue" == a.value
    assert a.apply(Operation("set", ("green",)), now_ms=0) is None


def test_stored_none_is_a_first_write() -> None:
    a, _ = pair(FWW_REGISTER)
    a.apply(Operation("set", (None,)))
    assert a.apply(Operation("set", ("late",))) is None


@pytest.mark.parametrize(("data_type", "least_first"), [(MAX_REGISTER, (1, 2)), (MIN_REGISTER, (2, 1))])
def test_extreme_of_a_deleted_life_does_not_come_back(data_type: DataType[Any], least_first: tuple[int, int]) -> None:
    weaker, stronger = least_first
    a, b = pair(data_type)
    a.apply(Operation("set", (stronger,)))
    exchange(a, b)
    old = a.delta()
    b.apply(Operation("clear"))
    b.apply(Operation("set", (weaker,)))
    b.join(old)
    exchange(a, b)
    assert weaker == a.value


@pytest.mark.parametrize("number", [True, "1", None, (1,), float("nan")])
def test_extreme_of_what_is_no_number_is_refused(number: Any) -> None:
    a, _ = pair(MAX_REGISTER)
    with pytest.raises(InvalidOperation):
        a.apply(Operation("set", (number,)))
    assert a.value is None


def test_equal_int_and_float_read_the_same_in_either_order_of_arrival() -> None:
    a, b = pair(MAX_REGISTER)
    a.apply(Operation("set", (1,)))
    b.apply(Operation("set", (1.0,)))
    exchange(a, b)
    assert float is type(a.value) is type(b.value)


def test_removal_of_an_unheard_element_wins_over_its_add() -> None:
    a, b = pair(TWO_PHASE_SET)
    a.apply(Operation("add", ("key",)))
    b.apply(Operation("remove", ("key",)))
    exchange(a, b)
    assert not a.value
    assert a.apply(Operation("add", ("key",))) is None
    a.apply(Operation("reset"))
    a.apply(Operation("add", ("key",)))
    assert ("key",) == a.value


def test_tally_counts_the_members_it_is_given_and_no_others() -> None:
    a, b = pair(VOTE)
    a.apply(Operation("vote", (True,)))
    b.apply(Operation("vote", (False,)))
    exchange(a, b)
    assert {"against": 1, "for": 1} == a.value
    store = a.delta().store
    tally = VOTE.tally(store, a.table, [A, b"c" * 16])
    assert (2, 1, 0) == (tally.members, tally.votes_for, tally.votes_against)
    assert (True, False, False) == (tally.is_any, tally.is_majority, tally.is_unanimous)
    assert VOTE.tally(store, a.table, [A]).is_unanimous
    assert not VOTE.tally(store, a.table, []).is_unanimous


def test_spending_beyond_the_own_rights_is_refused_and_names_who_could_give() -> None:
    a, b = pair(BOUNDED_COUNTER)
    a.apply(Operation("increment", (5,)))
    exchange(a, b)
    before = b.encode()
    with pytest.raises(InsufficientRights, match=f"{A.hex()} holds 5"):
        b.apply(Operation("decrement", (2,)))
    with pytest.raises(InsufficientRights):
        b.apply(Operation("transfer", (A.hex(), 1)))
    assert before == b.encode()
    assert b.apply(Operation("decrement", (0,))) is None


def test_concurrent_decrements_within_transferred_rights_stay_above_zero() -> None:
    a, b = pair(BOUNDED_COUNTER)
    a.apply(Operation("increment", (5,)))
    a.apply(Operation("transfer", (B.hex(), 2)))
    exchange(a, b)
    a.apply(Operation("decrement", (3,)))
    b.apply(Operation("decrement", (2,)))
    exchange(a, b)
    assert {"rights": {}, "value": 0} == a.value
    with pytest.raises(InsufficientRights, match="increment first"):
        a.apply(Operation("decrement"))


def test_decrement_that_arrives_before_its_transfer_reads_zero_and_not_less() -> None:
    a, b = pair(BOUNDED_COUNTER)
    for operation in (Operation("increment", (5,)), Operation("transfer", (B.hex(), 5))):
        a.apply(operation)
    b.join(a)
    spent = b.apply(Operation("decrement", (5,)))
    assert spent is not None
    third = State(BOUNDED_COUNTER, a.table, replica_id=b"c" * 16)
    third.join(spent)
    assert isinstance(third.value, dict)
    assert 0 == third.value["value"]
    third.join(a)
    assert {"rights": {}, "value": 0} == third.value


def test_rights_of_an_earlier_start_count_and_are_not_for_the_next_one() -> None:
    a, restarted = pair(BOUNDED_COUNTER)
    a.apply(Operation("increment", (3,)))
    restarted.join(a)
    assert {"rights": {A.hex(): 3}, "value": 3} == restarted.value
    with pytest.raises(InsufficientRights):
        restarted.apply(Operation("decrement"))


@pytest.mark.parametrize("receiver", [A.hex(), "b", "AB" * 16, B, "zz" * 16, None])
def test_transfer_to_oneself_or_to_no_replica_is_refused(receiver: Any) -> None:
    a, _ = pair(BOUNDED_COUNTER)
    a.apply(Operation("increment", (3,)))
    with pytest.raises(InvalidOperation, match="replica"):
        a.apply(Operation("transfer", (receiver, 1)))


def test_sums_of_a_replica_stay_within_47_bits() -> None:
    a, _ = pair(BOUNDED_COUNTER)
    a.apply(Operation("increment", ((1 << 47) - 1,)))
    with pytest.raises(InvalidOperation, match="47"):
        a.apply(Operation("increment"))
