"""The codec: what is written comes back, bytes from anywhere do no harm, and only canonical forms are read."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.crdts import deltas, registry, values
from crdtmesh.crdts.codec import FORMAT, Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import N_MAX, ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.scalars import pack_header, unpack_message
from crdtmesh.crdts.values import PlainValue
from tests.property.strategies import plain_values, states_of, worlds

EACH_TYPE = pytest.mark.parametrize("name", registry.names())
few = settings(max_examples=20)


def _flat(*items: Any) -> bytes:
    return b"".join(msgpack.packb(item) for item in items)


def _message(*items: Any) -> bytes:
    packed: bytes = msgpack.packb(items)
    return packed


def _pair(key: str, type_name: str) -> msgpack.ExtType:
    return msgpack.ExtType(1, _flat(key, type_name))


def _list(*items: Any) -> msgpack.ExtType:
    return msgpack.ExtType(1, b"".join(_flat(_list(*i) if isinstance(i, tuple) else i) for i in items))


def _content(*store: Any) -> bytes:
    """A nested state of one dot, as a map that keeps whole contents has it."""
    return _message(*ONE, *store)


def _read_or_refuse(name: str, data: bytes) -> None:
    """Anything is refused with a CodecError, or is a state that can be used."""
    table = ReplicaTable(capacity=8)
    data_type = registry.get(name)
    try:
        delta = deltas.decode_delta(data_type, data, table)
    except CodecError:
        return
    assert all(dot in delta.context for dot in data_type.dots(delta.store))
    data_type.value(delta.store)
    again = deltas.encode_delta(data_type, delta)
    assert delta == deltas.decode_delta(data_type, again, table)


# --- values


def _typed(value: Any) -> Any:
    """A form in which Python's equality tells the types of a value apart."""
    if isinstance(value, list | tuple):
        return "list", tuple(_typed(item) for item in value)
    if isinstance(value, dict):
        return "dict", tuple(sorted((key, _typed(item)) for key, item in value.items()))
    return type(value).__name__, value + 0.0 if isinstance(value, float) else value


@given(plain_values)
def test_value_comes_back_with_its_types(value: PlainValue) -> None:
    assert _typed(value) == _typed(values.decode(values.encode(value)))


@given(plain_values, plain_values)
def test_values_are_equal_if_and_only_if_their_bytes_are(a: PlainValue, b: PlainValue) -> None:
    assert (_typed(a) == _typed(b)) == (values.encode(a) == values.encode(b))


@given(st.lists(plain_values, max_size=5))
def test_many_values_decode_in_one_pass(many: list[PlainValue]) -> None:
    encoded = [values.encode(value) for value in many]
    assert encoded == [values.encode(value) for value in values.decode_all(encoded)]


@settings(max_examples=300)
@given(st.binary(max_size=64))
def test_random_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        value = values.decode(data)
    except CodecError:
        return
    assert _typed(value) == _typed(values.decode(values.encode(value)))


# --- deltas


@EACH_TYPE
@few
@given(data=st.data())
def test_several_deltas_share_one_message(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name))
    states = data.draw(st.lists(states_of(world), max_size=4))
    writer = Writer(world.table)
    for state in states:
        deltas.write_delta(writer, world.data_type, state)
    reader = Reader(writer.finish(), world.table)
    assert states == [deltas.read_delta(reader, world.data_type) for _ in states]
    reader.finish()


