"""The users' test kit: what is right passes, and each kind of wrong type is caught."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from crdtmesh.crdts import OR_SET, PN_COUNTER, CausalContext, Delta, Operation
from crdtmesh.crdts.base import DataType, Mutation
from crdtmesh.crdts.counter_pn import CounterStore, PNCounter
from crdtmesh.testing import History, Product, check_convergence, check_laws, operation

SHOP = Product("Shop", stock=PN_COUNTER, names=OR_SET)
OPERATIONS = st.one_of(
    operation("stock.increment", st.integers(1, 3)),
    operation("stock.reset"),
    operation("names.add", st.sampled_from(["milk", "eggs"])),
    operation("names.remove", st.sampled_from(["milk", "eggs"])),
)
COUNTS = st.one_of(operation("increment", st.integers(1, 3)), operation("reset"))


def test_composed_state_keeps_the_laws_and_converges() -> None:
    check_laws(SHOP, OPERATIONS, examples=30)
    check_convergence(SHOP, OPERATIONS, examples=30)


class LastArrivalCounter(PNCounter):
    """Joins in favour of its first argument."""

    def join(
        self, a: CounterStore, a_context: CausalContext, b: CounterStore, b_context: CausalContext
    ) -> CounterStore:
        return a or b


class WastefulCounter(PNCounter):
    """Its deltas repeat the whole store."""

    def mutate(self, store: CounterStore, operation: Operation, mutation: Mutation) -> Delta[CounterStore] | None:
        delta = super().mutate(store, operation, mutation)
        if delta is None or not delta.store:
            return delta
        others = {dot: pair for dot, pair in store.items() if dot not in delta.context}
        return Delta({**others, **delta.store}, CausalContext(mutation.table, (*others, *delta.context)))


class ArrivalOrderCounter(PNCounter):
    """Keeps what it has and ignores what it is sent."""

    def absorb(self, store: CounterStore, context: CausalContext, delta: Delta[CounterStore]) -> tuple[Any, Any]:
        return super().absorb(store, context, delta) if not store else (store, ())


@pytest.mark.parametrize("wrong", [LastArrivalCounter(), WastefulCounter()])
def test_type_that_breaks_a_law_is_caught(wrong: DataType[Any]) -> None:
    with pytest.raises(AssertionError):
        check_laws(wrong, COUNTS, examples=2_000, shrink=False)


def test_type_that_does_not_converge_is_caught() -> None:
    with pytest.raises(AssertionError):
        check_convergence(ArrivalOrderCounter(), COUNTS, shrink=False)


@pytest.mark.parametrize("claim", [lambda history: 0, len])
def test_specification_that_the_type_does_not_keep_is_caught(claim: Callable[[History], int]) -> None:
    with pytest.raises(AssertionError):
        check_convergence(PN_COUNTER, COUNTS, specification=claim, shrink=False)


def test_kit_loads_hypothesis_only_when_a_check_is_used() -> None:
    program = "import sys, crdtmesh.testing as kit; kit.Product, kit.World; print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "False\n" == done.stdout


def test_kit_without_hypothesis_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import crdtmesh.testing as kit\n"
        "kit.Product, kit.World\n"
        "try: kit.check_laws\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'crdtmesh[testing]'" in done.stdout
