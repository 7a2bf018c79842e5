"""The live JSON document acts as nested dicts and lists do, and records what the data type then does alike."""

from __future__ import annotations

import random
from typing import Any

import pytest

from crdtmesh.crdts import values
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import InvalidOperation, InvalidValue
from crdtmesh.crdts.json_document import JSON_DOCUMENT
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State
from crdtmesh.sdk import JsonDocument, JsonList, JsonObject


def test_document_reads_and_writes_as_nested_dicts_and_lists() -> None:
    doc = JsonDocument({"a": {"b": 0}, "list": ["x", "y"]})
    doc["a"]["b"] = 1
    doc["list"].insert(0, {"n": [1]})
    doc["list"][0]["n"].append(2)
    doc["list"].move(0, 2)
    del doc["list"][0]
    assert {"a": {"b": 1}, "list": ("y", {"n": (1, 2)})} == doc.value
    assert [
        Operation("set", (("a", "b"), 1)),
        Operation("insert", (("list",), 0, {"n": (1,)})),
        Operation("insert", (("list", 0, "n"), 1, 2)),
        Operation("move", (("list",), 0, 2)),
        Operation("delete", (("list", 0),)),
    ] == doc.pending


def test_document_is_a_container() -> None:
    doc = JsonDocument({"a": {"k": 1}, "l": [1, 2, 3]})
    assert ["a", "l"] == list(doc)
    assert "a" in doc
    assert "k" in doc["a"]
    assert (2, 1, 3) == (len(doc), len(doc["a"]), len(doc["l"]))
    assert [1, 2, 3] == list(doc["l"])
    assert ["k"] == list(doc["a"])
    assert (3, None, 5) == (doc["l"][-1], doc.get("z"), doc["a"].get("z", 5))
    with pytest.raises(KeyError):
        doc["z"]
    with pytest.raises(KeyError):
        del doc["a"]["z"]
    with pytest.raises(IndexError):
        doc["l"][3]
    assert [] == doc.pending


def test_what_is_handed_out_is_a_copy() -> None:
    doc = JsonDocument({"a": {"k": [1]}})
    doc.value["a"]["k"] = "changed"  # type: ignore[index]
    doc["a"].value["k"] = "changed"
    assert {"a": {"k": (1,)}} == doc.value


def test_view_shows_what_is_at_its_place_now() -> None:
    doc = JsonDocument({"a": {"k": 1}})
    view = doc["a"]
    doc["a"] = {"k": 2}
    assert {"k": 2} == view.value
    del doc["a"]
    with pytest.raises(KeyError):
        view["k"] = 3
    with pytest.raises(KeyError):
        view.update({"k": 3})
    assert 2 == len(doc.pending)


@pytest.mark.parametrize("value", [float("nan"), {1}, {"k" * 5_000: 1}])
def test_value_that_the_mesh_can_not_hold_is_refused_and_changes_nothing(value: Any) -> None:
    doc = JsonDocument({"l": [0], "o": {}})
    for change in (doc["o"].update, doc.set):
        with pytest.raises((InvalidOperation, TypeError, ValueError, InvalidValue)):
            change({"x": value})
    with pytest.raises(InvalidOperation):
        doc["l"].append(value)
    with pytest.raises(InvalidOperation):
        doc["x"] = value
    assert [] == doc.pending
    assert {"l": (0,), "o": {}} == doc.value


def test_document_nested_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(16):
        deep = {"k": deep}
    JsonDocument().set(deep)
    with pytest.raises(InvalidOperation, match="nested deeper"):
        JsonDocument()["k"] = deep


@pytest.mark.parametrize("seed", range(20))
def test_live_document_and_data_type_do_the_same(seed: int) -> None:
    rng = random.Random(seed)
    live = JsonDocument()
    state = State(JSON_DOCUMENT, ReplicaTable(), replica_id=bytes(16))
    for _ in range(40):
        _change(rng, live, rng.choice(["k", "l", "m"]))
        for operation in live.pending:
            state.apply(operation)
        live.commit()
        assert values.encode(live.value) == values.encode(state.value)


def _change(rng: random.Random, place: Any, key: str) -> None:
    """Changes something in an object or a list, or goes deeper."""
    new: Any = rng.choice([1, "x", None, {"k": 1}, ["a", ["b"]], [], {}])
    if isinstance(place, JsonList):
        size = len(place)
        at = rng.randrange(-size, size) if size else 0
        action = rng.choice(["insert", "extend", "move", "set", "delete", "deeper"]) if size else "insert"
        if action == "insert":
            place.insert(rng.randint(-size - 1, size + 1), new)
        elif action == "extend":
            place.extend([new, 2])
        elif action == "move":
            place.move(at, rng.randrange(size))
        elif action == "set":
            place[at] = new
        elif action == "delete":
            del place[at]
        elif isinstance(place[at], JsonList | JsonObject):
            _change(rng, place[at], key)
        return
    held = place.get(key)
    if isinstance(held, JsonList | JsonObject) and rng.random() < 0.7:
        _change(rng, held, key)
    elif held is not None and rng.random() < 0.2:
        del place[key]
    elif rng.random() < 0.2:
        place.update({key: new, "n": 1})
    else:
        place[key] = new
