"""Grow-only, exact, multi-value, flag and remove-wins types: the anomalies that each is there to avoid."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import Operation, ReplicaTable, State, registry

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
