"""Which node offers which actors, and has listeners to which channels.

One entry per node in the system `_mesh`, written only by that node.

An entry is stamped with the start id of its writer and ignored unless that start is a live member: what a node offered
before it went away is never believed. There is no coordinator and nothing to expire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import MESH_SYSTEM, ActorAddress, Channel, Kind, StateKind
from crdtmesh.runtime.messages import ActorOffer, Offers
from crdtmesh.runtime.subscribers import Topic

DIRECTORY_TYPE: Final = "LWWRegister"


def entry_key(node: str) -> EntryKey:
    """Where a node's offers are."""
    return EntryKey(MESH_SYSTEM, node, DIRECTORY_TYPE)


def announcement(start_id: bytes, offers: Offers, topics: Sequence[Topic] = ()) -> Operation:
    """The operation by which a node announces what it offers, and what its clients listen to."""
    actors: list[PlainValue] = [
        [
            offer.address.system,
            offer.address.name,
            offer.state_type,
            list(offer.actions),
            int(offer.kind),
            offer.state.name,
            offer.is_available,
            [list(channel) for channel in offer.channels],
        ]
        for offer in sorted(offers, key=lambda offer: offer.address)
    ]
    entry: dict[str, PlainValue] = {"start": start_id.hex(), "actors": actors}
    if topics:
        entry["topics"] = [list(topic) for topic in topics]
    return Operation("set", (entry,))


class _Entry(NamedTuple):
    """What a node says of itself."""

    start: str
    offers: Offers
    topics: tuple[Topic, ...]


class Directory:
    """The offers of all nodes, as far as their starts are live."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._entries: dict[str, _Entry] = {}
        self._live: dict[str, str] = {}

    def set_entry(self, node: str, value: Any) -> None:
        """Takes a node's entry as replicated; one that can't be read counts as offering nothing."""
        entry = _read(value)
        if entry is None:
            self._entries.pop(node, None)
        else:
            self._entries[node] = entry

    def set_live(self, starts: Mapping[str, str]) -> None:
        """Takes the live members: name to start id in hex."""
        self._live = dict(starts)

    def offers(self) -> dict[str, Offers]:
        """What the other live nodes offer."""
        return {node: entry.offers for node, entry in self._others()}

    def topics(self) -> dict[str, tuple[Topic, ...]]:
        """What clients of the other live nodes listen to."""
        return {node: entry.topics for node, entry in self._others() if entry.topics}

    def _others(self) -> list[tuple[str, _Entry]]:
        return [
            (node, entry)
            for node, entry in sorted(self._entries.items())
            if node != self._node and self._live.get(node) == entry.start
        ]

    def actors(self, own: Offers) -> list[tuple[ActorOffer, list[str]]]:
        """Every actor that a live node offers, with the names of those nodes.

        Args:
            own: what this node offers now.
        """
        found: dict[ActorAddress, tuple[ActorOffer, list[str]]] = {}
        for node, offers in sorted({**self.offers(), self._node: own}.items()):
            for offer in offers:
                found.setdefault(offer.address, (offer, []))[1].append(node)
        return [found[address] for address in sorted(found)]


def _read(value: Any) -> _Entry | None:
    try:
        start = value["start"]
        offers = [
            ActorOffer(
                address=ActorAddress(system, name),
                state_type=state_type,
                actions=tuple(actions),
                kind=Kind(kind),
                state=StateKind[state],
                is_available=is_available,
                channels=tuple(Channel(topic, action) for topic, action in channels),
            )
            for system, name, state_type, actions, kind, state, is_available, channels in value["actors"]
        ]
        # Nodes of the first version have no listeners.
        topics = tuple(Topic(system, name) for system, name in value.get("topics", ()))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return _Entry(start, offers, topics) if isinstance(start, str) else None
