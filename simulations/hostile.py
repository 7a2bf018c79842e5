"""A peer that means harm, or whose memory fails: old messages again, noise, and messages with changed bits.

It speaks on the links, past the session: what it sends has the name of a node that has a link. Peers are trusted to
say what they did, so a message with changed bits may be another truth; then only what no message may do is judged.
"""

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from crdtmesh.links.frames import Channel
from simulations.plan import HostilePlan

REMEMBERED: Final = 64
NOISE_BYTES_MAX: Final = 200

Receive = Callable[[str, Channel, bytes], None]
"""Takes a message: from whom, on which channel, what."""


class Hostile:
    """What goes wrong on the links of one run, on purpose."""

    def __init__(self, plan: HostilePlan, *, rng: random.Random, counts: Counter[str]) -> None:
        self._plan = plan
        self._rng = rng
        self._counts = counts
        self._is_calm = False
        self._old: dict[str, deque[tuple[str, Channel, bytes]]] = {}

    def calm(self) -> None:
        """The hostile peer is gone."""
        self._is_calm = True

    def passed(self, name: str, peer: str, channel: Channel, payload: bytes, receive: Receive) -> None:
        """A message reached a node; others may follow it."""
        if self._is_calm or channel not in (Channel.REPLICATION, Channel.REPAIR):
            return
        rng, plan = self._rng, self._plan
        old = self._old.setdefault(name, deque(maxlen=REMEMBERED))
        if old and rng.random() < plan.replay:
            self._counts["hostile_replayed"] += 1
            receive(*rng.choice(old))
        if rng.random() < plan.garbage:
            self._counts["hostile_garbage"] += 1
            noise = rng.randbytes(rng.randint(0, NOISE_BYTES_MAX))
            receive(peer, channel, noise if rng.random() < 0.5 else payload[: rng.randrange(max(1, len(payload)))])
        if rng.random() < plan.mutate:
            self._counts["hostile_mutated"] += 1
            receive(peer, channel, _mutated(payload, rng))
        old.append((peer, channel, payload))


def _mutated(payload: bytes, rng: random.Random) -> bytes:
    changed = bytearray(payload or b"\0")
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
