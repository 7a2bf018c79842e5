"""The wire, the runtime and the SDK mean the same by the same number: the edge passes numbers on without a table."""

from crdtmesh.crdts import registry
from crdtmesh.runtime.definition import Kind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.sdk import errors
from crdtmesh.sdk.live.registry import live_type
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2
from crdtmesh.wire.gen.spawn.actors import actor_pb2


def test_error_codes_have_one_number_everywhere() -> None:
    wire = {name: number for name, number in values_pb2.ErrorCode.items() if number}

    assert wire == {code.name: code.value for code in ErrorCode}


def test_outcomes_have_one_number_everywhere() -> None:
    wire = {name.removeprefix("OUTCOME_"): number for name, number in values_pb2.Outcome.items() if number}

    assert wire == {outcome.name: outcome.value for outcome in Outcome}


def test_kinds_of_actors_have_the_numbers_of_spawn() -> None:
    shared = {name: number for name, number in actor_pb2.Kind.items() if number}

    assert shared == {kind.name: kind.value for kind in Kind if kind}


def test_each_error_code_becomes_an_exception_of_its_own() -> None:
    classes = [type(errors.error_for(code.name.lower(), "", "unknown")) for code in ErrorCode]

    assert len(ErrorCode) == len(set(classes))
    assert errors.CallError not in classes


def test_each_data_type_has_a_live_object_of_its_name() -> None:
    assert list(registry.names()) == [live_type(name).type_name for name in registry.names()]
