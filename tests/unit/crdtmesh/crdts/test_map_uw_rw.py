"""UWMap and RWMap beside ORMap: what a removal does to updates that it has not seen, by name."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import OR_MAP, RW_MAP, UW_MAP, InvalidOperation, Operation, PlainValue, ReplicaTable, State
from crdtmesh.crdts.base import DataType
from crdtmesh.crdts.nested import Nested
from crdtmesh.crdts.values import VALUE_SIZE_BYTES_MAX

MAPS = [pytest.param(each, id=each.name) for each in (OR_MAP, UW_MAP, RW_MAP)]


def add(element: PlainValue, key: str = "k") -> Operation:
    return Operation("update", (key, "ORSet", "add", element))


REMOVE = Operation("remove", ("k",))


def states(data_type: DataType[Nested], count: int = 2) -> list[State[Nested]]:
    table = ReplicaTable()
    return [State(data_type, table, replica_id=bytes([number]) * 16) for number in range(1, count + 1)]


def exchange(*replicas: State[Nested]) -> None:
    for _ in range(2):
        for replica in replicas:
            for other in replicas:
                replica.join(other)
    assert all(replica == replicas[0] for replica in replicas)


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [
        pytest.param(OR_MAP, {"k": {"ORSet": ("new",)}}, id="ORMap keeps the update alone"),
        pytest.param(UW_MAP, {"k": {"ORSet": ("new", "old")}}, id="UWMap keeps what the update builds on"),
        pytest.param(RW_MAP, {}, id="RWMap keeps nothing"),
    ],
)
def test_removal_of_a_key_while_somebody_updates_it(data_type: DataType[Nested], expected: PlainValue) -> None:
    a, b = states(data_type)
    a.apply(add("old"))
    exchange(a, b)
    a.apply(add("new"))
    b.apply(REMOVE)
    exchange(a, b)
    assert expected == a.value


@pytest.mark.parametrize("data_type", MAPS)
def test_key_is_usable_again_after_its_removal_and_late_states_bring_nothing_back(data_type: DataType[Nested]) -> None:
    a, b = states(data_type)
    a.apply(add("old"))
    late = a.delta()
    b.join(a)
    b.apply(REMOVE)
    b.apply(add("new"))
    b.join(late)
    exchange(a, b)
    assert {"k": {"ORSet": ("new",)}} == a.value


@pytest.mark.parametrize("data_type", MAPS)
def test_concurrent_updates_of_one_value_are_both_in(data_type: DataType[Nested]) -> None:
    a, b = states(data_type)
    a.apply(add("old"))
    exchange(a, b)
    a.apply(add("of a"))
    b.apply(Operation("update", ("k", "ORSet", "remove", "old")))
    exchange(a, b)
    assert {"k": {"ORSet": ("of a",)}} == a.value


def test_update_wins_survives_the_value_made_anew_after_the_removal_too() -> None:
    a, b = states(UW_MAP)
    a.apply(add("old"))
    exchange(a, b)
    a.apply(add("of a"))
    b.apply(REMOVE)
    b.apply(add("of b"))
    exchange(a, b)
    assert {"k": {"ORSet": ("old", "of a", "of b")}} == a.value


def test_update_wins_keeps_what_its_own_removals_took_out() -> None:
    """The emptied value says which elements are gone; without that a concurrent update would bring them back."""
    a, b = states(UW_MAP)
    a.apply(add("old"))
    exchange(a, b)
    a.apply(Operation("update", ("k", "ORSet", "remove", "old")))
    assert {} == a.value
    b.apply(add("new"))
    exchange(a, b)
    assert {"k": {"ORSet": ("new",)}} == a.value
    a.apply(REMOVE)
    assert UW_MAP.is_bottom(a.delta().store)


def test_update_that_wins_leaves_one_content_in_place_of_those_it_has_seen() -> None:
    a, b = states(UW_MAP)
    a.apply(add("of a"))
    b.apply(add("of b"))
    exchange(a, b)
    assert 2 == len(list(UW_MAP.dots(a.delta().store)))
    a.apply(add("of both"))
    assert 1 == len(list(UW_MAP.dots(a.delta().store)))


def test_beaten_update_does_not_come_back_with_a_later_one() -> None:
    a, b = states(RW_MAP)
    a.apply(add("beaten"))
    b.apply(REMOVE)
    b.apply(add("late"))
    exchange(a, b)
    assert {"k": {"ORSet": ("late",)}} == a.value
    a.apply(add("later"))
    exchange(a, b)
    assert {"k": {"ORSet": ("late", "later")}} == b.value


def test_removal_of_an_absent_key_beats_updates_elsewhere() -> None:
    a, b = states(RW_MAP)
    assert b.apply(REMOVE) is not None
    a.apply(add("x"))
    exchange(a, b)
    assert {} == a.value


def test_update_counts_only_if_it_has_seen_every_removal_that_stands() -> None:
    a, b, c = states(RW_MAP, 3)
    a.apply(REMOVE)
    b.apply(REMOVE)
    c.join(a)
    c.apply(add("has seen one"))
    exchange(a, b, c)
    assert {} == a.value
    a.apply(add("has seen both"))
    exchange(a, b, c)
    assert {"k": {"ORSet": ("has seen both",)}} == c.value


def test_update_that_arrives_before_the_removal_it_has_seen_waits_for_it() -> None:
    a, b, c = states(RW_MAP, 3)
    a.apply(REMOVE)
    b.join(a)
    second = b.apply(REMOVE)
    update = b.apply(add("x"))
    assert second is not None
    assert update is not None
    c.join(a)
    c.join(update)
    assert {} == c.value
    c.join(second)
    assert {"k": {"ORSet": ("x",)}} == c.value


def test_own_update_that_was_beaten_stays_beaten_when_the_removal_is_forgotten() -> None:
    a, b, c = states(RW_MAP, 3)
    a.apply(Operation("update", ("k", "ExactCounter", "increment", 5)))
    b.apply(REMOVE)
    a.join(b)
    c.join(b)
    a.apply(Operation("update", ("k", "ExactCounter", "increment", 1)))
    c.apply(Operation("reset"))
    exchange(a, b, c)
    assert {"k": {"ExactCounter": 1}} == b.value


def test_reset_forgets_removals_and_removes_nothing_it_has_not_seen() -> None:
    a, b = states(RW_MAP)
    a.apply(REMOVE)
    a.apply(Operation("reset"))
    assert RW_MAP.is_bottom(a.delta().store)
    b.apply(add("x"))
    exchange(a, b)
    assert {"k": {"ORSet": ("x",)}} == a.value


@pytest.mark.parametrize("kind", ["PNCounter", "GCounter", "PNCounterMap", "Vote"])
def test_update_wins_refuses_sums_at_any_depth_and_says_what_to_take(kind: str) -> None:
    (a,) = states(UW_MAP, 1)
    for way in ((), ("ORMap", "update", "l"), ("RWMap", "update", "l")):
        with pytest.raises(InvalidOperation, match="take an ExactCounter"):
            a.apply(Operation("update", ("k", *way, kind, "increment", 1)))
    assert not a.context


def test_update_wins_refuses_texts_at_any_depth_and_says_what_to_take() -> None:
    """Whoever removed the key and wrote on would number new characters like old ones that a content brings back.

    One of the two would be lost in each replica, although nobody had removed it.
    """
    (a,) = states(UW_MAP, 1)
    for way in ((), ("ORMap", "update", "l"), ("RWMap", "update", "l")):
        with pytest.raises(InvalidOperation, match="take an ORMap"):
            a.apply(Operation("update", ("k", *way, "Text", "insert", 0, "x")))
    assert not a.context


def test_update_wins_refuses_a_content_that_fits_no_frame_before_a_dot_is_taken() -> None:
    (a,) = states(UW_MAP, 1)
    a.apply(add("x" * (VALUE_SIZE_BYTES_MAX - 1_000)))
    known = a.context
    with pytest.raises(InvalidOperation, match="split it over several keys"):
        a.apply(add("y" * 1_000))
    assert known == a.context


@pytest.mark.parametrize("data_type", MAPS)
def test_wrong_use_says_what_to_call_instead_and_takes_no_dot(data_type: DataType[Nested]) -> None:
    (a,) = states(data_type, 1)
    for operation, message in (
        (Operation("put", ("k", "GSet", ())), "call update, and remove before it"),
        (Operation("update", ("k", "BoundedCounter", "increment", 1)), "keep it as a state of its own"),
        (Operation("update", ("k", "Nothing", "add", 1)), "no data type 'Nothing'"),
        (Operation("update", ("k", data_type.name, "update") * 4 + ("k", "EWFlag")), "nest up to 4 deep"),
        (Operation("update", (1, "ORSet", "add", 1)), "takes text as a key"),
        (Operation("remove", (1,)), "takes text as a key"),
    ):
        with pytest.raises(InvalidOperation, match=message):
            a.apply(operation)
    assert not a.context
