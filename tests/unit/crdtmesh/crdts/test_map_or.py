"""ORMap: the anomalies of nesting, by name."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import OR_MAP, InvalidOperation, InvalidValue, Operation, ReplicaTable, State
from crdtmesh.crdts.nested import Nested

A, B = b"a" * 16, b"b" * 16


def pair() -> tuple[State[Nested], State[Nested]]:
    table = ReplicaTable()
    return State(OR_MAP, table, replica_id=A), State(OR_MAP, table, replica_id=B)


def exchange(a: State[Nested], b: State[Nested]) -> None:
    a.join(b)
    b.join(a)
    assert a == b


def test_counter_of_a_deleted_key_starts_anew_whatever_arrives_late() -> None:
    a, b = pair()
    a.apply(Operation("update", ("k", "PNCounter", "increment", 5)))
    late = a.delta()
    b.join(a)
    b.apply(Operation("remove", ("k",)))
    b.apply(Operation("update", ("k", "PNCounter", "increment", 1)))
    b.join(late)
    exchange(a, b)
    assert {"k": {"PNCounter": 1}} == a.value


def test_update_concurrent_with_a_removal_keeps_only_its_own_part() -> None:
    a, b = pair()
    a.apply(Operation("update", ("k", "ORMap", "update", "s", "ORSet", "add", "old")))
    exchange(a, b)
    b.apply(Operation("remove", ("k",)))
    a.apply(Operation("update", ("k", "ORMap", "update", "s", "ORSet", "add", "new")))
    exchange(a, b)
    assert {"k": {"ORMap": {"s": {"ORSet": ("new",)}}}} == b.value


def test_one_key_made_with_two_types_keeps_both() -> None:
    a, b = pair()
    a.apply(Operation("update", ("k", "ORSet", "add", 1)))
    b.apply(Operation("update", ("k", "PNCounter", "increment", 1)))
    exchange(a, b)
    assert {"k": {"ORSet": (1,), "PNCounter": 1}} == a.value


def test_wrong_nested_use_is_refused_before_a_dot_is_taken() -> None:
    a, _ = pair()
    deep = ("k", "ORMap", "update") * 4 + ("k", "EWFlag")
    for arguments in (("k", "Nothing", "add", 1), ("k", "ORSet", "increment", 1), (1, "ORSet", "add", 1), deep):
        with pytest.raises(InvalidOperation):
            a.apply(Operation("update", arguments))
    value: object = 1
    for _ in range(25):
        value = [value]
    with pytest.raises(InvalidValue, match="nested deeper"):
        a.apply(Operation("update", ("k", "ORSet", "add", value)))  # type: ignore[arg-type]  # it is plain
    assert not a.context
