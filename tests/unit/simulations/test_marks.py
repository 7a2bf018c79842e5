"""Markers of rare branches: they watch, and leave nothing behind."""

import pytest

from simulations.marks import MARKS, watching


@pytest.mark.parametrize("name", sorted(MARKS))
def test_marker_watches_a_method_that_exists_and_takes_its_watch_off_again(name: str) -> None:
    mark = MARKS[name]
    before = mark.owner.__dict__[mark.name]
    with watching() as reached:
        assert mark.owner.__dict__[mark.name] is not before
    assert mark.owner.__dict__[mark.name] is before
    assert not reached
