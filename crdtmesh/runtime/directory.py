"""What the other live nodes offer, and which name somebody may have meant.

Fed by the node from the replicated system `_mesh` and from membership: only offers of live nodes come in.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from crdtmesh.runtime.definition import ActorAddress, Channel, Kind, declared_as
from crdtmesh.runtime.messages import ActorOffer, Offers

__all__ = ["Directory", "nearest_name"]

# Names looked at for "did you mean". Comparing one costs about 5 µs, so an unknown name costs at most 2.5 ms.
NAMES_COMPARED_MAX: Final = 512


class Directory:
    """Actors offered by other nodes."""

    __slots__ = ("_nodes", "_offers")

    def __init__(self) -> None:
        self._nodes: dict[ActorAddress, tuple[str, ...]] = {}
        self._offers: dict[ActorAddress, ActorOffer] = {}

    def replace(self, offers: Mapping[str, Offers]) -> None:
        """Takes what all other live nodes offer, by node name. Complexity: O(offers)."""
        nodes: dict[ActorAddress, list[str]] = {}
        self._offers = {}
        for node in sorted(offers):
            for offer in offers[node]:
                nodes.setdefault(offer.address, []).append(node)
                self._offers.setdefault(offer.address, offer)
        self._nodes = {address: tuple(names) for address, names in nodes.items()}

    def nodes(self, address: ActorAddress) -> tuple[str, ...]:
        """Names of the live nodes that offer it, or the template that it is an instance of, sorted."""
        return self._nodes.get(declared_as(address), ())

    def offer(self, address: ActorAddress) -> ActorOffer | None:
        """What the first of these nodes says of it."""
        return self._offers.get(declared_as(address))

    def channels(self) -> Iterator[tuple[ActorAddress, tuple[Channel, ...]]]:
        """The topics of named actors."""
        for address, offer in self._offers.items():
            if offer.channels and offer.kind is not Kind.UNNAMED:
                yield address, offer.channels

    def names(self, system: str) -> Iterable[str]:
        """Names of all actors of a system."""
        return (address.name for address in self._offers if address.system == system)

    def systems(self) -> Iterable[str]:
        """The system of each actor."""
        return (address.system for address in self._offers)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like this one, if any looks like it at all."""
    close = difflib.get_close_matches(name[:256], islice(known, NAMES_COMPARED_MAX), n=1)
    return close[0] if close else None
