"""What a network does to frames: the same for every link, or link by link. Values that travel to the switch as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Pair = tuple[int, int]
"""Numbers of the sending and of the receiving host; each direction is a link of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What happens to frames of one link.

    Attributes:
        loss: share of frames that vanish.
        duplication: share that arrives twice.
        reordering: share that is held back up to `hold_s`, so that later ones overtake it; others keep their order.
        hold_s: in seconds.
        delay_s: of every frame, in seconds.
        jitter_s: at most so much more, evenly drawn.
        tail: share that takes `tail_s` more.
        tail_s: in seconds.
        corruption: share with one bit flipped.
        rate_bytes_s: how much the link carries; 0 for no limit.
        is_cut: nothing passes.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    hold_s: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    tail: float = 0.0
    tail_s: float = 0.0
    corruption: float = 0.0
    rate_bytes_s: int = 0
    is_cut: bool = False

    def __post_init__(self) -> None:
        for name in ("loss", "duplication", "reordering", "tail", "corruption"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share from 0 to 1, got {getattr(self, name)}")
        for name in ("hold_s", "delay_s", "jitter_s", "tail_s", "rate_bytes_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")


CLEAR = Shape()
CUT = Shape(is_cut=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The shapes of all links at one time.

    Attributes:
        everywhere: of each link that has no shape of its own.
        links: shapes of single links.
    """

    everywhere: Shape = CLEAR
    links: Mapping[Pair, Shape] = field(default_factory=dict)

    def of(self, source: int, target: int) -> Shape:
        """The shape of a link."""
        return self.links.get((source, target), self.everywhere)

    def cutting(self, pairs: frozenset[Pair]) -> Weather:
        """The same with some links cut."""
        return Weather(everywhere=self.everywhere, links={**self.links, **dict.fromkeys(sorted(pairs), CUT)})

    def to_json(self) -> dict[str, Any]:
        """For the pipe to the switch."""
        return {
            "everywhere": dataclasses.asdict(self.everywhere),
            "links": [[*pair, dataclasses.asdict(shape)] for pair, shape in sorted(self.links.items())],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Weather:
        """The reverse."""
        links = {(source, target): Shape(**shape) for source, target, shape in data["links"]}
        return cls(everywhere=Shape(**data["everywhere"]), links=links)


def between(left: frozenset[int], right: frozenset[int]) -> frozenset[Pair]:
    """All links between two groups of hosts, in both directions."""
    return frozenset({(a, b) for a in left for b in right} | {(b, a) for a in left for b in right})


def from_to(sources: frozenset[int], targets: frozenset[int]) -> frozenset[Pair]:
    """All links from some hosts to others, in that direction only."""
    return frozenset((a, b) for a in sources for b in targets)
