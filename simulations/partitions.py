"""Kinds of partition: each maps the shuffled names of all nodes to the paths that are cut."""

from collections.abc import Callable, Sequence
from typing import Final

from simulations.network import Path

Partition = Callable[[Sequence[str]], list[Path]]


def between(first: Sequence[str], second: Sequence[str]) -> list[Path]:
    """All paths from one group to the other, both ways."""
    return [path for a in first for b in second for path in ((a, b), (b, a))]


def around(name: str, names: Sequence[str]) -> list[Path]:
    """All paths to and from one node."""
    return between([name], [other for other in names if other != name])


def _full(names: Sequence[str]) -> list[Path]:
    return [(a, b) for a in names for b in names if a != b]


def halves(names: Sequence[str]) -> list[Path]:
    """Two groups that do not see each other."""
    middle = len(names) // 2
    return between(names[:middle], names[middle:])


def _single(names: Sequence[str]) -> list[Path]:
    return around(names[0], names)


def _one_way(names: Sequence[str]) -> list[Path]:
    return [(names[0], other) for other in names[1:]]


def _bridge(names: Sequence[str]) -> list[Path]:
    """Two halves that see each other through one node only."""
    return halves(names[1:])


def _ring(names: Sequence[str]) -> list[Path]:
    """Everybody sees two neighbours only."""
    count = len(names)
    return [
        (a, b)
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if a != b and (i - j) % count not in (1, count - 1)
    ]


PARTITIONS: Final[dict[str, Partition]] = {
    "bridge": _bridge,
    "full": _full,
    "halves": halves,
    "one_way": _one_way,
    "ring": _ring,
    "single": _single,
}
"""By name."""
