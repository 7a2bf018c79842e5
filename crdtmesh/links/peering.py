"""Who dials, and which connection stays. Pure decisions, driven by `manager`.

There is one connection for each pair of nodes, and both sides must pick the same one without talking about it:

- The node with the lower name dials at once, the other `dial_delay_s` later: so a pair comes up at once where both
  can reach each other, and also where only the higher one can.
- A node never dials a peer while it has a link to it. So a hello from a peer that is linked means one of two
  things: the peer has lost that link and we do not know it yet, or its dial crossed ours.
- When dials cross, the *lower name's* connection stays. The higher one admits it at once and drops its own; the
  lower one parks what comes in until its own dial has ended. Nobody decides by arrival order, which the two sides
  see differently.
- A parked connection is admitted when what it waits for is gone, and ends by the handshake timeout otherwise.

A hello whose name or start id membership does not know is parked as well: gossip may be a moment behind the dial. An
old start and a new one cannot be told apart by their ids, so membership alone decides which start is meant.
"""

import enum
import random

from crdtmesh.links.options import LinkOptions

__all__ = ["Backoff", "Verdict", "dials_first", "judge_inbound"]


class Verdict(enum.Enum):
    """What to do with a good hello on an accepted connection."""

    ADMIT = "admit"  # and drop our own dial, if one is under way
    REPLACE = "replace"  # admit, and close the link there is: the peer has lost it
    PARK = "park"  # judge again when something changes


def dials_first(local: str, peer: str) -> bool:
    """Whether `local` is the one of the two that dials without delay. Exactly one of two different names is."""
    return local < peer


def judge_inbound(*, is_lower: bool, is_known_start: bool, link_is_ours: bool | None, is_dialling: bool) -> Verdict:
    """Decide about an accepted connection whose hello is good.

    Args:
        is_lower: our name is the lower one.
        is_known_start: membership knows the peer, and at this start id.
        link_is_ours: None without an established link to the peer; else whether we dialled it.
        is_dialling: a dial of ours to the peer is under way.
    """
    if not is_known_start:
        return Verdict.PARK
    if link_is_ours is None:
        return Verdict.PARK if is_lower and is_dialling else Verdict.ADMIT
    if is_lower and link_is_ours:
        # A crossed dial, which its sender drops when it sees ours; or the peer lost our link, which we notice soon.
        return Verdict.PARK
    return Verdict.REPLACE


class Backoff:
    """Delays between the dials of one peer: doubling, with jitter so that a whole cluster does not dial in step."""

    __slots__ = ("_failures", "_options", "_rng")

    def __init__(self, options: LinkOptions, rng: random.Random) -> None:
        self._options = options
        self._rng = rng
        self._failures = 0

    def next_delay_s(self) -> float:
        """The delay after one more failure: between a half and the whole of the doubled step."""
        options = self._options
        # The exponent is capped so that a peer gone for a year does not overflow a float.
        step_s = min(options.backoff_max_s, options.backoff_min_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return step_s * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start again at the shortest delay: the peer was reached."""
        self._failures = 0
