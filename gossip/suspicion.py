"""How long a member may stay suspect: timeout arithmetic, no timers.

Without confirmation the time is long, since the accuser may be the slow one; each independent accuser shortens it.

Source: Lifeguard (arXiv:1707.00788), section on local health aware suspicion; bounds as memberlist computes them.
"""

import math
from dataclasses import dataclass, field

from gossip.identity import NodeName

_MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspicionBounds:
    """Shortest and longest time in nanoseconds, and how many confirmations lead from one to the other."""

    min_ns: int
    max_ns: int
    confirmations_wanted: int

    def timeout_ns(self, confirmations: int) -> int:
        """Time a member may stay suspect before it is declared dead.

        Shrinks from `max_ns` to `min_ns` with the logarithm of independent confirmations.

        Args:
            confirmations: distinct members that suspect it, the first not counted; 0 or more.

        Returns:
            Nanoseconds from the start of the suspicion; never below `min_ns`.

        Source: Lifeguard (arXiv:1707.00788), section on suspicion timeouts.
        """
        if self.confirmations_wanted < 1:
            return self.min_ns
        fraction = math.log(confirmations + 1) / math.log(self.confirmations_wanted + 1)
        timeout = self.max_ns - (self.max_ns - self.min_ns) * fraction
        return max(self.min_ns, int(timeout // _MILLISECOND_NS) * _MILLISECOND_NS)


def suspicion_bounds(
    members: int, *, probe_interval_ns: int, multiplier: int, max_multiplier: int, is_dynamic: bool = True
) -> SuspicionBounds:
    """The bounds for a suspicion that starts now.

    Args:
        members: entries of the table, this node and the dead included.
        probe_interval_ns: one probe period.
        multiplier: periods for the shortest time in a cluster of up to ten.
        max_multiplier: how many times longer the longest time is.
        is_dynamic: false for plain SWIM: always the shortest time.
    """
    # The factor is cut to thousandths, as the other implementations do, so that all nodes wait equally long.
    scale = int(max(1.0, math.log10(max(1, members))) * 1_000)
    min_ns = multiplier * scale * probe_interval_ns // 1_000
    wanted = multiplier - 2
    if members - 2 < wanted or not is_dynamic:
        wanted = 0
    return SuspicionBounds(min_ns=min_ns, max_ns=max_multiplier * min_ns, confirmations_wanted=wanted)


@dataclass(slots=True, kw_only=True)
class Suspicion:
    """A running suspicion of one member."""

    bounds: SuspicionBounds
    started_ns: int
    accuser: NodeName
    confirmers: set[NodeName] = field(default_factory=set)

    def confirm(self, accuser: NodeName) -> bool:
        """Counts an accuser; false if it is known already or enough have confirmed."""
        if accuser == self.accuser or accuser in self.confirmers:
            return False
        if len(self.confirmers) >= self.bounds.confirmations_wanted:
            return False
        self.confirmers.add(accuser)
        return True

    @property
    def deadline_ns(self) -> int:
        """When the member is to be declared dead, as things stand."""
        return self.started_ns + self.bounds.timeout_ns(len(self.confirmers))
