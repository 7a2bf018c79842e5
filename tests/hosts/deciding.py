"""What becomes of each frame: decided by the seed, the link and how many frames it has carried, and by nothing else.

A core without I/O. When a frame arrives is up to the kernel and the processes, so times do not replay; which frame of
a link is lost, doubled, held back or damaged does.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.hosts.shape import Pair, Shape, Weather

SECOND_NS: Final = 1_000_000_000

# What a home router queues; a frame that would wait longer is dropped, as there.
QUEUE_NS_MAX: Final = SECOND_NS // 2

# A frame that takes longer than this because of its shape is counted as delayed.
DELAYED_NS: Final = 1_000_000


class Verdict(NamedTuple):
    """What becomes of one frame.

    Attributes:
        dues: when each copy arrives, in ns; none: it does not.
        flipped: the bit that is to be flipped; None: none is.
        words: what was done to it, for the capture; empty for nothing.
    """

    dues: tuple[int, ...]
    flipped: int | None
    words: tuple[str, ...]


@dataclass(slots=True)
class _Link:
    rng: random.Random
    free_ns: int = 0
    last_due_ns: int = 0


@dataclass(slots=True)
class Decider:
    """Decides about the frames of all links.

    Attributes:
        seed: of all draws.
        weather: what links do now.
        counts: what really happened, by kind: seen, delivered, lost, cut, overflowed, delayed, duplicated, reordered,
            corrupted.
    """

    seed: int
    weather: Weather = field(default_factory=Weather)
    counts: Counter[str] = field(default_factory=Counter)
    _links: dict[Pair, _Link] = field(default_factory=dict)

    def decide(self, source: int, target: int, size_bytes: int, now_ns: int) -> Verdict:
        """What becomes of a frame that a host has just sent to another."""
        link = self._links.get((source, target))
        if link is None:
            link = self._links[source, target] = _Link(random.Random(f"{self.seed}:{source}:{target}"))
        # As many draws for every frame, whatever becomes of it: what one fault does shifts no other.
        lost, doubled, held, hold, jitter, late, damaged, where = (link.rng.random() for _ in range(8))
        shape = self.weather.of(source, target)
        self.counts["seen"] += 1
        if shape.is_cut:
            return self._dropped("cut")
        if lost < shape.loss:
            return self._dropped("lost")
        sent_ns = self._through_queue(link, shape, size_bytes, now_ns)
        if sent_ns is None:
            return self._dropped("overflowed")
        words = []
        extra_s = shape.delay_s + jitter * shape.jitter_s + (shape.tail_s if late < shape.tail else 0.0)
        due_ns = sent_ns + int(extra_s * SECOND_NS)
        if held < shape.reordering:
            due_ns += int(hold * shape.hold_s * SECOND_NS)
            words.append("reordered")
        else:
            due_ns = link.last_due_ns = max(due_ns, link.last_due_ns)
        if due_ns - now_ns > DELAYED_NS:
            words.append("delayed")
        flipped = None
        if damaged < shape.corruption:
            flipped = int(where * size_bytes * 8)
            words.append("corrupted")
        copies = 1
        if doubled < shape.duplication:
            copies = 2
            words.append("duplicated")
        self.counts.update(words)
        self.counts["delivered"] += copies
        return Verdict((due_ns,) * copies, flipped, tuple(words))

    def _dropped(self, kind: str) -> Verdict:
        self.counts[kind] += 1
        return Verdict((), None, (kind,))

    @staticmethod
    def _through_queue(link: _Link, shape: Shape, size_bytes: int, now_ns: int) -> int | None:
        """When a frame has left the queue in front of the link; None if the queue is full."""
        if not shape.rate_bytes_s:
            return now_ns
        starts_ns = max(now_ns, link.free_ns)
        if starts_ns - now_ns > QUEUE_NS_MAX:
            return None
        link.free_ns = starts_ns + size_bytes * SECOND_NS // shape.rate_bytes_s
        return link.free_ns


def damage(frame: bytes, bit: int) -> bytes:
    """A frame with one bit flipped."""
    changed = bytearray(frame)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
