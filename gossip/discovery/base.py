"""What discovery is asked for and what it yields.

Discovery yields *candidates*: endpoints where a node of the cluster may listen. Whoever answers on a local network
can forge them, so a candidate gives no trust, only a bounded number of attempts to contact it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gossip.identity import Endpoint

OnCandidate = Callable[[Endpoint], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What others may know of this node before they contact it. Nodes of other clusters are ignored."""

    cluster: str
    node: str
    endpoint: Endpoint


class Discovery(Protocol):
    """One way to find nodes."""

    async def start(self, announcement: Announcement, on_candidate: OnCandidate) -> None:
        """Begins to look, and to be found if this way can; returns without waiting for either."""

    async def close(self) -> None:
        """Stops and withdraws the announcement; repeating is harmless."""
