import json

import pytest

from tests.hosts.shape import CLEAR, CUT, Shape, Weather, between, from_to


def test_weather_survives_the_pipe() -> None:
    weather = Weather(everywhere=Shape(loss=0.2, delay_s=0.1)).cutting(frozenset({(0, 2), (1, 0)}))

    assert weather == Weather.from_json(json.loads(json.dumps(weather.to_json())))


def test_a_link_without_a_shape_of_its_own_is_as_everywhere() -> None:
    weather = Weather(everywhere=Shape(loss=0.2)).cutting(frozenset({(0, 2)}))

    assert CUT == weather.of(0, 2)
    assert Shape(loss=0.2) == weather.of(2, 0)
    assert CLEAR == Weather().of(0, 1)


def test_links_between_groups_go_both_ways_and_links_from_one_to_another_do_not() -> None:
    assert {(0, 1), (1, 0), (0, 2), (2, 0)} == between(frozenset({0}), frozenset({1, 2}))
    assert {(0, 1), (0, 2)} == from_to(frozenset({0}), frozenset({1, 2}))


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"corruption": -0.1}, {"delay_s": -1.0}, {"rate_bytes_s": -1}])
def test_a_shape_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Shape(**wrong)  # type: ignore[arg-type]
