from __future__ import annotations

import pytest

from crdtmesh.levels import LevelInvalid
from crdtmesh.replication.levels import parse_level
from crdtmesh.wire.gen.crdtmesh.v1 import values_pb2
from crdtmesh.wire.levels import level_from_proto, level_to_proto


@pytest.mark.parametrize("text", ["local", "to(3)", "majority", "majority(min_cap=3,extra=1)", "all"])
def test_level_comes_back_from_the_wire(text: str) -> None:
    assert parse_level(text) == level_from_proto(*level_to_proto(text))


def test_nothing_said_is_the_default() -> None:
    assert level_from_proto(*level_to_proto(None)) is None


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (values_pb2.LEVEL_TO, {}),
        (values_pb2.LEVEL_TO, {"count": 10_000}),
        (values_pb2.LEVEL_MAJORITY, {"count": 2}),
        (values_pb2.LEVEL_MAJORITY, {"extra": 10_000}),
        (values_pb2.LEVEL_ALL, {"min_cap": 2}),
        (values_pb2.LEVEL_DEFAULT, {"count": 2}),
        (99, {}),
    ],
)
def test_level_with_numbers_that_are_not_its_own_is_refused(number: values_pb2.Level, options: dict[str, int]) -> None:
    with pytest.raises(LevelInvalid):
        level_from_proto(number, values_pb2.LevelOptions(**options))
