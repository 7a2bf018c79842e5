import pytest

from crdtmesh.demo.ledger import UNKNOWN_EXACT_MAX, Ledger


def test_an_acknowledged_count_must_be_in_the_value() -> None:
    ledger = Ledger()
    ledger.counted("apples", 5, "acknowledged")

    assert [] == ledger.lost({"apples": 5}, [], None)
    assert 1 == len(ledger.lost({"apples": 4}, [], None))
    assert 1 == len(ledger.lost({"apples": 6}, [], None))
    assert 1 == len(ledger.lost({}, [], None))


def test_an_unknown_count_may_be_in_the_value_and_a_refused_one_may_not() -> None:
    ledger = Ledger()
    ledger.counted("apples", 5, "acknowledged")
    ledger.counted("apples", -2, "unknown")
    ledger.counted("apples", 7, "unknown")
    ledger.counted("apples", 100, "refused")

    for value, is_kept in ((5, True), (3, True), (12, True), (10, True), (4, False), (105, False)):
        assert is_kept == (not ledger.lost({"apples": value}, [], None))


def test_with_many_unknown_counts_the_bounds_still_hold() -> None:
    ledger = Ledger()
    for _ in range(UNKNOWN_EXACT_MAX + 1):
        ledger.counted("apples", 1, "unknown")

    assert [] == ledger.lost({"apples": 3}, [], None)
    assert 1 == len(ledger.lost({"apples": UNKNOWN_EXACT_MAX + 2}, [], None))
    assert 1 == len(ledger.lost({"apples": -1}, [], None))


@pytest.mark.parametrize(
    ("added", "removed", "allowed"),
    [
        ("acknowledged", None, {True}),
        ("unknown", None, {True, False}),
        ("refused", None, {False}),
        ("acknowledged", "acknowledged", {False}),
        ("acknowledged", "unknown", {True, False}),
        ("acknowledged", "refused", {True}),
    ],
)
def test_an_element_is_where_its_calls_left_it(added: str, removed: str | None, allowed: set[bool]) -> None:
    ledger = Ledger()
    ledger.added("milk", added)  # type: ignore[arg-type]
    if removed is not None:
        ledger.removed("milk", removed)  # type: ignore[arg-type]

    assert allowed == {present for present in (True, False) if not ledger.lost({}, ["milk"] if present else [], None)}


def test_an_element_that_nobody_added_is_reported() -> None:
    assert 1 == len(Ledger().lost({}, ["ghost"], None))


def test_the_price_is_one_that_was_set() -> None:
    ledger = Ledger()
    ledger.priced(10, "acknowledged")
    ledger.priced(20, "unknown")
    ledger.priced(30, "refused")

    assert [] == ledger.lost({}, [], 10)
    assert [] == ledger.lost({}, [], 20)
    assert 1 == len(ledger.lost({}, [], 30))
    assert 1 == len(ledger.lost({}, [], 40))
    assert 1 == len(ledger.lost({}, [], None))


def test_all_calls_are_counted_by_outcome() -> None:
    ledger = Ledger()
    ledger.read("acknowledged")
    ledger.added("milk", "unknown")
    ledger.counted("apples", 1, "refused")

    assert 3 == ledger.calls
    assert {"acknowledged": 1, "unknown": 1, "refused": 1} == ledger.outcomes
