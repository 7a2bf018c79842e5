"""ORMultiMap: who wins, by name."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import OR_MULTI_MAP, InvalidOperation, InvalidValue, Operation, ReplicaTable, State
from crdtmesh.crdts.nested import Nested


def pair(*held: object) -> tuple[State[Nested], State[Nested]]:
    """Two replicas that both hold these values under "k"."""
    table = ReplicaTable()
    a, b = (State(OR_MULTI_MAP, table, replica_id=each * 16) for each in (b"a", b"b"))
    a.apply(Operation("put", ("k", list(held))))  # type: ignore[arg-type]  # they are plain
    exchange(a, b)
    return a, b


def exchange(a: State[Nested], b: State[Nested]) -> None:
    a.join(b)
    b.join(a)
    assert a == b


def test_put_spares_the_bindings_that_stay_so_that_their_concurrent_removal_holds() -> None:
    a, b = pair("x", "y")
    a.apply(Operation("put", ("k", ["y", "z"])))
    b.apply(Operation("add_binding", ("k", "w")))
    b.apply(Operation("remove_binding", ("k", "y")))
    exchange(a, b)
    assert {"k": ("w", "z")} == a.value


def test_put_makes_one_dot_for_each_difference_and_none_for_what_stays() -> None:
    a, _ = pair("x", "y")
    known = a.context
    delta = a.apply(Operation("put", ("k", ["y", "z"])))
    assert delta is not None
    assert 2 == len(delta.context.difference(known))
    assert 3 == len(delta.context)


def test_put_of_what_is_there_has_no_effect_and_takes_no_dot() -> None:
    a, _ = pair("x", "y")
    known = a.context
    assert a.apply(Operation("put", ("k", ["y", "x", "y"]))) is None
    assert a.apply(Operation("put", ("l", []))) is None
    assert known == a.context


def test_concurrent_puts_leave_the_values_of_both() -> None:
    a, b = pair("x")
    a.apply(Operation("put", ("k", ["of a"])))
    b.apply(Operation("put", ("k", ["of b"])))
    exchange(a, b)
    assert {"k": ("of a", "of b")} == a.value


def test_key_whose_last_binding_is_gone_is_absent() -> None:
    a, b = pair("x")
    a.apply(Operation("remove_binding", ("k", "x")))
    exchange(a, b)
    assert {} == b.value
    b.apply(Operation("put", ("k", ["y"])))
    b.apply(Operation("put", ("k", [])))
    assert {} == b.value
    assert OR_MULTI_MAP.is_bottom(b.delta().store)


def test_removal_of_a_key_spares_a_binding_that_it_has_not_seen() -> None:
    a, b = pair("x", "y")
    a.apply(Operation("remove", ("k",)))
    b.apply(Operation("add_binding", ("k", "y")))
    exchange(a, b)
    assert {"k": ("y",)} == a.value


def test_values_that_python_holds_equal_are_four_bindings() -> None:
    a, _ = pair(True, 1, 1.0, "1")
    a.apply(Operation("remove_binding", ("k", 1)))
    assert isinstance(a.value, dict)
    assert sorted(map(repr, (True, 1.0, "1"))) == sorted(map(repr, a.value["k"]))


def test_wrong_use_says_what_to_call_and_takes_no_dot() -> None:
    a, _ = pair("x")
    known = a.context
    with pytest.raises(InvalidOperation, match="call add_binding"):
        a.apply(Operation("put", ("k", "text")))
    with pytest.raises(InvalidValue, match="NaN"):
        a.apply(Operation("put", ("k", ["y", float("nan")])))
    with pytest.raises(InvalidOperation, match="takes text as a key"):
        a.apply(Operation("add_binding", (1, "x")))
    with pytest.raises(InvalidOperation, match="did you mean 'add_binding'"):
        a.apply(Operation("add_bindings", ("k", "x")))
    assert known == a.context
