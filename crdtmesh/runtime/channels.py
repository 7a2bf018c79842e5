"""Who listens to a topic: actors, wherever they are.

A named actor listens by its declaration, as long as a live node offers it. An instance of a template listens from its
first activation on, whether it is active or not: that is written into the system `_mesh`, one add-wins set for each
topic, so every node knows it.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import MESH_SYSTEM, ActorAddress, ActorDefinition, Channel
from crdtmesh.runtime.instances import Instances

__all__ = ["DEFAULT_ACTION", "Channels"]

DEFAULT_ACTION: Final = "receive"
"""What a message runs where neither it nor the subscription says."""

# No name has this character, so these keys are nobody else's.
_PREFIX: Final = "channel\x1f"
_TYPE: Final = "ORSet"


class _Topic(NamedTuple):
    system: str
    topic: str


class Channels:
    """The subscriptions that this node knows."""

    __slots__ = ("_index", "_instances", "_replica")

    def __init__(self, replica: Replica, instances: Instances) -> None:
        self._replica = replica
        self._instances = instances
        # Of named actors; None when it is to be made anew.
        self._index: dict[_Topic, dict[ActorAddress, str]] | None = None

    def names_changed(self) -> None:
        """Hosts or the directory offer other actors than before."""
        self._index = None

    def subscribe(self, definition: ActorDefinition, *, wall_ms: int) -> None:
        """An instance was activated: from here on it listens.

        Raises:
            ReplicationError: the node is read-only.
        """
        system, name, parent = definition.address
        if not parent:
            return
        for topic, action in definition.channels:
            element = [parent, name, action]
            key = _key(system, topic)
            view = self._replica.read(key)
            known = () if view is None else view.value()
            if not isinstance(known, tuple) or tuple(element) not in known:
                self._replica.update(key, [Operation("add", (element,))], ticket=None, wall_ms=wall_ms)

    def unsubscribe(self, instance: ActorAddress, *, wall_ms: int) -> None:
        """A deleted instance listens no more. Complexity: O(subscriptions of its system).

        Raises:
            ReplicationError: the node is read-only.
        """
        system, name, parent = instance
        for view in list(self._replica.entries(MESH_SYSTEM, f"{_PREFIX}{system}\x1f")):
            value = view.value()
            for element in value if isinstance(value, tuple) else ():
                match element:
                    case (str(of), str(called), str()) if (of, called) == (parent, name):
                        self._replica.update(view.key, [Operation("remove", (element,))], ticket=None, wall_ms=wall_ms)

    def subscribers(self, system: str, topic: str) -> Iterator[tuple[ActorAddress, str]]:
        """The actors that listen, and the action of each. Complexity: O(subscribers)."""
        if self._index is None:
            self._index = self._indexed()
        yield from self._index.get(_Topic(system, topic), {}).items()
        view = self._replica.read(_key(system, topic))
        value = () if view is None else view.value()
        for element in value if isinstance(value, tuple) else ():
            match element:
                case (str(parent), str(name), str(action)):
                    yield ActorAddress(system, name, parent), action

    def _indexed(self) -> dict[_Topic, dict[ActorAddress, str]]:
        index: dict[_Topic, dict[ActorAddress, str]] = {}
        offered = [*self._instances.directory.channels(), *self._instances.hosts.channels()]
        for address, channels in offered:
            _add(index, address, channels)
        return index


def _add(index: dict[_Topic, dict[ActorAddress, str]], address: ActorAddress, channels: Iterable[Channel]) -> None:
    for topic, action in channels:
        index.setdefault(_Topic(address.system, topic), {})[address] = action


def _key(system: str, topic: str) -> EntryKey:
    return EntryKey(MESH_SYSTEM, f"{_PREFIX}{system}\x1f{topic}", _TYPE)
