"""Wrong use raises a typed error that says what to call instead, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import (
    DataTypeMismatch,
    InsufficientRights,
    InvalidOperation,
    InvalidValue,
    Operation,
    ReplicaTable,
    ReplicaTableMismatch,
    State,
    registry,
)


def state(type_name: str, table: ReplicaTable | None = None) -> State[Any]:
    return State(registry.get(type_name), table or ReplicaTable(), replica_id=b"a" * 16)


@pytest.mark.parametrize(
    ("type_name", "operation", "error", "advice"),
    [
        ("PNCounter", Operation("increment", (-1,)), InvalidOperation, "call decrement"),
        ("PNCounter", Operation("decrement", (-1,)), InvalidOperation, "call increment"),
        ("PNCounter", Operation("increment", (1.0,)), InvalidOperation, "takes an int.*floats don't add up"),
        ("PNCounter", Operation("increment", (1 << 63,)), InvalidOperation, "less than 2\\*\\*63"),
        ("GCounter", Operation("increment", (-1,)), InvalidOperation, "PNCounter goes down"),
        ("ExactCounter", Operation("increment", (-1,)), InvalidOperation, "decrement down"),
        ("PNCounterMap", Operation("increment", ("k", 0.5)), InvalidOperation, "floats don't add up"),
        ("BoundedCounter", Operation("decrement", (1,)), InsufficientRights, "increment first"),
        ("ORMap", Operation("put", ("k", 1)), InvalidOperation, "call update, and remove before it"),
        ("ORMap", Operation("update", ("k", "BoundedCounter", "increment", 1)), InvalidOperation, "state of its own"),
        ("ORSet", Operation("append", (1,)), InvalidOperation, "it has add, clear, remove"),
        ("ORSet", Operation("add", (float("nan"),)), InvalidValue, "use None"),
        ("ORSet", Operation("add", ({1, 2},)), InvalidValue, "convert it first"),  # type: ignore[arg-type]
        ("LWWMap", Operation("put", (1, "x")), InvalidOperation, "takes text as a key"),
        ("ORSet", Operation("add", "milk"), InvalidOperation, "arguments as a tuple"),  # type: ignore[arg-type]
        ("ORSet", Operation("add", "m"), InvalidOperation, "arguments as a tuple"),  # type: ignore[arg-type]
        ("ORMap", Operation("remove", {"k": 1}), InvalidOperation, "arguments as a tuple"),  # type: ignore[arg-type]
        ("ORSet", "add", InvalidOperation, "expected an Operation, as Operation"),
    ],
)
def test_wrong_operation_says_what_to_call_and_changes_nothing(
    type_name: str, operation: Operation, error: type[InvalidOperation], advice: str
) -> None:
    held = state(type_name)
    before = held.encode()
    with pytest.raises(error, match=advice):
        held.apply(operation)
    assert before == held.encode()
    assert "not_applied" == error.outcome


@pytest.mark.parametrize("type_name", registry.names())
def test_join_across_replica_tables_says_what_to_do_and_changes_nothing(type_name: str) -> None:
    held, other = state(type_name), state(type_name, ReplicaTable())
    before = held.encode()
    with pytest.raises(ReplicaTableMismatch, match="encode one side and decode it with the other's table"):
        held.join(other)
    assert before == held.encode()
    held.join_encoded(other.encode())


@pytest.mark.parametrize(("type_name", "other_name"), [("ORSet", "PNCounter"), ("PNCounter", "LWWRegister")])
def test_join_with_a_state_of_another_type_says_so_and_changes_nothing(type_name: str, other_name: str) -> None:
    table = ReplicaTable()
    held, other = state(type_name, table), State[Any](registry.get(other_name), table, replica_id=b"b" * 16)
    before = held.encode()
    with pytest.raises(DataTypeMismatch, match=f"a state or delta of {type_name}, got <State of {other_name}"):
        held.join(other)
    assert before == held.encode()


@pytest.mark.parametrize("what", [None, b"bytes", "text", {"a": 1}])
def test_join_with_what_is_no_state_says_what_to_call_and_changes_nothing(what: Any) -> None:
    held = state("ORSet")
    before = held.encode()
    with pytest.raises(DataTypeMismatch, match="join_encoded takes bytes"):
        held.join(what)
    assert before == held.encode()


def test_join_with_a_delta_of_another_shape_says_so_and_changes_nothing() -> None:
    table = ReplicaTable()
    held, other = state("ORSet", table), State[Any](registry.get("PNCounter"), table, replica_id=b"b" * 16)
    delta = other.apply(Operation("increment", (1,)))
    before = held.encode()
    assert delta is not None
    with pytest.raises(DataTypeMismatch, match="a state or delta of ORSet"):
        held.join(delta)
    assert before == held.encode()


def test_replica_id_that_is_text_says_how_to_make_bytes() -> None:
    replica_id: Any = "a" * 16
    with pytest.raises(TypeError, match="encode it, or call"):
        State(registry.get("ORSet"), ReplicaTable(), replica_id=replica_id)
