"""Dataclasses as annotations: a JSON object becomes one, or the message says which field doesn't fit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from crdtmesh.sdk.binding import BindingError, Signature
from crdtmesh.sdk.checks import Mismatch, check_for
from crdtmesh.sdk.context import Context
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.wire import payloads


@dataclass(frozen=True)
class Point:
    x: float
    y: float = 0.0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")


@dataclass
class Route:
    points: list[Point] = field(default_factory=list)
    end: Point | None = None


@dataclass
class Unchecked:
    key: set[str]


class Actor:
    def go(self, ctx: Context, route: Route) -> None: ...
    def turn(self, ctx: Context, point: Point, left: bool = False) -> None: ...


def test_objects_become_dataclasses_at_every_depth_and_back() -> None:
    route = Route([Point(1.0, 2.0)], Point(3.0))
    assert route == check_for(Route)(payloads.decode(*payloads.encode(route)))
    assert route is check_for(Route)(route)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "an object for Route"),
        ({"point": []}, "Route has no field 'point'; did you mean 'points'"),
        ({"points": [{"y": 1}]}, "Route.points: Point: missing field 'x'"),
        ({"points": [{"x": "1"}]}, "Route.points: Point.x: expected a number"),
        ({"points": [{"x": -1}]}, "Point: x is negative"),
    ],
)
def test_what_does_not_fit_is_named(value: object, words: str) -> None:
    with pytest.raises(Mismatch, match=words):
        check_for(Route)(value)


def test_a_field_without_check_is_refused_at_the_declaration() -> None:
    with pytest.raises(DefinitionError, match="no check"):
        check_for(Unchecked)


def test_a_sole_dataclass_takes_the_whole_object_and_others_their_arguments() -> None:
    go, turn = Signature.of(Actor.go, "go"), Signature.of(Actor.turn, "turn")
    assert (Route([Point(1.0)]),) == go.bind({"points": [{"x": 1}]})
    assert (Point(1.0), True) == turn.bind({"point": {"x": 1}, "left": True})
    with pytest.raises(BindingError, match="argument 'route': Route has no field"):
        go.bind({"route": {}})