@EACH_TYPE
@settings(max_examples=60)
@given(data=st.binary(max_size=96))
def test_random_bytes_are_a_delta_or_refused(name: str, data: bytes) -> None:
    _read_or_refuse(name, data)
    for begins in ((FORMAT, b"a" * 16), (FORMAT, b"a" * 16, -1, 0, 9), (FORMAT, b"a" * 16, 1, 0, 0, 0, 9)):
        for more in (len(data), len(data) // 2, 3):
            head = b"\xdc" + (len(begins) + more).to_bytes(2, "big") if len(begins) + more > 15 else b""
            _read_or_refuse(name, (head or bytes((0x90 + len(begins) + more,))) + _flat(*begins) + data)


@EACH_TYPE
@settings(max_examples=60)
@given(data=st.data())
def test_mutated_bytes_are_a_delta_or_refused(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name, max_steps=6))
    encoded = bytearray(deltas.encode_delta(world.data_type, data.draw(states_of(world))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(encoded) - 1))
        encoded[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not encoded:
            break
    _read_or_refuse(name, bytes(encoded))


@EACH_TYPE
@few
@given(data=st.data())
def test_every_proper_prefix_and_every_extension_is_refused(name: str, data: st.DataObject) -> None:
    world = data.draw(worlds(name, max_steps=6))
    encoded = deltas.encode_delta(world.data_type, data.draw(states_of(world)))
    for wrong in (*(encoded[:end] for end in range(len(encoded))), encoded + b"\0", encoded + encoded):
        with pytest.raises(CodecError):
            deltas.decode_delta(world.data_type, wrong, ReplicaTable())


A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
P0, P1 = b"aaaa\x80\x01", b"aaaa\x81\x01"
"""Positions of list elements."""
LIST = (8, 1, "l", 32)
"""A document with a list under one key, up to the number of its elements."""
ONE = (FORMAT, A, -1, 0, 0)
"""Header and context of one dot: the mark, the first replica of the header, none before it."""
TWO = (FORMAT, A, 1, 0, 0, 0, 1)
"""Header and context of two dots: one replica, the first of the header, one interval, gap 0, length 2."""
SEALED = _message(*ONE, "whatever follows")
UPDATE = b"\x01\x01\x05\x00\x04\x01\x04text\x02ab\x00"
SEALED_LATER = _message(FORMAT, A, -1, 0, 1, "whatever follows")
SEALED_B = _message(FORMAT, B, -1, 0, 0)


@pytest.mark.parametrize(
    ("name", "items"),
    [
        pytest.param("ORSet", (FORMAT + 1, *ONE[1:], 0), id="another format"),
        pytest.param("ORSet", (FORMAT, A[1:], *ONE[2:], 0), id="replica id of 15 bytes"),
        pytest.param("ORSet", (FORMAT, A + A, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0), id="replica id twice"),
        pytest.param("ORSet", (FORMAT, A + B, *ONE[2:], 0), id="replica id never mentioned"),
        pytest.param("ORSet", (FORMAT, B + A, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0), id="replicas out of order"),
        pytest.param("ORSet", (FORMAT, A, 2, 0, 0, 0, 0, 0, 0, 5, 0, 0), id="replica twice in a context"),
        pytest.param("ORSet", (FORMAT, A, 1, 1, 0, 0, 1, 0), id="replica that is not in the header"),
        pytest.param("ORSet", (FORMAT, A, -1, 1, 0, 0), id="dot of a replica that is not in the header"),
        pytest.param("ORSet", (FORMAT, A, -1, -1, 0, 0), id="dot of a replica before the header"),
        pytest.param("ORSet", (FORMAT, A + B, -1, 1, 0, 0), id="second replica of the header first"),
        pytest.param("ORSet", (FORMAT, A, 1, 0, 0, N_MAX, 0, 0), id="interval from 2**44"),
        pytest.param("ORSet", (FORMAT, A, -1, 0, N_MAX, 0), id="n of 2**44"),
        pytest.param("ORSet", (FORMAT, A, -1, 0, True, 0), id="number of a dot as a bool"),
        pytest.param("ORSet", (FORMAT, A, -1, False, 0, 0), id="replica of a dot as a bool"),
        pytest.param("ORSet", (FORMAT, A, -1.0, 0, 0, 0), id="mark of a dot as a float"),
        pytest.param("ORSet", (FORMAT, A, 1, 0, 0, 0, 0, 0), id="context of one dot in the general form"),
        pytest.param("ORSet", (FORMAT, A, -2, 0, 0, 0), id="unknown mark of a context"),
        pytest.param("ORSet", (FORMAT, A, 1, 0, 0, 0, N_MAX, 0), id="interval up to 2**44"),
        pytest.param("ORSet", (FORMAT, A, 1, 0, 1, 0, N_MAX - 1, 0, 0, 0), id="interval after the last n"),
        pytest.param("ORSet", (FORMAT, A, -1, 0, -1, 0), id="n of 0"),
        pytest.param("ORSet", (*ONE, 1, "x", 1), id="live dot outside the context"),
        pytest.param("ORSet", (*TWO, 2, "x", "y", 0, 0), id="two elements under one dot"),
        pytest.param("ORSet", (*TWO, 2, "x", "y", 0, 2), id="live dot beyond the context"),
        pytest.param("ORSet", (*TWO, 2, "x", "y", 0, True), id="rank in a column as a bool"),
        pytest.param("ORSet", (*TWO, 2, "x", "y", 0, "1"), id="rank in a column as a text"),
        pytest.param("ORSet", (*TWO, 2, "x", "y", 0), id="column of ranks too short"),
        pytest.param("ORSet", (*TWO, 2, "x", "y", -2, 1, 0, 1), id="ranks of a set under the dot of another"),
        pytest.param("ORSet", (*TWO, 2, "y", "x", 0, 1), id="elements out of order"),
        pytest.param("ORSet", (*TWO, 2, "x", "x", 0, 1), id="element twice"),
        pytest.param("ORSet", (*TWO, 2, "x", [], 0, 1), id="msgpack array in a column"),
        pytest.param("ORSet", (*TWO, 2, 5, 1 << 63, 0, 1), id="element of a column beyond 64 bits with sign"),
        pytest.param("ORSet", (*TWO, 1, "x", -2, 1, 0), id="dots of an element out of order"),
        pytest.param("ORSet", (*TWO, 1, "x", -2, 0, 0), id="dot of an element twice"),
        pytest.param("ORSet", (*ONE, 1, "x", -1, 0), id="one dot written as a set"),
        pytest.param("ORSet", (*ONE, 1, "x", 0, 0), id="trailing item"),
        pytest.param("ORSet", (*ONE, 2, "x", 0), id="fewer elements than promised"),
        pytest.param("ORSet", (*ONE, 1, float("nan"), 0), id="NaN as an element"),
        pytest.param("ORSet", (*ONE, 1, 1 << 63, 0), id="element beyond 64 bits with sign"),
        pytest.param("ORSet", (*ONE, 1, [], 0), id="msgpack array"),
        pytest.param("ORSet", (*ONE, 1, {}, 0), id="msgpack map"),
        pytest.param("ORSet", (*ONE, 1, [1], 0), id="msgpack array with items"),
        pytest.param("ORSet", (*ONE, 1, msgpack.ExtType(9, b""), 0), id="unknown ext code"),
        pytest.param("ORSet", (*ONE, 1, msgpack.Timestamp(1), 0), id="timestamp"),
        pytest.param("ORSet", (*ONE, 1, msgpack.ExtType(2, _flat("a")), 0), id="dict without a value"),
        pytest.param("ORSet", (*ONE, 1, msgpack.ExtType(2, _flat("a", 1, "a", 2)), 0), id="dict key twice"),
        pytest.param("ORSet", (*ONE, 1, msgpack.ExtType(2, _flat(1, 1)), 0), id="dict key that is no text"),
        pytest.param("ORSet", (*ONE, True, "x", 0), id="bool where a count belongs"),
        pytest.param("PNCounter", (*ONE, 1, 0, 1 << 63, 0), id="amount beyond 63 bits"),
        pytest.param("PNCounter", (*ONE, 1, 0, -1, 0), id="negative amount"),
        pytest.param("PNCounter", (*ONE, 1, 0, 1.0, 0), id="float amount"),
        pytest.param("PNCounter", (*ONE, 1, 0, 0, 0), id="counter entry of zeros"),
        pytest.param("PNCounter", (*TWO, 2, 1, 1, 0, 0, 1, 0), id="counter entries out of order"),
        pytest.param("LWWRegister", (*ONE, 1, 0, 1 << 63, "x"), id="time beyond 63 bits"),
        pytest.param("FWWRegister", (*ONE, 1, 0, 1 << 63, "x"), id="time of a first write beyond 63 bits"),
        pytest.param("MaxRegister", (*ONE, 1, 0, "5"), id="greatest of texts"),
        pytest.param("MinRegister", (*ONE, 1, 0, True), id="least of bools"),
        pytest.param("TwoPhaseSet", (*TWO, 2, "y", "x", 0, 1, 0), id="added elements out of order"),
        pytest.param("TwoPhaseSet", (*TWO, 0, 2, "x", "x", 0, 1), id="removed element twice"),
        pytest.param("TwoPhaseSet", (*ONE, 1, "x", 0, 1, "x", 0), id="add and removal under one dot"),
        pytest.param("GSet", (*TWO, 2, "y", "x", 0, 1), id="grown elements out of order"),
        pytest.param("GCounter", (*ONE, 1, 0, 0), id="grow-only entry of zero"),
        pytest.param("ExactCounter", (*ONE, 1, 0, 0), id="exact entry of zero"),
        pytest.param("ExactCounter", (*ONE, 1, 0, -(1 << 63)), id="exact entry beyond 63 bits"),
        pytest.param("MVRegister", (*TWO, 2, 1, "x", 0, "y"), id="siblings out of order"),
        pytest.param("EWFlag", (*ONE, 1, 0, 1), id="enable with a payload"),
        pytest.param("DWFlag", (*ONE, 1, 0, 2), id="flag that is neither on nor off"),
        pytest.param("RWSet", (*ONE, 1, "x", 0, 1, "x", 0), id="add and removal token under one dot"),
        pytest.param("ORMap", (*ONE, 1, "k", 1, 0, 5, 0), id="entry without a type"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "Nothing"), 0), id="entry of an unknown type that is not sealed"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "Nothing"), 0, 0), id="sealed entry without a part"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "Nothing"), 0, 1, b"x"), id="part that is no message"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "Nothing"), 0, 1, SEALED_B), id="part of another replica"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "Nothing"), 1, 1, SEALED), id="sealed entry of a dot it lacks"),
        pytest.param("ORMap", (*TWO, 1, _pair("k", "Nothing"), 1, 1, SEALED), id="part of another dot"),
        pytest.param("ORMap", (*TWO, 1, _pair("k", "Nothing"), -2, 0, 1, 1, SEALED), id="dot that no part holds"),
        pytest.param("ORMap", (*TWO, 1, _pair("k", "Nothing"), 0, 2, SEALED, SEALED_LATER), id="part of no dot"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "Nothing"), 0, 2, SEALED, SEALED), id="part twice"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "PNCounter"), 0), id="empty entry"),
        pytest.param("ORMap", (*ONE, 1, _pair("k", "BoundedCounter"), 1, 0, 5, 0, 0), id="entry that can't be reset"),
        pytest.param(
            "UWMap", (*ONE, 1, _pair("k", "ORSet"), 1, 0, _content(1, "x", 1)), id="content of a dot it lacks"
        ),
        pytest.param("UWMap", (*ONE, 1, _pair("k", "ORSet"), 1, 0, b""), id="empty content"),
        pytest.param("UWMap", (*ONE, 1, _pair("k", "PNCounter"), 1, 0, _content(1, 0, 5, 0)), id="content of sums"),
        pytest.param("UWMap", (*ONE, 1, _pair("k", "Text"), 1, 0, _content(1, 0, 5, 0)), id="content of a text"),
        pytest.param(
            "UWMap",
            (*ONE, 1, _pair("k", "ORMap"), 1, 0, _content(1, _pair("k", "PNCounter"), 1, 0, 5, 0)),
            id="content of sums in a map",
        ),
        pytest.param("RWMap", (*ONE, 1, "k", 0), id="empty cell"),
        pytest.param("RWMap", (*ONE, 1, "k", 1, msgpack.ExtType(1, b""), 0), id="no removal that stands"),
        pytest.param("RWMap", (*ONE, 1, "k", 1, _list("EWFlag", ()), 1, 0), id="update without removals named so"),
        pytest.param("RWMap", (*ONE, 1, "k", 1, _list("EWFlag", (A,)), 1, 0), id="removal named by a replica alone"),
        pytest.param("RWMap", (*ONE, 1, "k", 1, _list("EWFlag", (B + bytes(6), A + bytes(6))), 1, 0), id="unsorted"),
        pytest.param("LWWMap", (*ONE, 1, 5, 1, 0, 7, "x"), id="key that is no text"),
        pytest.param("PNCounterMap", (*ONE, 1, "k", 0), id="key without a count"),
        pytest.param("ORMultiMap", (*ONE, 1, "k", 0), id="key without bindings"),
        pytest.param("ORMultiMap", (*ONE, 1, 5, 1, "x", 0), id="bindings under a key that is no text"),
        pytest.param("Text", (*ONE, 1, 0, 1, 1, 0, UPDATE), id="mark with an update"),
        pytest.param("Text", (*ONE, 1, 0, 2, 1, 0, b""), id="update that is empty"),
        pytest.param("Text", (*ONE, 1, 0, 1, 0), id="text without a piece"),
        pytest.param("Text", (*ONE, 1, 0, 0, 1, 0, b""), id="text named by no dot"),
        pytest.param("Text", (*TWO, 1, 0, 1, 2, 1, UPDATE, 0, b""), id="pieces out of order"),
        pytest.param("Text", (*TWO, 2, 0, 2, 1, 1, b"", 0, 1, 1, 0, b""), id="texts out of order"),
        pytest.param("JsonDocument", (*ONE, 1, 0, 7, "x"), id="document that is a scalar"),
        pytest.param("JsonDocument", (*ONE, 8, 0), id="document without the keys it says it has"),
        pytest.param("JsonDocument", (*ONE, 8, 1, 5, 1, 0, 7, "x"), id="key of a document that is no text"),
        pytest.param("JsonDocument", (*ONE, 8, 1, "k", 0), id="key with nothing under it"),
        pytest.param("JsonDocument", (*ONE, 8, 1, "k" * 5_000, 1, 0, 7, "x"), id="key of a document too long"),
        pytest.param("JsonDocument", (*TWO, 8, 2, "l", 1, 0, 7, "x", "k", 1, 1, 7, "x"), id="keys out of order"),
        pytest.param("JsonDocument", (*ONE, 8, 1, "k", 1, 0, -1, "x"), id="time below zero"),
        pytest.param("JsonDocument", (*ONE, 8, 1, "k", 1, 0, 7, _list(1)), id="list as a scalar"),
        pytest.param("JsonDocument", (*ONE, 8, 1, "k", 2, 1, 0, 7, "x"), id="one write said to be several"),
        pytest.param("JsonDocument", (*ONE, 8, 1, "k", 3, 0, 7, "x"), id="key with a dot that made it"),
        pytest.param("JsonDocument", (*ONE, 8, 1, "k", 64, 1, 0, P0), id="key that was moved"),
        pytest.param("JsonDocument", (*ONE, *(8, 1, "k") * 17, 1, 0, 7, "x"), id="document too deep"),
        pytest.param("JsonDocument", (*ONE, *LIST, 1, 3, 0, P0 + b"x", 0, 7, "x"), id="element at no position"),
        pytest.param("JsonDocument", (*ONE, *LIST, 1, 1, 0, P0, 0, 1, 0, 7, "x"), id="maker written in the long form"),
        pytest.param("JsonDocument", (*ONE, *LIST, 1, 64, 0, P0, 0, 1, 1, 0, b""), id="move to no position"),
        pytest.param(
            "JsonDocument", (*TWO, *LIST, 2, 3, 0, P0, 0, 7, 1, 3, 0, P1, 1, 0, 1), id="position not shortened"
        ),
        pytest.param(
            "JsonDocument", (*TWO, *LIST, 2, 3, 0, P1, 0, 7, 1, 3, 4, P0[4:], 1, 0, 1), id="list out of order"
        ),
        pytest.param("Vote", (*ONE, 1, 0, 2), id="ballot that is neither yes nor no"),
        pytest.param("Vote", (*ONE, 1, 0, True), id="ballot as a bool"),
        pytest.param("BoundedCounter", (*ONE, 1, 0, 0, 0, 0), id="bounded counter entry of zeros"),
        pytest.param("BoundedCounter", (*ONE, 1, 0, 1 << 47, 0, 0), id="rights beyond 47 bits"),
        pytest.param("BoundedCounter", (*ONE, 1, 0, 5, 0, 1, A, 1), id="transfer to oneself"),
        pytest.param("BoundedCounter", (*ONE, 1, 0, 5, 0, 1, B[1:], 1), id="transfer to an id of 15 bytes"),
        pytest.param("BoundedCounter", (*ONE, 1, 0, 5, 0, 2, C, 1, B, 1), id="receivers out of order"),
        pytest.param("BoundedCounter", (*ONE, 1, 0, 5, 0, 1, B, 0), id="transfer of nothing"),
        pytest.param("BoundedCounter", (*ONE, 1, 0, 5, 0, 2_000, B, 1), id="more receivers than there may be"),
    ],
)
def test_form_that_no_writer_makes_is_refused(name: str, items: tuple[Any, ...]) -> None:
    with pytest.raises(CodecError):
        deltas.decode_delta(registry.get(name), _message(*items), ReplicaTable())


