"""Where an actor's calls run: the one place that decides it.

By kind of state (`design.md` §3). An actor with a replicated state runs on every node that has a host for it; its calls
go to the local host if there is one. Any other actor has one activation in the cluster: its *owner* is the node that
wins a keyed rendezvous hash over the live nodes that offer it. So all nodes that see the same members agree without
asking, a member that comes or goes moves only what it wins or had, and who does not know the key can't choose names
that all fall on one node.

An opaque state can't be merged, so its calls wait for their owner. An actor without state has nothing to lose: where
the owner is out of reach, the next in the same order serves it.
"""

import enum
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from crdtmesh.runtime.definition import ActorAddress, StateKind

__all__ = ["LOCAL", "NOWHERE", "Place", "Placement", "Site", "owner"]


class Site(enum.Enum):
    """Where a call goes."""

    LOCAL = enum.auto()
    PEER = enum.auto()
    NOWHERE = enum.auto()


class Place(NamedTuple):
    """A site, and for a peer its name; for NOWHERE the node that should have it, if there is one."""

    site: Site
    peer: str = ""


LOCAL = Place(Site.LOCAL)
NOWHERE = Place(Site.NOWHERE)


class Placement:
    """The rule, for one node of one cluster.

    Args of the constructor:
        node: this node's name.
        key: the cluster's, at most 64 bytes; nodes with another one place actors elsewhere.
    """

    __slots__ = ("_key", "node")

    def __init__(self, node: str, key: bytes) -> None:
        self.node = node
        self._key = key

    def where(
        self,
        address: ActorAddress,
        *,
        state: StateKind,
        is_available: bool,
        has_local_host: bool,
        offering: Sequence[str],
        reachable: Collection[str],
    ) -> Place:
        """Where a call for this actor goes now.

        Args:
            address: the actor.
            state: what kind of state it has.
            is_available: an opaque state that another node may serve too when its owner is out of reach.
            has_local_host: a host on this node offers it.
            offering: other live nodes that offer it.
            reachable: nodes that may be asked: with a link, and not tried before.

        Returns:
            Always the same place for the same arguments, so that one caller's calls to one actor keep their order.
        """
        if state is StateKind.MERGED:
            if has_local_host:
                return LOCAL
            # With its own name in the key, different nodes spread one actor's calls over different peers.
            nearest = owner(address, (name for name in offering if name in reachable), self._key, self.node)
            return NOWHERE if nearest is None else Place(Site.PEER, nearest)
        candidates = [*offering, self.node] if has_local_host else offering
        first = owner(address, candidates, self._key)
        if first is None or first == self.node:
            return LOCAL if first else NOWHERE
        if first in reachable:
            return Place(Site.PEER, first)
        if state is StateKind.OPAQUE and not is_available:
            return Place(Site.NOWHERE, first)
        first = owner(address, (name for name in candidates if name == self.node or name in reachable), self._key)
        if first == self.node:
            return LOCAL
        return NOWHERE if first is None else Place(Site.PEER, first)

    def owns(self, address: ActorAddress, offering: Sequence[str]) -> bool:
        """Whether this node, which offers the actor too, is its owner."""
        return owner(address, (*offering, self.node), self._key) == self.node


def owner(address: ActorAddress, nodes: Iterable[str], key: bytes, salt: str = "") -> str | None:
    """The node of the greatest weight for this actor; None without nodes. Complexity: O(nodes), a hash for each.

    Source: Thaler and Ravishankar, rendezvous (highest random weight) hashing.
    """
    text = "\0".join((*address, salt, "")).encode("utf-8", "surrogatepass")
    best = max(((blake2b(text + node.encode(), digest_size=8, key=key).digest(), node) for node in nodes), default=None)
    return None if best is None else best[1]
