import random

import pytest

from tests.hosts.matrix import BRIEF, NETWORKS, PROCESSES, SIZES, bridge, brief, halves, one_way, split, whole
from tests.hosts.shape import CUT, Weather

SEEDS = range(20)


def cut(weather: Weather) -> set[tuple[int, int]]:
    return {pair for pair, shape in weather.links.items() if shape is CUT}


def reached(weather: Weather, size: int, start: int) -> set[int]:
    """Whom a host reaches in both directions, by others too."""
    gone = cut(weather)
    found, new = {start}, {start}
    while new:
        new = {b for a in new for b in range(size) if b not in found and (a, b) not in gone and (b, a) not in gone}
        found |= new
    return found


def test_the_whole_matrix_is_every_size_with_every_network_and_everything_that_befalls_a_host() -> None:
    names = [cell.name for cell in whole()]

    assert len(SIZES) * len(NETWORKS) * len(PROCESSES) == len(set(names)) == len(names) == 105


def test_faults_last_as_long_as_what_they_are_to_show_takes() -> None:
    lasting = {cell.name: cell.seconds for cell in whole()}

    assert 60 == lasting["5-split-none"]
    assert 20 < lasting["9-wan-pause"]
    assert all(seconds >= 8 for seconds in lasting.values())


def test_the_brief_one_has_everything_that_befalls_a_host_and_ends_soon() -> None:
    cells = list(brief())

    assert set(BRIEF) == {cell.name for cell in cells}
    assert set(PROCESSES) == {cell.process for cell in cells}
    assert 40 > sum(cell.seconds for cell in cells)


@pytest.mark.parametrize("size", SIZES)
def test_a_split_leaves_two_halves_and_nothing_between(size: int) -> None:
    for seed in SEEDS:
        left, right = halves(size, random.Random(seed))
        weather = split(size, random.Random(seed))
        assert left == reached(weather, size, min(left))
        assert right == reached(weather, size, min(right))
        assert size // 2 == len(left)
        assert frozenset(range(size)) == left | right


@pytest.mark.parametrize("size", SIZES)
def test_over_a_bridge_everybody_is_reached_but_not_directly(size: int) -> None:
    for seed in SEEDS:
        weather = bridge(size, random.Random(seed))
        assert set(range(size)) == reached(weather, size, 0)
        assert cut(weather)


@pytest.mark.parametrize("size", SIZES)
def test_a_one_way_cut_leaves_the_other_direction(size: int) -> None:
    for seed in SEEDS:
        gone = cut(one_way(size, random.Random(seed)))
        assert gone
        assert set() == {(b, a) for a, b in gone} & gone
        assert 1 == len({a for a, _ in gone})


def test_deaths_are_mistakes_only_where_every_host_runs_and_is_reached() -> None:
    connected = {cell.name for cell in whole() if cell.is_connected and cell.size == 3}

    assert {
        f"3-{network}-{process}"
        for network in ("clean", "wan", "loss")
        for process in ("none", "diskfull", "syncerror")
    } == connected
