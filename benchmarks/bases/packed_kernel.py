"""Base `packed-int CRDT kernel`: an add-wins set of packed dots and nothing around it.

No types, no nesting, no shared context of a shard, no hostile input: a dict from element to dot, a version vector and
a cloud of dots beyond its gaps. A delta is the tuple `(element, new dot, dots it replaces)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

BITS: Final = 44
MASK: Final = (1 << BITS) - 1

Dots: TypeAlias = int | set[int]
Delta: TypeAlias = tuple[bytes, int | None, Dots | None]


class Kernel:
    """An add-wins set of one replica.

    Attributes:
        elements: each element with its live dot, or a set of several.
    """

    __slots__ = ("_cloud", "_replica", "_vector", "elements")

    def __init__(self, replica: int) -> None:
        self.elements: dict[bytes, Dots] = {}
        self._replica = replica
        self._vector: dict[int, int] = {}
        self._cloud: set[int] = set()

    def add(self, element: bytes) -> Delta:
        """Adds an element; returns the delta."""
        number = self._vector.get(self._replica, 0) + 1
        self._vector[self._replica] = number
        dot = self._replica << BITS | number
        replaced = self.elements.get(element)
        self.elements[element] = dot
        return element, dot, replaced

    def remove(self, element: bytes) -> Delta:
        """Removes an element that is in; returns the delta, which names it."""
        return element, None, self.elements.pop(element)

    def apply(self, delta: Delta) -> None:
        """Joins a delta of another replica."""
        element, dot, replaced = delta
        mine = self.elements.get(element)
        covered = () if replaced is None else _each(replaced)
        kept = set() if mine is None else {live for live in _each(mine) if live not in covered or live == dot}
        if dot is not None and not self._has(dot):
            kept.add(dot)
        if not kept:
            self.elements.pop(element, None)
        else:
            self.elements[element] = next(iter(kept)) if len(kept) == 1 else kept
        if dot is not None:
            self._see(dot)
        for each in covered:
            self._see(each)

    def _has(self, dot: int) -> bool:
        return (dot & MASK) <= self._vector.get(dot >> BITS, 0) or dot in self._cloud

    def _see(self, dot: int) -> None:
        replica, number = dot >> BITS, dot & MASK
        known = self._vector.get(replica, 0)
        if number == known + 1:
            while self._cloud and (replica << BITS | number + 1) in self._cloud:
                number += 1
                self._cloud.discard(replica << BITS | number)
            self._vector[replica] = number
        elif number > known:
            self._cloud.add(dot)


def _each(dots: Dots) -> Iterable[int]:
    return (dots,) if isinstance(dots, int) else dots
