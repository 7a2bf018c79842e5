"""Definitions that contradict each other: two hosts mean another kind of actor, or of state, by one name.

Actions, timers, channels and timeouts may differ, as they do while a new version of a program takes over from an old
one; then the latest registration counts. What an actor *is* may not: the host that came first stays until it leaves, on
whatever node, and the other is refused until then. In a split both may have been taken; that is found when the nodes
see each other again. Either way both sides are told.
"""

from collections.abc import Iterable, Mapping

from crdtmesh.runtime.definition import STATE_TYPE_PREFIX, ActorAddress, ActorDefinition, Kind, StateKind
from crdtmesh.runtime.directory import Directory
from crdtmesh.runtime.errors import DefinitionConflict
from crdtmesh.runtime.hosts import Hosts
from crdtmesh.runtime.messages import ActorOffer, HostId, Offers

__all__ = ["Conflict", "Conflicts"]

Conflict = tuple[ActorAddress, str]
"""An actor that both a host here and another node offer, and that node."""


class Conflicts:
    """Contradictions among what hosts here and on other nodes declare."""

    __slots__ = ("_directory", "_hosts", "_known")

    def __init__(self, hosts: Hosts, directory: Directory) -> None:
        self._hosts = hosts
        self._directory = directory
        self._known: set[Conflict] = set()

    def check(self, host: HostId | None, definitions: Iterable[ActorDefinition]) -> None:
        """Lets definitions pass that contradict nobody who is there.

        Args:
            host: whose they are; its own earlier ones don't count. None for nobody's yet.
            definitions: what is to be registered.

        Raises:
            DefinitionConflict: for the first that does; says with whom.
        """
        for definition in definitions:
            address = definition.address
            for other, known in self._hosts.declared(address):
                if other != host and meaning(known) != meaning(definition):
                    words = _words(definition, _described(known), "a host of this node")
                    raise DefinitionConflict(words, actor=address)
            offer = self._directory.offer(address)
            if offer is not None and _meaning_of_offer(offer) != meaning(definition):
                nodes = self._directory.nodes(address)
                words = _words(definition, _described_offer(offer), f"node {nodes[0]}")
                raise DefinitionConflict(words, actor=address, nodes=nodes)

    def found(self, offers: Mapping[str, Offers]) -> list[tuple[ActorAddress, str, str]]:
        """Contradictions with other nodes that are new: the actor, the node, and words. Complexity: O(offers)."""
        now: set[Conflict] = set()
        new = []
        for node in sorted(offers):
            for offer in offers[node]:
                own = self._hosts.definition(offer.address)
                if own is None or not self._hosts.has_host(offer.address) or meaning(own) == _meaning_of_offer(offer):
                    continue
                conflict = (offer.address, node)
                now.add(conflict)
                if conflict not in self._known:
                    new.append((*conflict, _words(own, _described_offer(offer), f"node {node}")))
        self._known = now
        return new


def meaning(definition: ActorDefinition) -> tuple[bool, StateKind, str]:
    """What may not differ between hosts of an actor."""
    return definition.is_template, definition.state, definition.type_name or ""


def _meaning_of_offer(offer: ActorOffer) -> tuple[bool, StateKind, str]:
    type_name = offer.state_type.removeprefix(STATE_TYPE_PREFIX) if offer.state is StateKind.MERGED else ""
    return offer.kind is Kind.UNNAMED, offer.state, type_name


def _words(definition: ActorDefinition, known: str, where: str) -> str:
    return (
        f"actor {definition.address}: {known} expected, as {where} has it, got {_described(definition)}; stop the "
        f"hosts that declare it so first, or name it otherwise"
    )


def _described(definition: ActorDefinition) -> str:
    return _description(meaning(definition))


def _described_offer(offer: ActorOffer) -> str:
    return _description(_meaning_of_offer(offer))


def _description(meant: tuple[bool, StateKind, str]) -> str:
    is_template, state, type_name = meant
    kind = "a template" if is_template else "a named actor"
    of_state = {StateKind.NONE: "without state", StateKind.OPAQUE: "with an opaque state"}
    return f"{kind} {of_state.get(state, f'with the state {type_name}')}"