def test_the_forms_above_are_one_step_from_a_good_one() -> None:
    for name, rest in (
        ("ORSet", (1, "x", 0)),
        ("PNCounter", (1, 0, 5, 0)),
        ("LWWRegister", (1, 0, 7, "x")),
        ("FWWRegister", (1, 0, 7, "x")),
        ("MaxRegister", (1, 0, 5)),
        ("MinRegister", (1, 0, 5.5)),
        ("TwoPhaseSet", (1, "x", 0, 0)),
        ("GSet", (1, "x", 0)),
        ("GCounter", (1, 0, 5)),
        ("ExactCounter", (1, 0, -5)),
        ("MVRegister", (1, 0, "x")),
        ("EWFlag", (1, 0)),
        ("DWFlag", (1, 0, 1)),
        ("RWSet", (0, 1, "x", 0)),
        ("ORMap", (1, _pair("k", "PNCounter"), 1, 0, 5, 0)),
        ("ORMap", (1, _pair("k", "Nothing"), 0, 1, SEALED)),
        ("UWMap", (1, _pair("k", "Nothing"), 1, 0, b"anything")),
        ("UWMap", (1, _pair("k", "ORSet"), 1, 0, _content(1, "x", 0))),
        ("RWMap", (1, "k", 1, msgpack.ExtType(1, b""), 1, 0)),
        ("RWMap", (1, "k", 1, _list("EWFlag"), 1, 0)),
        ("RWMap", (1, "k", 1, _list("EWFlag", (A + bytes(6), B + bytes(6))), 1, 0)),
        ("LWWMap", (1, "k", 1, 0, 7, "x")),
        ("Text", (1, 0, 1, 1, 0, b"")),
        ("Text", (1, 0, 2, 1, 0, UPDATE)),
        ("JsonDocument", (8, 1, "k", 1, 0, 7, "x")),
        ("JsonDocument", (*(8, 1, "k") * 16, 1, 0, 7, "x")),
        ("JsonDocument", (*LIST, 1, 3, 0, P0, 0, 7, "x")),
        ("JsonDocument", (*LIST, 1, 64, 0, P0, 0, 1, 1, 0, P1)),
        ("JsonDocument", (*LIST, 1, 1, 0, P0, 0, 2, 0, 7, "x")),
        ("PNCounterMap", (1, "k", 1, 0, 5, 0)),
        ("ORMultiMap", (1, "k", 1, "x", 0)),
        ("Vote", (1, 0, 1)),
        ("BoundedCounter", (1, 0, 5, 0, 2, B, 1, C, 1)),
    ):
        delta = deltas.decode_delta(registry.get(name), _message(*ONE, *rest), ReplicaTable())
        assert 1 == len(delta.context)


