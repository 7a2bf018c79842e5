"""What the cores of consistency levels may ask of the replica they belong to."""

from collections.abc import Callable
from dataclasses import dataclass

from crdtmesh.persistence.base import Record
from crdtmesh.replication import wire
from crdtmesh.replication.entry import EntryView
from crdtmesh.replication.levels import MESH_SYSTEM, voters_key
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Event
from crdtmesh.replication.systems import Systems
from crdtmesh.replication.waves import OwnCopy

# Voter lists are read again when one of them changed; between changes a look-up costs two reads of an entry.
_Versions = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A replica, as its levels see it.

    Attributes:
        node: name of this node.
        options: of the replica.
        systems: all that the replica holds.
        read: an entry, or None when it has no state.
        peers: names of the peers with a link.
        send: a message to a peer, behind the commit of all that it could show.
        wait: has a ticket come back when all that was applied so far is on disk; False when it is.
        emit: an event for the driver.
        keep: has a row written to the disk.
    """

    node: str
    options: ReplicationOptions
    systems: Systems
    read: Callable[[EntryKey], EntryView | None]
    peers: Callable[[], list[str]]
    send: Callable[[str, bytes], None]
    wait: Callable[[OwnCopy], bool]
    emit: Callable[[Event], None]
    keep: Callable[[Record], None]

    def header(self, kind: wire.Kind, system: str = "") -> bytes:
        """The first bytes of a message."""
        return wire.header(kind, self.options.shards, system)


class VoterLists:
    """Who counts for a system: its own list, and that of the system `_mesh`.

    A node that counts in `_mesh` is a voter of every system, before it has put itself on the list of a new one: so the
    first update of a system asks for as many as the last one of the others.
    """

    __slots__ = ("_cached", "_read")

    def __init__(self, read: Callable[[EntryKey], EntryView | None]) -> None:
        self._read = read
        self._cached: dict[str, tuple[_Versions, frozenset[str]]] = {}

    def of(self, system: str) -> frozenset[str]:
        """The voters of a system: the same object as long as nothing changed."""
        own, mesh = self._read(voters_key(system)), self._read(voters_key(MESH_SYSTEM))
        versions = (own.version if own is not None else 0, mesh.version if mesh is not None else 0)
        cached = self._cached.get(system)
        if cached is None or cached[0] != versions:
            cached = self._cached[system] = versions, _names(own) | _names(mesh)
        return cached[1]

    def everyone(self, systems: Systems) -> frozenset[str]:
        """All voters of all systems. Complexity: O(systems)."""
        shards = systems.get(MESH_SYSTEM) or ()
        return frozenset[str]().union(*(_names(view) for shard in shards for view in shard.entries.voter_lists()))


def _names(view: EntryView | None) -> frozenset[str]:
    value = view.value() if view is not None else ()
    return frozenset(map(str, value)) if isinstance(value, list | tuple) else frozenset()
