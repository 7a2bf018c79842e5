"""What the clients of the demo were told, and whether the final state keeps it. Pure: no node is asked here.

A call ends as acknowledged, unknown or refused. An acknowledged one must be in the final state, a refused one must not,
an unknown one may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, Literal

Outcome = Literal["acknowledged", "unknown", "refused"]

# Every subset of so many unknown amounts is tried (65,536 sums); with more of them only the bounds are checked.
UNKNOWN_EXACT_MAX: Final = 16


@dataclass(slots=True)
class _Counted:
    acknowledged: int = 0
    unknown: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Element:
    added: Outcome
    removed: Outcome | None = None


@dataclass(slots=True)
class Ledger:
    """Everything that was asked of the shops, with its outcome.

    Attributes:
        outcomes: how many calls ended how; reads included.
    """

    outcomes: dict[Outcome, int] = field(default_factory=lambda: {"acknowledged": 0, "unknown": 0, "refused": 0})
    _counters: dict[str, _Counted] = field(default_factory=dict)
    _elements: dict[str, _Element] = field(default_factory=dict)
    _prices: dict[int, Outcome] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """All calls so far."""
        return sum(self.outcomes.values())

    def read(self, outcome: Outcome) -> None:
        """A read ended."""
        self.outcomes[outcome] += 1

    def counted(self, counter: str, amount: int, outcome: Outcome) -> None:
        """A change of a counter ended."""
        self.outcomes[outcome] += 1
        counted = self._counters.setdefault(counter, _Counted())
        if outcome == "acknowledged":
            counted.acknowledged += amount
        elif outcome == "unknown":
            counted.unknown.append(amount)

    def added(self, element: str, outcome: Outcome) -> None:
        """Adding an element, which nobody else ever adds, ended."""
        self.outcomes[outcome] += 1
        self._elements[element] = _Element(outcome)

    def removed(self, element: str, outcome: Outcome) -> None:
        """Removing an element, whose addition was acknowledged before, ended."""
        self.outcomes[outcome] += 1
        if outcome != "refused":
            self._elements[element].removed = outcome

    def priced(self, price: int, outcome: Outcome) -> None:
        """Setting the price, each time to another value, ended."""
        self.outcomes[outcome] += 1
        self._prices[price] = outcome

    def lost(self, counters: Mapping[str, int], elements: Iterable[str], price: int | None) -> list[str]:
        """What the final state owes to the clients, one line each; empty when it keeps every promise.

        Args:
            counters: final values by name.
            elements: all elements of all lists.
            price: the final price, None when there is none.
        """
        return [
            *self._lost_counts(counters),
            *self._lost_elements(set(elements)),
            *self._lost_price(price),
        ]

    def _lost_counts(self, values: Mapping[str, int]) -> Iterable[str]:
        for name, counted in sorted(self._counters.items()):
            rest = values.get(name, 0) - counted.acknowledged
            if not _is_sum(rest, counted.unknown):
                yield f"counter {name}: {values.get(name, 0)} can't come from {counted.acknowledged} acknowledged"

    def _lost_elements(self, present: set[str]) -> Iterable[str]:
        for name, element in sorted(self._elements.items()):
            if element.added == "acknowledged" and element.removed is None and name not in present:
                yield f"element {name}: its addition was acknowledged, and it is missing"
            elif (element.added == "refused" or element.removed == "acknowledged") and name in present:
                yield f"element {name}: it should be gone, and it is there"
        for name in sorted(present - self._elements.keys()):
            yield f"element {name}: nobody added it"

    def _lost_price(self, price: int | None) -> Iterable[str]:
        if price is None:
            if "acknowledged" in self._prices.values():
                yield "price: one was acknowledged, and there is none"
        elif self._prices.get(price, "refused") == "refused":
            yield f"price {price}: nobody set it"


def _is_sum(rest: int, amounts: list[int]) -> bool:
    """Whether some of the amounts add up to `rest`."""
    if len(amounts) > UNKNOWN_EXACT_MAX:
        low, high = sum(min(0, amount) for amount in amounts), sum(max(0, amount) for amount in amounts)
        return low <= rest <= high
    return any(sum(chosen) == rest for size in range(len(amounts) + 1) for chosen in combinations(amounts, size))