def test_nesting_beyond_the_cap_is_refused_in_time() -> None:
    payload = b""
    for _ in range(2_000):
        payload = msgpack.packb(msgpack.ExtType(1, payload))
    with pytest.raises(CodecError, match="nested deeper"):
        values.decode(payload)
    message = bytes((0x90 + len(ONE) + 3,)) + _flat(*ONE, 1) + payload + _flat(0)
    with pytest.raises(CodecError, match="nested deeper"):
        deltas.decode_delta(registry.get("ORSet"), message, ReplicaTable())


def test_maps_nested_beyond_the_cap_are_refused() -> None:
    content = b""
    for _ in range(500):
        content = _content(1, _pair("k", "UWMap"), 1, 0, content)
    for name, deep in (
        ("ORMap", (1, _pair("k", "ORMap")) * 500),
        ("RWMap", (1, "k", 1, _list("RWMap")) * 500),
        ("UWMap", (1, _pair("k", "UWMap"), 1, 0, content)),
    ):
        with pytest.raises(CodecError, match="nested deeper than 4"):
            deltas.decode_delta(registry.get(name), _message(*ONE, *deep), ReplicaTable())


def test_positions_that_share_more_than_their_bytes_warrant_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    items = (*TWO, *LIST, 2, 3, 0, P0, 0, 7, 1, 3, 4, P1[4:], 1, 0, 1)
    deltas.decode_delta(registry.get("JsonDocument"), _message(*items), ReplicaTable())
    monkeypatch.setattr("crdtmesh.crdts.json_codec.POSITIONS_BYTES_MAX", 11)
    with pytest.raises(CodecError, match="positions"):
        deltas.decode_delta(registry.get("JsonDocument"), _message(*items), ReplicaTable())


