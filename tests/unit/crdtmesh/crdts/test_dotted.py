"""Grow-only, exact, multi-value, flag and remove-wins types: the anomalies that each is there to avoid."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import InvalidOperation, InvalidValue, Operation, ReplicaTable, State, registry

A, B = b"a" * 16, b"b" * 16


def pair(name: str) -> tuple[State[Any], State[Any]]:
    table = ReplicaTable()
    return State(registry.get(name), table, replica_id=A), State(registry.get(name), table, replica_id=B)


def exchange(a: State[Any], b: State[Any]) -> None:
    a.join(b)
    b.join(a)
    assert a == b


@pytest.mark.parametrize(("name", "expected"), [("ExactCounter", 1), ("PNCounter", 6), ("GCounter", 6)])
def test_increment_concurrent_with_a_reset_survives_alone_only_in_the_exact_counter(name: str, expected: int) -> None:
    a, b = pair(name)
    a.apply(Operation("increment", (5,)))
    exchange(a, b)
    b.apply(Operation("reset"))
    a.apply(Operation("increment", (1,)))
    exchange(a, b)
    assert expected == a.value


def test_deleted_elements_of_a_grown_set_do_not_come_back() -> None:
    a, b = pair("GSet")
    a.apply(Operation("add", ("old",)))
    exchange(a, b)
    late = a.delta()
    b.apply(Operation("reset"))
    b.apply(Operation("add", ("new",)))
    b.join(late)
    assert ("new",) == b.value


def test_concurrent_values_are_kept_until_one_is_written_over_them() -> None:
    a, b = pair("MVRegister")
    a.apply(Operation("set", (1,)))
    b.apply(Operation("set", (True,)))
    exchange(a, b)
    assert 2 == len(a.value)  # type: ignore[arg-type]  # a tuple
    a.apply(Operation("set", ("both",)))
    exchange(a, b)
    assert ("both",) == b.value


def test_resolve_writes_what_is_made_of_concurrent_values_and_takes_no_dot_where_there_is_one() -> None:
    a, b = pair("MVRegister")
    a.apply(Operation("set", (3,)))
    b.apply(Operation("set", (5,)))
    exchange(a, b)
    delta = a.resolve(max)
    assert delta is not None
    assert (5,) == a.value
    before = a.encode()
    assert None is a.resolve(min)
    assert None is a.apply(Operation("resolve", ("late",)))
    assert before == a.encode()
    b.join(delta)
    assert (5,) == b.value


def test_resolve_of_one_value_written_twice_has_no_effect() -> None:
    a, b = pair("MVRegister")
    for state in (a, b):
        state.apply(Operation("set", ("x",)))
    exchange(a, b)
    assert None is a.apply(Operation("resolve", ("y",)))


def test_concurrent_resolutions_are_concurrent_writes() -> None:
    a, b = pair("MVRegister")
    a.apply(Operation("set", (1,)))
    b.apply(Operation("set", (2,)))
    exchange(a, b)
    a.resolve(sum)
    b.resolve(lambda found: -sum(found))
    exchange(a, b)
    assert (-3, 3) == tuple(sorted(a.value))  # type: ignore[arg-type,type-var]  # a tuple of numbers


def test_write_concurrent_with_a_resolution_is_kept_beside_it() -> None:
    a, b = pair("MVRegister")
    a.apply(Operation("set", (1,)))
    b.apply(Operation("set", (2,)))
    exchange(a, b)
    a.resolve(max)
    b.apply(Operation("set", ("new",)))
    exchange(a, b)
    assert (2, "new") == a.value


def test_only_a_register_that_keeps_concurrent_values_resolves() -> None:
    a, _ = pair("RWSet")
    with pytest.raises(InvalidOperation, match="RWSet has no operation 'resolve'"):
        a.resolve(max)


def test_what_cannot_be_held_is_no_resolution() -> None:
    a, b = pair("MVRegister")
    a.apply(Operation("set", (1,)))
    b.apply(Operation("set", (2,)))
    exchange(a, b)
    before = a.encode()
    with pytest.raises(InvalidValue):
        a.resolve(lambda found: float("nan"))
    assert before == a.encode()


@pytest.mark.parametrize(("name", "expected"), [("EWFlag", True), ("DWFlag", False)])
def test_flag_is_named_after_what_wins(name: str, expected: bool) -> None:
    a, b = pair(name)
    a.apply(Operation("enable"))
    exchange(a, b)
    a.apply(Operation("enable"))
    b.apply(Operation("disable"))
    exchange(a, b)
    assert expected is a.value


def test_removal_of_an_unknown_element_beats_a_concurrent_add_and_not_a_later_one() -> None:
    a, b = pair("RWSet")
    a.apply(Operation("add", ("x",)))
    b.apply(Operation("remove", ("x",)))
    exchange(a, b)
    assert () == a.value
    a.apply(Operation("add", ("x",)))
    exchange(a, b)
    assert ("x",) == b.value
