"""The kinds of fault, and what is said of them."""

from pathlib import Path

from simulations.plan import FAULT_KINDS

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "simulator.md"


def test_guide_says_what_each_kind_of_fault_is() -> None:
    text = GUIDE.read_text()
    assert [] == [kind for kind in FAULT_KINDS if f"`{kind}`" not in text]
