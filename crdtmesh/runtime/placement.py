"""Where an actor's calls run: the one place that decides it.

By kind of state (`design.md` §3): an actor with a replicated state, or without state, runs on every node that has a
host for it; its calls go to the local host if there is one. An opaque state will have one activation in the cluster,
by keyed rendezvous hashing over the nodes that offer it: its row goes into `where`, and its definitions are refused
until then.
"""

import enum
import zlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from crdtmesh.runtime.definition import ActorAddress, StateKind

__all__ = ["Place", "Site", "where"]


class Site(enum.Enum):
    """Where a call goes."""

    LOCAL = enum.auto()
    PEER = enum.auto()
    NOWHERE = enum.auto()


class Place(NamedTuple):
    """A site, and for a peer its name."""

    site: Site
    peer: str = ""


LOCAL = Place(Site.LOCAL)
NOWHERE = Place(Site.NOWHERE)


def where(
    address: ActorAddress,
    *,
    state: StateKind,
    has_local_host: bool,
    offering: Sequence[str],
    reachable: Collection[str],
    node: str,
) -> Place:
    """Where a call for this actor goes now.

    Args:
        address: the actor.
        state: what kind of state it has.
        has_local_host: a host on this node offers it.
        offering: live nodes that offer it, sorted.
        reachable: nodes that may be asked: with a link, and not tried before.
        node: this node; different nodes spread one actor's calls over different peers.

    Returns:
        Always the same peer for the same arguments, so that one caller's calls to one actor keep their order.
    """
    assert state is not StateKind.OPAQUE, "refused at registration"
    if has_local_host:
        return LOCAL
    candidates = [name for name in offering if name in reachable]
    if not candidates:
        return NOWHERE
    seed = f"{node}\0{address.system}\0{address.name}\0{address.parent}".encode("utf-8", "surrogatepass")
    return Place(Site.PEER, candidates[zlib.crc32(seed) % len(candidates)])
