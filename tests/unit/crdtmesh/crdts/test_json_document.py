"""JSON documents: what operations do alone, and who wins when they are concurrent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crdtmesh.crdts import deltas
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.json_document import JSON_DOCUMENT
from crdtmesh.crdts.json_tree import Facts
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State


class Document:
    """A state with an operation for each method of the type."""

    def __init__(self, state: State[Facts]) -> None:
        self.state = state

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self.state.apply(Operation(name, arguments))

    @property
    def value(self) -> Any:
        return self.state.value

    def shapes(self, *path: str | int) -> Any:
        return JSON_DOCUMENT.shapes(self.state.delta().store, path)


def replicas(count: int, start: Any = None) -> list[Document]:
    table = ReplicaTable()
    made = [Document(State(JSON_DOCUMENT, table, replica_id=bytes([65 + n]) * 16)) for n in range(count)]
    if start is not None:
        made[0].set([], start)
        for each in made[1:]:
            each.state.join(made[0].state)
    return made


def meet(*documents: Document) -> Any:
    for each in documents:
        for other in documents:
            each.state.join(other.state)
    assert 1 == len({each.state.encode() for each in documents})
    return documents[0].value


# --- alone


def test_set_makes_the_objects_on_the_way() -> None:
    (doc,) = replicas(1)
    doc.set(["a", "b", "c"], 1)
    assert {"a": {"b": {"c": 1}}} == doc.value
    doc.delete(["a", "b", "c"])
    assert {"a": {"b": {}}} == doc.value


def test_empty_containers_are_kept() -> None:
    (doc,) = replicas(1, {"object": {}, "list": [], "nested": [[], {}]})
    assert {"object": {}, "list": (), "nested": ((), {})} == doc.value


def test_set_replaces_all_that_was_there() -> None:
    (doc,) = replicas(1, {"a": {"x": 1, "y": [1, 2]}})
    doc.set(["a"], {"z": 2})
    assert {"a": {"z": 2}} == doc.value
    doc.set(["a"], None)
    assert {"a": None} == doc.value
    doc.set([], {"b": 1})
    assert {"b": 1} == doc.value


def test_list_operations_go_by_index() -> None:
    (doc,) = replicas(1)
    doc.extend(["l"], ["a", "b", "c"])
    doc.insert(["l"], 0, "first")
    doc.insert(["l"], -1, "last")
    doc.move(["l"], 1, -2)
    doc.set(["l", 1], "B")
    assert {"l": ("first", "B", "c", "a", "last")} == doc.value
    doc.delete(["l", 0])
    assert {"l": ("B", "c", "a", "last")} == doc.value


def test_update_of_several_fields_is_one_delta_with_a_dot_for_each() -> None:
    (doc,) = replicas(1, {"a": {"keep": 0, "x": 1}})
    delta = doc.update(["a"], {"x": 2, "y": 3})
    assert {"a": {"keep": 0, "x": 2, "y": 3}} == doc.value
    assert 2 == len(delta.store.facts)
    assert 3 == len(delta.context)


@pytest.mark.parametrize(
    "operation",
    [
        Operation("delete", (["x"],)),
        Operation("delete", (["x", "y"],)),
        Operation("delete", (["n", "y"],)),
        Operation("extend", (["l"], [])),
        Operation("move", (["l"], 1, 1)),
        Operation("update", (["o"], {})),
    ],
)
def test_operation_without_effect_makes_no_delta(operation: Operation) -> None:
    (doc,) = replicas(1, {"l": [1, 2], "n": 1, "o": {}})
    assert doc.state.apply(operation) is None


def test_clearing_an_empty_document_makes_no_delta() -> None:
    (doc,) = replicas(1)
    assert doc.clear() is None
    assert doc.set([], {}) is None


@pytest.mark.parametrize(
    "operation",
    [
        Operation("set", ("k", 1)),
        Operation("set", ([True], 1)),
        Operation("set", ([], 1)),
        Operation("set", ([0], 1)),
        Operation("set", (["n", "x"], 1)),
        Operation("set", (["l", "x"], 1)),
        Operation("set", (["l", 2], 1)),
        Operation("set", (["l", -3], 1)),
        Operation("set", (["x", 0], 1)),
        Operation("set", (["k"], float("nan"))),
        Operation("set", (["k"] * 17, 1)),
        Operation("set", (["k"] * 16, {"k": 1})),
        Operation("set", (["k"] * 15, [[1]])),
        Operation("set", (["k" * 5_000], 1)),
        Operation("set", (["k"], {"k" * 5_000: 1})),
        Operation("update", (["o"], 1)),
        Operation("insert", (["o"], 0, 1)),
        Operation("insert", ([], 0, 1)),
        Operation("insert", (["l"], 3, 1)),
        Operation("insert", (["l"], "0", 1)),
        Operation("extend", (["l"], "text")),
        Operation("move", (["l"], 0, 2)),
        Operation("move", (["x"], 0, 0)),
        Operation("delete", ([],)),
        Operation("delete", (["l", 2],)),
        Operation("replace", (["k"], 1)),
    ],
)
def test_wrong_use_is_refused_and_changes_nothing(operation: Operation) -> None:
    (doc,) = replicas(1, {"l": [1, 2], "n": 1, "o": {}})
    before = doc.state.encode()
    with pytest.raises(InvalidOperation):
        doc.state.apply(operation)
    assert before == doc.state.encode()


def test_deepest_document_can_be_written_and_read_back() -> None:
    (doc,) = replicas(1)
    doc.set(["k"] * 16, [])
    assert doc.state.encode() == deltas.encode_delta(
        JSON_DOCUMENT, deltas.decode_delta(JSON_DOCUMENT, doc.state.encode(), doc.state.table)
    )


def test_delta_of_a_change_deep_in_a_large_document_is_small() -> None:
    (doc,) = replicas(1, {"l": [{"name": f"item {n}", "n": n} for n in range(1_000)]})
    delta = doc.set(["l", 500, "n"], 0)
    assert 1 == len(delta.store.facts)
    assert 80 > len(deltas.encode_delta(JSON_DOCUMENT, delta))


# --- concurrent


def test_changes_of_different_fields_are_all_kept() -> None:
    a, b = replicas(2, {"order": {"item": "milk", "count": 1}})
    a.set(["order", "count"], 2)
    b.set(["order", "price"], 9)
    assert {"order": {"count": 2, "item": "milk", "price": 9}} == meet(a, b)


def test_field_set_below_an_object_that_is_deleted_survives_alone() -> None:
    a, b = replicas(2, {"k": {"old": 1, "seen": 2}})
    a.delete(["k"])
    b.set(["k", "new"], 3)
    assert {"k": {"new": 3}} == meet(a, b)


def test_of_concurrent_scalars_one_is_read_and_all_are_kept() -> None:
    a, b = replicas(2, {"k": 0})
    a.set(["k"], "a")
    b.set(["k"], "b")
    assert {"k": "b"} == meet(a, b)
    assert {"scalars": ("a", "b")} == a.shapes("k")
    a.set(["k"], "c")
    assert {"k": "c"} == meet(a, b)
    assert {"scalars": ("c",)} == b.shapes("k")


def test_shapes_written_concurrently_coexist_and_the_object_is_read_first() -> None:
    a, b, c = replicas(3)
    a.set(["k"], 1)
    b.set(["k"], [2])
    assert {"k": (2,)} == meet(a, b)
    c.set(["k"], {"x": 3})
    assert {"k": {"x": 3}} == meet(a, b, c)
    assert {"object": {"x": 3}, "list": (2,), "scalars": (1,)} == a.shapes("k")
    a.set(["k"], "all of it")
    assert {"k": "all of it"} == meet(a, b, c)
    assert {"scalars": ("all of it",)} == a.shapes("k")


@pytest.mark.parametrize("index", [0, None], ids=["backwards", "forwards"])
def test_elements_that_two_replicas_insert_in_a_row_do_not_mix(index: int | None) -> None:
    a, b = replicas(2, {"l": []})
    for number in range(10):
        for doc, name in ((a, "a"), (b, "b")):
            doc.insert(["l"], number if index is None else index, f"{name}{number}")
    names = "".join(element[0] for element in meet(a, b)["l"])
    assert names in {"a" * 10 + "b" * 10, "b" * 10 + "a" * 10}


def test_element_deleted_by_one_and_changed_by_another_keeps_the_change() -> None:
    a, b = replicas(2, {"l": [{"x": 1, "y": 2}, "z"]})
    a.delete(["l", 0])
    b.set(["l", 0, "x"], 3)
    assert {"l": ({"x": 3}, "z")} == meet(a, b)


def test_element_deleted_by_one_and_moved_by_another_is_deleted() -> None:
    a, b = replicas(2, {"l": [1, 2, 3]})
    a.delete(["l", 0])
    b.move(["l"], 0, 2)
    assert {"l": (2, 3)} == meet(a, b)


def test_element_changed_by_one_and_moved_by_another_is_both() -> None:
    a, b = replicas(2, {"l": [{"x": 1}, 2, 3]})
    a.set(["l", 0, "x"], 9)
    b.move(["l"], 0, 2)
    assert {"l": (2, 3, {"x": 9})} == meet(a, b)


def test_of_concurrent_moves_the_greatest_place_holds_and_nothing_is_doubled() -> None:
    a, b = replicas(2, {"l": ["x", 1, 2, 3]})
    a.move(["l"], 0, 1)
    b.move(["l"], 0, 3)
    assert {"l": (1, 2, 3, "x")} == meet(a, b)
    a.move(["l"], 3, 0)
    assert {"l": ("x", 1, 2, 3)} == meet(a, b)


def test_replaced_element_keeps_its_place() -> None:
    a, b = replicas(2, {"l": [1, 2, 3]})
    a.move(["l"], 2, 0)
    a.set(["l", 0], "three")
    assert {"l": ("three", 1, 2)} == meet(a, b)


def test_delete_and_new_list_under_one_key_do_not_bring_old_elements_back() -> None:
    a, b = replicas(2, {"l": [1, 2]})
    a.delete(["l"])
    a.set(["l"], ["new"])
    b.insert(["l"], 1, "meanwhile")
    assert {"new", "meanwhile"} == set(meet(a, b)["l"])


def test_inserts_in_the_middle_of_a_growing_list_keep_positions_short() -> None:
    """Beside the newest element, on either side in turn; halving the gap each time would take 280 bytes."""
    (doc,) = replicas(1, {"l": []})
    for size in range(2_000):
        doc.insert(["l"], size // 2, size)
    assert [9] == sorted({len(place) for place, _ in doc.state._store.root.keys["l"].order})[-1:]
