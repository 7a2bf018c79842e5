from tests.hosts.matrix import Cell, whole
from tests.hosts.trial import without_effect

CELLS = {cell.name: cell for cell in whole()}


def cell(name: str) -> Cell:
    return CELLS[name]


def test_a_network_that_did_nothing_is_found() -> None:
    assert ["faults: no frame was cut"] == without_effect(cell("3-split-none"), {"seen": 9, "delivered": 9}, True)
    assert [] == without_effect(cell("3-split-none"), {"seen": 9, "cut": 1}, True)
    assert [] == without_effect(cell("3-clean-none"), {"seen": 9, "delivered": 9}, True)


def test_every_network_but_the_clean_one_has_something_to_show() -> None:
    silent = {each.network for each in CELLS.values() if not each.sky.shows}

    assert {"clean"} == silent


def test_a_disk_that_was_not_full_for_the_node_is_found() -> None:
    assert ["faults: diskfull had no effect on the node"] == without_effect(cell("3-clean-diskfull"), {}, False)
