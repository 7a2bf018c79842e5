"""What every data type reads as and is asked for has a JSON form and a protobuf form, and comes back from them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import InvalidValue, Operation, ReplicaTable, State, registry
from crdtmesh.crdts.json_form import json_text
from crdtmesh.crdts.values import INTEGER_MAX, PlainValue, encode
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2 as pb
from crdtmesh.wire.values import (
    mutations_from_operations,
    operations_from_mutations,
    plain_from_value,
    value_from_plain,
)
from tests.property.strategies import OPERATIONS, worlds

EACH_TYPE = pytest.mark.parametrize("name", registry.names())
few = settings(max_examples=20)


def _as_json(value: PlainValue) -> Any:
    """What JSON can tell of a value: sequences are lists, bytes are hexadecimal digits, infinities are texts."""
    if isinstance(value, tuple | list):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value.hex() if isinstance(value, bytes) else value


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def _strictly(text: str) -> Any:
    """What a parser makes of a text that takes JSON to the letter."""
    return json.loads(text, parse_constant=_refuse)


@EACH_TYPE
@few
@given(data=st.data())
def test_value_comes_back_from_its_protobuf_form(name: str, data: st.DataObject) -> None:
    for replica in data.draw(worlds(name)).replicas:
        message = value_from_plain(name, replica.value).SerializeToString()
        back = plain_from_value(pb.Value.FromString(message))
        assert (name, encode(replica.value)) == (back[0], encode(back[1]))


@EACH_TYPE
@few
@given(data=st.data())
def test_value_has_a_json_form(name: str, data: st.DataObject) -> None:
    for replica in data.draw(worlds(name)).replicas:
        assert repr(_as_json(replica.value)) == repr(_strictly(json_text(replica.value)))


@EACH_TYPE
@few
@given(data=st.data())
def test_operations_come_back_from_their_protobuf_form(name: str, data: st.DataObject) -> None:
    operations = data.draw(st.lists(OPERATIONS[name], max_size=4))
    message = mutations_from_operations(operations).SerializeToString()
    back = operations_from_mutations(pb.Mutations.FromString(message))
    assert [(each.name, encode(each.arguments)) for each in operations] == [
        (each.name, encode(each.arguments)) for each in back
    ]


_INFINITE: dict[str, tuple[Operation, Any]] = {
    "MaxRegister": (Operation("set", (math.inf,)), "Infinity"),
    "MinRegister": (Operation("set", (-math.inf,)), "-Infinity"),
    "LWWRegister": (Operation("set", (math.inf,)), "Infinity"),
    "FWWRegister": (Operation("set", ((-math.inf,),)), ["-Infinity"]),
    "MVRegister": (Operation("set", (math.inf,)), ["Infinity"]),
    "GSet": (Operation("add", (math.inf,)), ["Infinity"]),
    "ORSet": (Operation("add", ({"k": math.inf},)), [{"k": "Infinity"}]),
    "RWSet": (Operation("add", (b"\xff",)), ["ff"]),
    "TwoPhaseSet": (Operation("add", (math.inf,)), ["Infinity"]),
    "LWWMap": (Operation("put", ("k", -math.inf)), {"k": "-Infinity"}),
    "ORMultiMap": (Operation("add_binding", ("k", math.inf)), {"k": ["Infinity"]}),
    "ORMap": (Operation("update", ("k", "MaxRegister", "set", math.inf)), {"k": {"MaxRegister": "Infinity"}}),
    "UWMap": (Operation("update", ("k", "MVRegister", "set", math.inf)), {"k": {"MVRegister": ["Infinity"]}}),
    "RWMap": (Operation("update", ("k", "ORSet", "add", -math.inf)), {"k": {"ORSet": ["-Infinity"]}}),
    "JsonDocument": (Operation("set", ((), {"l": [math.inf, b"\x00"]})), {"l": ["Infinity", "00"]}),
}
"""Types that hold what a user gives them, with something that JSON has no word for."""
_WITHOUT_INFINITIES = {
    *("BoundedCounter", "DWFlag", "EWFlag", "ExactCounter", "GCounter", "PNCounter", "PNCounterMap", "Text", "Vote"),
}


@EACH_TYPE
def test_infinities_and_bytes_are_texts_in_json(name: str) -> None:
    if name in _WITHOUT_INFINITIES:
        assert name not in _INFINITE
        return
    operation, expected = _INFINITE[name]
    state = State(registry.get(name), ReplicaTable(), replica_id=bytes(16))
    assert state.apply(operation) is not None
    assert expected == _strictly(json_text(state.value))


def test_nan_and_what_is_not_plain_have_no_json_form() -> None:
    for value in (math.nan, (math.nan,), {1}, object()):
        with pytest.raises(InvalidValue):
            json_text(value)  # type: ignore[arg-type]  # that is the point


_SUMS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "PNCounter": ((), 1),
    "GCounter": ((), 1),
    "ExactCounter": ((), 1),
    "PNCounterMap": (("k",), {"k": 1}),
    "ORMap": (("k", "PNCounter", "increment"), {"k": {"PNCounter": 1}}),
    "RWMap": (("k", "GCounter", "increment"), {"k": {"GCounter": 1}}),
    "UWMap": (("k", "ExactCounter", "increment"), {"k": {"ExactCounter": 1}}),
}


@pytest.mark.parametrize("name", _SUMS)
def test_sums_beyond_64_bits_have_both_forms_at_any_depth(name: str) -> None:
    start, once = _SUMS[name]
    table = ReplicaTable()
    a, b, c = (State(registry.get(name), table, replica_id=bytes([n]) * 16) for n in range(3))
    operation = Operation("update" if len(start) > 1 else "increment", (*start, INTEGER_MAX))
    for state in (a, b, c):
        state.apply(operation)
    a.join(b)
    a.join(c)
    expected = json.loads(json.dumps(once).replace("1", str(3 * INTEGER_MAX)))
    assert expected == a.value
    assert expected == _strictly(json_text(a.value))
    message = value_from_plain(name, a.value).SerializeToString()
    assert (name, expected) == plain_from_value(pb.Value.FromString(message))
