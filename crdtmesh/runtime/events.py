"""What happened in a runtime that its driver should know of."""

from typing import NamedTuple

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import HostId

__all__ = ["Conflicted", "Event", "OffersChanged", "PeerRejected", "StateConflict"]


class OffersChanged(NamedTuple):
    """`Runtime.offers` gives something else now: publish it."""


class PeerRejected(NamedTuple):
    """A peer's message was not understood; nothing was changed."""

    peer: str
    reason: str


class StateConflict(NamedTuple):
    """An opaque state had been written at two places at once; the values that were not kept were put aside.

    Attributes:
        actor: whose state.
        losers: how many values were put aside.
    """

    actor: ActorAddress
    losers: int


class Conflicted(NamedTuple):
    """Hosts declare one actor as different things.

    Attributes:
        actor: which.
        hosts: those of this node that are to be told.
        message: for people.
    """

    actor: ActorAddress
    hosts: tuple[HostId, ...]
    message: str


Event = OffersChanged | Conflicted | PeerRejected | StateConflict
