"""The hosts of this node, what each declares, and which of them runs an actor.

Several hosts may declare one actor. The latest registration says what the actor is; every host whose declaration equals
it may run it, and an activation is bound to the one that has the fewest. A definition outlives its hosts, so that a
call is told `no_host` and not `unknown_actor`.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from crdtmesh.crdts import registry
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.runtime.activation import Activation
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition, Channel, declared_as
from crdtmesh.runtime.errors import RegistrationRefused
from crdtmesh.runtime.messages import ActorOffer, HostId, TurnColumns

__all__ = ["Host", "Hosts", "check_types"]


class Host:
    """One connected host.

    Attributes:
        id: the edge's number of its stream.
        definitions: what it declares, in the order of declaration.
        activations: what is bound to it.
        turn_count: turns that it has not answered.
        blocked: activations that wait until it has room.
        out: what was not taken yet.
        keeps_state: it has a copy of each state that it works on; one that doesn't is given the whole state with each
            turn, and one turn of an actor at a time.
        window_max: turns of one actor that it may have in flight.
    """

    __slots__ = ("activations", "blocked", "definitions", "id", "keeps_state", "out", "turn_count", "window_max")

    def __init__(self, host_id: HostId, *, keeps_state: bool, window_max: int) -> None:
        self.id = host_id
        self.keeps_state = keeps_state
        self.window_max = window_max if keeps_state else 1
        self.definitions: dict[ActorAddress, ActorDefinition] = {}
        self.activations: dict[ActorAddress, Activation] = {}
        self.turn_count = 0
        self.blocked: deque[Activation] = deque()
        self.out: TurnColumns | None = None

    def definition(self, address: ActorAddress) -> ActorDefinition:
        """What it declares of an actor that it may run; of an instance, what it declares of the template."""
        definition = self.definitions[declared_as(address)]
        return replace(definition, address=address) if address.parent else definition


class Hosts:
    """Hosts and definitions of one node."""

    __slots__ = ("_by_id", "_definitions", "_definitions_max", "_hosts_of", "_window_max")

    def __init__(self, definitions_max: int, window_max: int) -> None:
        self._window_max = window_max
        self._by_id: dict[HostId, Host] = {}
        self._definitions: dict[ActorAddress, ActorDefinition] = {}
        self._definitions_max = definitions_max
        # In the order of their latest registration.
        self._hosts_of: dict[ActorAddress, list[Host]] = {}

    def get(self, host_id: HostId) -> Host | None:
        """The host of this stream."""
        return self._by_id.get(host_id)

    def declare(self, definitions: Sequence[ActorDefinition]) -> None:
        """Stores definitions; a known actor's is replaced.

        Raises:
            RegistrationRefused: there are too many; nothing was stored.
        """
        known = self._definitions
        new = {definition.address for definition in definitions if definition.address not in known}
        if len(known) + len(new) > self._definitions_max:
            for address in [address for address in known if address not in self._hosts_of and address not in new]:
                del known[address]
        if len(known) + len(new) > self._definitions_max:
            raise RegistrationRefused(
                f"{len(new)} more actors make more than definitions_max={self._definitions_max}; raise it on this node"
            )
        for definition in definitions:
            known[definition.address] = definition

    def connect(self, host_id: HostId, definitions: Sequence[ActorDefinition], *, keeps_state: bool) -> Host:
        """Adds a host, or more definitions to a known one; they must have been declared."""
        host = self._by_id.get(host_id)
        if host is None:
            host = self._by_id[host_id] = Host(host_id, keeps_state=keeps_state, window_max=self._window_max)
        for definition in definitions:
            address = definition.address
            host.definitions[address] = definition
            hosts = self._hosts_of.setdefault(address, [])
            if host in hosts:
                hosts.remove(host)
            hosts.append(host)
        return host

    def lose(self, host_id: HostId) -> Host | None:
        """Takes a host out. What it alone declared last gives way to what the remaining hosts declare."""
        host = self._by_id.pop(host_id, None)
        if host is None:
            return None
        for address in host.definitions:
            hosts = self._hosts_of[address]
            hosts.remove(host)
            if hosts:
                self._definitions[address] = hosts[-1].definitions[address]
            else:
                del self._hosts_of[address]
        return host

    def definition(self, address: ActorAddress) -> ActorDefinition | None:
        """What the actor is, with or without a host; an instance is what its template is."""
        definition = self._definitions.get(declared_as(address))
        if definition is None or not address.parent:
            return definition
        return replace(definition, address=address) if definition.is_template else None

    def declared(self, address: ActorAddress) -> list[tuple[HostId, ActorDefinition]]:
        """The hosts that declare an actor, and how each does, in the order of their latest registration."""
        return [(host.id, host.definitions[address]) for host in self._hosts_of.get(address, ())]

    def has_host(self, address: ActorAddress) -> bool:
        """Whether a host of this node declares it."""
        return declared_as(address) in self._hosts_of

    def choose(self, address: ActorAddress) -> Host | None:
        """The host for a new activation: of those that declare what the latest one does, the one with fewest bound.

        Ties go to the earlier registration. Complexity: O(hosts of this actor).
        """
        address = declared_as(address)
        hosts = self._hosts_of.get(address)
        if not hosts:
            return None
        current = hosts[-1].definitions[address]
        candidates = [host for host in hosts if host.definitions[address] == current]
        return min(candidates, key=lambda host: len(host.activations))

    def names(self, system: str) -> Iterator[str]:
        """Names of all known actors of a system."""
        return (address.name for address in self._definitions if address.system == system)

    def systems(self) -> Iterator[str]:
        """The system of each known actor."""
        return (address.system for address in self._definitions)

    def channels(self) -> Iterator[tuple[ActorAddress, tuple[Channel, ...]]]:
        """The topics of named actors that have a host."""
        for address, definition in self._definitions.items():
            if definition.channels and not definition.is_template and address in self._hosts_of:
                yield address, definition.channels

    def offers(self) -> list[ActorOffer]:
        """What has a host, sorted by address."""
        return [
            ActorOffer(
                address=address,
                state_type=definition.state_type or "",
                actions=tuple(sorted(definition.actions)),
                kind=definition.kind,
                state=definition.state,
                is_available=definition.is_available,
                channels=definition.channels,
            )
            for address, definition in sorted(self._definitions.items(), key=lambda item: item[0])
            if address in self._hosts_of
        ]


def check_types(definitions: Sequence[ActorDefinition]) -> None:
    """Lets definitions pass whose data types exist.

    Raises:
        RegistrationRefused: for the first that names another one.
    """
    for definition in definitions:
        if definition.type_name is not None:
            try:
                registry.get(definition.type_name)
            except UnknownType as error:
                raise RegistrationRefused(f"actor {definition.address}: {error}") from error
