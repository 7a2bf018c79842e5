"""What broke once stays mended."""

import pkgutil

import pytest

from simulations import scenarios
from simulations.scenarios import SCENARIOS


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_scenario_stays_mended(name: str) -> None:
    assert [] == SCENARIOS[name]()


def test_every_scenario_is_in_the_list() -> None:
    modules = {module.name for module in pkgutil.iter_modules(scenarios.__path__)} - {"by_hand"}
    assert modules == set(SCENARIOS)
