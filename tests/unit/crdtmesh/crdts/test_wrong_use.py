"""Wrong use raises a typed error that says what to call instead, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from crdtmesh.crdts import (
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
