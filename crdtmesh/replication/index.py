"""Which entry each known dot belongs to.

Repair starts from dots that a peer lacks and needs their entries. They are found in runs `(first, last, entry number)`
per replica, kept in order in three arrays: 20 bytes a run, and a run for each change of key, so one hot key costs
nothing. A dictionary from dot to entry takes 110 bytes a dot; a flat array by dot number lets a peer that claims one
far dot make us allocate all below it.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

Run = tuple[int, int, int]
"""First number, last number, entry number."""


class _Origin:
    """The runs of one replica, ascending and disjoint."""

    __slots__ = ("firsts", "lasts", "numbers")

    def __init__(self) -> None:
        self.firsts = array("Q")
        self.lasts = array("Q")
        self.numbers = array("I")


class DotIndex:
    """A map from dot to entry number, in runs."""

    __slots__ = ("_origins",)

    def __init__(self) -> None:
        self._origins: dict[int, _Origin] = {}

    def add(self, replica: int, first: int, last: int, number: int) -> None:
        """Assigns the dots `first..last` of a replica to an entry; a dot that has an entry keeps it.

        Complexity: O(1) amortised at the end, which is where new events are; O(runs) for a late one.
        """
        origin = self._origins.get(replica)
        if origin is None:
            origin = self._origins[replica] = _Origin()
        lasts = origin.lasts
        if not lasts or first > lasts[-1]:
            if lasts and lasts[-1] == first - 1 and origin.numbers[-1] == number:
                lasts[-1] = last
            else:
                origin.firsts.append(first)
                lasts.append(last)
                origin.numbers.append(number)
            return
        position = bisect_left(lasts, first)
        while first <= last:
            following = origin.firsts[position] if position < len(lasts) else last + 1
            if first < following:
                end = min(last, following - 1)
                origin.firsts.insert(position, first)
                lasts.insert(position, end)
                origin.numbers.insert(position, number)
                first = end + 1
            else:
                first = lasts[position] + 1
            position += 1

    def runs(self, replica: int, first: int, last: int) -> Iterator[Run]:
        """The indexed runs within `first..last`, ascending, cut to it. Complexity: O(log runs + result)."""
        origin = self._origins.get(replica)
        if origin is None:
            return
        firsts, lasts, numbers = origin.firsts, origin.lasts, origin.numbers
        low = bisect_left(lasts, first)
        high = bisect_right(firsts, last)
        for position in range(low, high):
            yield max(first, firsts[position]), min(last, lasts[position]), numbers[position]

    def last_of(self, number: int, *, runs_max: int) -> dict[int, int]:
        """The last indexed dot of an entry, by replica, among the newest runs; `runs_max` are looked at in all."""
        found: dict[int, int] = {}
        share = max(1, runs_max // max(1, len(self._origins)))
        for replica, origin in self._origins.items():
            numbers = origin.numbers
            for position in range(len(numbers) - 1, max(-1, len(numbers) - 1 - share), -1):
                if numbers[position] == number:
                    found[replica] = origin.lasts[position]
                    break
        return found

    def trim(self, replica: int, last: int) -> list[int]:
        """Forgets the dots `1..last` of a replica; the entry numbers of their runs. Complexity: O(runs)."""
        origin = self._origins.get(replica)
        if origin is None:
            return []
        count = bisect_right(origin.firsts, last)
        if not count:
            return []
        dropped = list(origin.numbers[:count])
        if origin.lasts[count - 1] > last:
            # The run goes on above the mark; its entry is not among those that may have lost their last run.
            count -= 1
            origin.firsts[count] = last + 1
            dropped.pop()
        del origin.firsts[:count], origin.lasts[:count], origin.numbers[:count]
        if not origin.firsts:
            del self._origins[replica]
        return dropped

    def numbers(self) -> set[int]:
        """The numbers of all entries that have a run. Complexity: O(runs)."""
        return {number for origin in self._origins.values() for number in origin.numbers}

    def __len__(self) -> int:
        """Number of runs, over all replicas."""
        return sum(len(origin.firsts) for origin in self._origins.values())
