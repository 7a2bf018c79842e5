"""An opaque state is seen as an object of its class, and told to the node when a turn changed it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.opaque import OpaqueType, StateUnreadable
from crdtmesh.sdk.opaque_copy import OpaqueCopy
from crdtmesh.wire import payloads
from crdtmesh.wire.gen.spawn.actors import actor_pb2


@dataclass
class Line:
    item: str
    count: int = 1


@dataclass
class Cart:
    lines: list[Line] = field(default_factory=list)
    note: str | None = None


def stored(value: Any, **tags: str) -> actor_pb2.ActorState:
    state = actor_pb2.ActorState(tags=tags)
    state.state.type_url, state.state.value = payloads.encode(value)
    return state


def cart_copy() -> OpaqueCopy:
    kind = OpaqueType(Cart)
    return OpaqueCopy(kind, kind.initial())


def test_an_actor_begins_with_an_object_made_without_arguments() -> None:
    copy = cart_copy()
    copy.load(actor_pb2.ActorState())
    value, tags = copy.begin()
    assert (Cart(), {}) == (value, tags)
    assert copy.change(value, tags) is None


@pytest.mark.parametrize(
    ("kind", "value", "type_url"),
    [
        (Cart, Cart([Line("milk", 2)], "soon"), payloads.JSON_TYPE_URL),
        (dict, {"milk": 2}, payloads.JSON_TYPE_URL),
        (dict[str, int], {"milk": 2}, payloads.JSON_TYPE_URL),
        (StringValue, StringValue(value="milk"), "type.googleapis.com/google.protobuf.StringValue"),
    ],
)
def test_each_kind_travels_and_comes_back(kind: Any, value: Any, type_url: str) -> None:
    opaque = OpaqueType(kind)
    found = opaque.encode(value)
    assert type_url == found[0]
    assert value == opaque.decode(*found)


def test_a_change_in_place_and_an_assignment_are_told_and_nothing_else_is() -> None:
    copy = cart_copy()
    copy.load(stored({"lines": [{"count": 1, "item": "milk"}]}, shelf="a"))
    value, tags = copy.begin()
    assert copy.change(value, tags) is None

    value.lines.append(Line("bread"))
    change = copy.change(value, tags)
    assert change is not None
    assert {"shelf": "a"} == dict(change.tags)
    assert '"bread"' in change.state.value.decode()
    copy.commit()

    assert copy.change(Cart(), tags) is not None
    copy.commit()
    assert Cart() == copy.begin()[0]


def test_tags_alone_leave_the_state_out() -> None:
    copy = cart_copy()
    copy.load(stored({}))
    value, tags = copy.begin()
    tags["shelf"] = "b"
    change = copy.change(value, tags)
    assert change is not None
    assert not change.HasField("state")
    copy.commit()
    assert {"shelf": "b"} == copy.begin()[1]


def test_what_a_failed_turn_did_is_undone() -> None:
    copy = cart_copy()
    copy.load(stored({"note": "soon"}))
    value, _ = copy.begin()
    value.note = "never"
    copy.roll_back()
    assert Cart(note="soon") == copy.begin()[0]


def test_what_a_handler_keeps_is_not_the_state_of_later_turns() -> None:
    copy = cart_copy()
    mine = Cart(note="mine")
    _, tags = copy.begin()
    copy.change(mine, tags)
    copy.commit()
    mine.note = "changed outside of a turn"
    assert Cart(note="mine") == copy.begin()[0]


def test_a_state_of_another_version_is_refused_with_the_field_s_name() -> None:
    copy = cart_copy()
    copy.load(stored({"lines": [{"item": "milk", "price": 3}]}))
    with pytest.raises(StateUnreadable, match=r"Cart\.lines: Line has no field 'price'"):
        copy.begin()


def test_a_state_that_could_not_be_read_back_is_refused() -> None:
    copy = cart_copy()
    value, tags = copy.begin()
    value.note = 3
    with pytest.raises(StateUnreadable, match=r"Cart\.note"):
        copy.change(value, tags)
    with pytest.raises(payloads.PayloadError, match="expected Cart, got dict"):
        copy.change({}, tags)


def test_a_class_without_defaults_needs_an_initial_state() -> None:
    assert OpaqueType(Line).encode(Line("milk")) == OpaqueType(Line).initial(Line("milk"))
    with pytest.raises(DefinitionError, match="initial"):
        OpaqueType(Line).initial()
    with pytest.raises(DefinitionError, match="expected a replicated type"):
        OpaqueType(list)
