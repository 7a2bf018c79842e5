"""What every data type reads as and is asked for has a JSON form and a protobuf form, and comes back from them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtmesh.cli.values import shown
from crdtmesh.crdts import registry
from crdtmesh.crdts.values import PlainValue, encode
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
    """What JSON can tell of a value: sequences are lists, bytes are hexadecimal digits."""
    if isinstance(value, tuple | list):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return value.hex() if isinstance(value, bytes) else value


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
        assert repr(_as_json(replica.value)) == repr(json.loads(shown(replica.value)))


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
