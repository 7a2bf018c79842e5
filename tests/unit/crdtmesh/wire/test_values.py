"""Plain values and operations survive the wire with their types."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts.errors import CodecError, InvalidOperation, InvalidValue
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import INTEGER_MAX, INTEGER_MIN, VALUE_DEPTH_MAX, PlainValue
from crdtmesh.crdts.values import encode as canonical
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, values_pb2

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=12)
)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OPERATIONS = st.builds(Operation, TEXT.filter(bool), st.lists(PLAIN, max_size=3).map(tuple))


def nested(depth: int, *, kind: type) -> PlainValue:
    value: PlainValue = 1
    for _ in range(depth):
        value = [value] if kind is list else {"k": value}
    return value


@given(PLAIN)
def test_values_come_back_with_their_types(value: PlainValue) -> None:
    data = values_pb2.Data.FromString(values.data_from_plain(value).SerializeToString())
    # Equal canonical bytes are the project's word for "the same value".
    assert canonical(value) == canonical(values.plain_from_data(data))


@given(TEXT, PLAIN)
def test_readable_states_come_back(type_name: str, value: PlainValue) -> None:
    name, back = values.plain_from_value(values.value_from_plain(type_name, value))
    assert (type_name, canonical(value)) == (name, canonical(back))


@settings(max_examples=50)
@given(st.lists(OPERATIONS, max_size=4))
def test_mutations_come_back(operations: list[Operation]) -> None:
    back = values.mutations_from_bytes(values.mutations_to_bytes(operations))
    assert [item.name for item in operations] == [item.name for item in back]
    assert [canonical(item.arguments) for item in operations] == [canonical(item.arguments) for item in back]


def test_values_that_python_holds_equal_stay_apart_in_remembered_mutations() -> None:
    for value in (True, 1, "1", b"1", 1.0, False, 0, 0.0):
        operations = values.mutations_from_bytes(values.mutations_to_bytes([Operation("add", (value,))]))
        assert type(value) is type(operations[0].arguments[0])
        assert value == operations[0].arguments[0]


def test_remembered_mutations_are_bounded() -> None:
    for number in range(10_000):
        values.mutations_from_bytes(values.mutations_to_bytes([Operation("increment", (number,))]))
    assert len(values._encoded) <= values._MEMO_ENTRIES_MAX
    assert len(values._decoded) <= values._MEMO_ENTRIES_MAX


def test_mutable_arguments_are_never_shared() -> None:
    data = values.mutations_to_bytes([Operation("set", ({"a": 1},))])
    first = values.mutations_from_bytes(data)[0].arguments[0]
    assert isinstance(first, dict)
    first["a"] = 2
    assert {"a": 1} == values.mutations_from_bytes(data)[0].arguments[0]


def test_no_operation_is_no_bytes() -> None:
    assert b"" == values.mutations_to_bytes([])
    assert () == values.mutations_from_bytes(b"")


@pytest.mark.parametrize("kind", [list, dict])
def test_deepest_legal_value_passes_every_message(kind: type) -> None:
    value = nested(VALUE_DEPTH_MAX, kind=kind)
    data = values.mutations_to_bytes([Operation("add", (value,))])
    assert canonical(value) == canonical(values.mutations_from_bytes(data)[0].arguments[0])
    state = values.value_from_plain("ORSet", [value])
    batch = actors_pb2.TurnBatch(states=[actors_pb2.StateUpdate(actor=1, value=state)])
    parsed = actors_pb2.TurnBatch.FromString(batch.SerializeToString())
    assert canonical(value) == canonical(values.plain_from_value(parsed.states[0].value)[1][0])  # type: ignore[index]


@pytest.mark.parametrize("kind", [list, dict])
def test_deeper_values_are_refused(kind: type) -> None:
    with pytest.raises(InvalidValue, match="deeper"):
        values.data_from_plain(nested(VALUE_DEPTH_MAX + 1, kind=kind))


def test_deeper_messages_are_refused() -> None:
    data = values_pb2.Data(integer=1)
    for _ in range(VALUE_DEPTH_MAX + 1):
        data = values_pb2.Data(list=values_pb2.DataList(items=[data]))
    with pytest.raises(InvalidValue, match="deeper"):
        values.plain_from_data(data)


@pytest.mark.parametrize(
    "value", [math.nan, 1 << 63, -(1 << 63) - 1, {1, 2}, {1: 2}, "\ud800", {"\ud800": 1}, object()]
)
def test_values_without_wire_form_are_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        values.data_from_plain(value)


def test_nan_from_outside_is_refused() -> None:
    with pytest.raises(InvalidValue, match="NaN"):
        values.plain_from_data(values_pb2.Data(number=math.nan))


def test_negative_zero_is_zero() -> None:
    assert 1.0 == math.copysign(1.0, values.data_from_plain(-0.0).number)


def test_bytes_that_are_no_mutations_are_refused() -> None:
    with pytest.raises(CodecError):
        values.mutations_from_bytes(b"\xff\xff")


def test_operation_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidOperation):
        values.mutations_from_bytes(values_pb2.Mutations(operations=[values_pb2.Operation()]).SerializeToString())


@given(st.binary(max_size=40))
def test_random_bytes_never_crash(data: bytes) -> None:
    try:
        operations = values.mutations_from_bytes(data)
    except (CodecError, InvalidOperation):
        return
    assert all(operation.name for operation in operations)


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, (1 << 80) - 1])
def test_a_counter_may_read_beyond_64_bits(value: int) -> None:
    message = values.value_from_plain("PNCounter", value)

    assert ("PNCounter", value) == values.plain_from_value(type(message).FromString(message.SerializeToString()))


def test_counters_within_a_map_may_read_beyond_64_bits() -> None:
    sums: Any = {"k": {"PNCounter": (1 << 64) - 2, "ORSet": (1, "1")}, "l": {"ORMap": {"m": {"GCounter": 1 << 80}}}}
    message = values.value_from_plain("ORMap", sums)

    assert ("ORMap", sums) == values.plain_from_value(type(message).FromString(message.SerializeToString()))
    assert str((1 << 64) - 2) == message.data.map.entries["k"].map.entries["PNCounter"].big_integer


@pytest.mark.parametrize("value", [(1 << 133), {"k": 1 << 133}, {"k": -(1 << 133)}])
def test_what_no_counter_can_add_up_to_has_no_form(value: Any) -> None:
    with pytest.raises(InvalidValue):
        values.value_from_plain("PNCounterMap", value)


def test_a_big_integer_within_an_argument_is_refused() -> None:
    operation = values_pb2.Operation(name="set")
    operation.arguments.add().list.items.add(big_integer=str(1 << 64))

    with pytest.raises(InvalidValue, match="operations take integers of 64 bits"):
        values.operations_from_mutations(values_pb2.Mutations(operations=[operation]))


@pytest.mark.parametrize("text", ["", "1", "x" * 20, "0" * 20, "9" * 60, "1_000_000_000_000_000_000_000"])
def test_a_malformed_big_integer_is_refused(text: str) -> None:
    message = values.value_from_plain("PNCounter", 0)
    message.data.big_integer = text

    with pytest.raises(InvalidValue):
        values.plain_from_value(message)


def test_a_big_integer_is_no_argument() -> None:
    message = values.value_from_plain("PNCounter", 1 << 63)

    with pytest.raises(InvalidValue):
        values.plain_from_data(message.data)