def test_message_beyond_its_bound_is_refused_unread() -> None:
    with pytest.raises(CodecError, match="size_bytes_max=10"):
        Reader(bytes(11), ReplicaTable(), size_bytes_max=10)


def test_message_with_more_replicas_than_the_table_takes_is_refused() -> None:
    ids = b"".join(number.to_bytes(16, "big") for number in range(3))
    with pytest.raises(CodecError, match="capacity=2"):
        Reader(_message(FORMAT, ids), ReplicaTable(capacity=2))


def _long(*items: Any) -> bytes:
    """Items and 10,000 zeros."""
    return _message(*items, *bytes(10_000))


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(b"\xdd\xff\xff\xff\xff" * 2_000, id="arrays that announce four billion items"),
        pytest.param(b"\xdf\xff\xff\xff\xff" * 2_000, id="maps that announce four billion items"),
        pytest.param(b"\xc6\xff\xff\xff\xff" + bytes(10_000), id="bytes longer than the message"),
        pytest.param(_long(FORMAT, A, 1, 0, 0, 0, N_MAX - 1, 2**40), id="four billion elements"),
        pytest.param(_long(FORMAT, A, 1, 0, 0, 0, N_MAX - 1, 1, "x", -(2**40)), id="a trillion dots"),
        pytest.param(_long(FORMAT, A, 1, 0, 2**40), id="a trillion intervals"),
    ],
)
def test_hostile_lengths_allocate_no_more_than_their_bytes_warrant(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            deltas.decode_delta(registry.get("ORSet"), hostile, ReplicaTable())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(hostile)


@pytest.mark.parametrize(
    "announced", [b"\xdc\x01\x00", b"\xdd\x00\x00\x01\x00", b"\xdd\xff\xff\xff\xff", b"\x9f", b"\xde\xff\xff"]
)
def test_nested_arrays_of_a_short_message_allocate_little(announced: bytes) -> None:
    hostile = announced * (256 // len(announced))
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            deltas.decode_delta(registry.get("ORSet"), hostile, ReplicaTable())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 250_000


@pytest.mark.parametrize("count", [1, 15, 16, 255, 256, 257, 65_535, 65_536])
def test_header_of_a_message_is_the_shortest_one(count: int) -> None:
    message = pack_header(count) + bytes(count)
    assert [0] * count == unpack_message(message)
    for longer in (b"\xdc" + count.to_bytes(2, "big") if count < 16 else b"", b"\xdd" + count.to_bytes(4, "big")):
        if longer and not message.startswith(longer):
            with pytest.raises(CodecError, match=r"shortest header|begins with"):
                unpack_message(longer + bytes(count))
    for wrong in (message[:-1], message + b"\0", pack_header(count + 1) + bytes(count), bytes(count), b""):
        with pytest.raises(CodecError):
            unpack_message(wrong)


def test_context_of_a_whole_replica_costs_neither_time_nor_memory() -> None:
    """A peer may claim to know 2**44 dots; joining that must walk what is there, not what is claimed."""
    table = ReplicaTable()
    data_type = registry.get("ORSet")
    everything = deltas.decode_delta(data_type, _message(FORMAT, A, 1, 0, 0, 0, N_MAX - 1, 0), table)
    state = deltas.decode_delta(data_type, _message(*TWO, 2, "x", "y", 0, 1), table)
    assert N_MAX == len(everything.context)
    store, touched = data_type.absorb(state.store, state.context, everything)
    assert data_type.is_bottom(store)
    assert [values.encode("x"), values.encode("y")] == touched
    state.context.update(everything.context)
    assert CausalContext.of_bounds(table, [(1 << 44) + 1, 2 << 44]) == state.context
