"""Which actor an address means, and the instances that were spawned from templates.

Released SDKs name an instance in several ways: with its template as parent, without it after a spawn, or with a parent
on an actor that has none. `resolve` makes one address of them. What was spawned is remembered in the system `_mesh`, so
that every node knows it, after a restart of all of them too: under each instance's name the template that was named
first.
"""

from collections.abc import Sequence
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import MESH_SYSTEM, ActorAddress, ActorDefinition, Kind
from crdtmesh.runtime.directory import Directory
from crdtmesh.runtime.hosts import Hosts

__all__ = ["Instances"]

# Neither a node's name nor an actor's has this character, so these keys are nobody else's.
_PREFIX: Final = "spawned\x1f"
_TYPE: Final = "FWWRegister"


class Instances:
    """Who is known: the actors that hosts here and other nodes offer, and the instances of their templates.

    Attributes:
        hosts: of this node.
        directory: what other nodes offer.
    """

    __slots__ = ("_replica", "directory", "hosts")

    def __init__(self, replica: Replica, hosts: Hosts, directory: Directory) -> None:
        self._replica = replica
        self.hosts = hosts
        self.directory = directory

    def resolve(self, address: ActorAddress) -> ActorAddress:
        """The address that the actor runs under; the same one when nothing is known of it.

        A named actor goes before an instance of the same name, and a template may be called by its own name.
        """
        system, name, parent = address
        bare = ActorAddress(system, name)
        kind = self._kind(bare)
        if kind is not None and (kind is not Kind.UNNAMED or parent in {"", name}):
            return bare
        if parent and self._kind(ActorAddress(system, parent)) is Kind.UNNAMED:
            return address
        template = self._template(system, name)
        return ActorAddress(system, name, template) if template else address

    def spawned(self, actor: ActorAddress, templates: Sequence[str]) -> ActorAddress:
        """The address of an actor that is to be spawned from the first of these templates that is known."""
        for template in templates:
            if self.is_template(ActorAddress(actor.system, template)):
                return actor._replace(parent=template)
        return actor

    def is_template(self, address: ActorAddress) -> bool:
        """Whether a live node offers it, or this one knows it, as an UNNAMED actor."""
        return self._kind(address) is Kind.UNNAMED

    def remember(self, instance: ActorAddress, *, wall_ms: int) -> None:
        """Remembers what an instance was spawned from; the first template of a name stays.

        Raises:
            ReplicationError: nothing was changed.
        """
        if self._template(instance.system, instance.name) is None:
            key = _key(instance.system, instance.name)
            self._replica.update(key, [Operation("set", (instance.parent,))], ticket=None, wall_ms=wall_ms)

    def forget(self, instance: ActorAddress, *, wall_ms: int) -> bool:
        """Forgets that an instance was spawned; whether it was.

        Raises:
            ReplicationError: nothing was changed.
        """
        if not instance.parent or self._template(instance.system, instance.name) != instance.parent:
            return False
        key = _key(instance.system, instance.name)
        self._replica.update(key, [Operation("clear", ())], ticket=None, wall_ms=wall_ms)
        return True

    def forgotten(self, key: EntryKey) -> tuple[str, str] | None:
        """System and name of the instance that an entry remembered and remembers no more; None for other entries."""
        if not key.key.startswith(_PREFIX):
            return None
        system, _, name = key.key.removeprefix(_PREFIX).partition("\x1f")
        return (system, name) if self._template(system, name) is None else None

    def _template(self, system: str, name: str) -> str | None:
        view = self._replica.read(_key(system, name))
        value = None if view is None else view.value()
        return value if isinstance(value, str) else None

    def _kind(self, address: ActorAddress) -> Kind | None:
        definition: ActorDefinition | None = self.hosts.definition(address)
        if definition is not None:
            return definition.kind
        offer = self.directory.offer(address)
        return None if offer is None else offer.kind


def _key(system: str, name: str) -> EntryKey:
    return EntryKey(MESH_SYSTEM, f"{_PREFIX}{system}\x1f{name}", _TYPE)
