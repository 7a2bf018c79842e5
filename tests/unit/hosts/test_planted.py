import sys

from simulations.planted import PLANTED
from tests.hosts.planted import BUGS, launcher


def test_every_bug_of_the_simulator_can_be_planted_in_a_node() -> None:
    assert len(PLANTED) == len(BUGS)


def test_a_node_without_a_bug_is_started_as_it_is() -> None:
    assert () == launcher("")
    assert (sys.executable, "-m", "tests.hosts.planted", "never_repair") == launcher("never_repair")
