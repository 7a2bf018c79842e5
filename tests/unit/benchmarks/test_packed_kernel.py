"""The kernel is a base only if it is right: it joins deltas as an add-wins set must."""

from __future__ import annotations

import itertools

from benchmarks.bases.packed_kernel import BITS, Delta, Kernel


def joined(*deltas: Delta) -> dict[bytes, object]:
    kernel = Kernel(9)
    for delta in deltas:
        kernel.apply(delta)
    return kernel.elements  # type: ignore[return-value]


def test_deltas_join_in_any_order_and_any_number_of_times() -> None:
    origin = Kernel(1)
    deltas = [origin.add(b"a"), origin.add(b"b"), origin.add(b"a")]
    expected = {b"a": 1 << BITS | 3, b"b": 1 << BITS | 2}
    for order in itertools.permutations(deltas):
        assert expected == joined(*order)
        assert expected == joined(*order, *order)


def test_an_add_survives_a_concurrent_removal() -> None:
    first, second = Kernel(1), Kernel(2)
    added = first.add(b"a")
    again = second.add(b"a")
    removal: Delta = (b"a", None, added[1])
    for order in itertools.permutations([added, again, removal]):
        assert {b"a": again[1]} == joined(*order)


def test_concurrent_adds_keep_both_dots() -> None:
    added, again = Kernel(1).add(b"a"), Kernel(2).add(b"a")
    assert {b"a": {added[1], again[1]}} == joined(added, again)
