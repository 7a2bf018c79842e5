"""Who counts in majorities of a system: a node adds itself once it has caught up, and takes itself off when it leaves.

The list is replicated state (`crdtmesh.replication.levels.voters_key`). An operator may take a node off it that will
not come back; it never changes because a member is believed dead. A plain stop is no leave: the node comes back with
its data and still counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.observability import logs
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.levels import MESH_SYSTEM, VOTERS_PREFIX, voters_key
from crdtmesh.replication.replica import Replica

_LOG: Final = logging.getLogger(__name__)


class Voters:
    """This node's part in the voter lists.

    Args:
        node: its name.
        replica: where the lists are kept.
        has_peers: whether other nodes are known now; one that is alone has nobody to catch up with.
        wall_ms: wall-clock time, for the hybrid clock.
    """

    def __init__(
        self, node: str, replica: Replica, *, has_peers: Callable[[], bool], wall_ms: Callable[[], int]
    ) -> None:
        self._node = node
        self._replica = replica
        self._has_peers = has_peers
        self._wall_ms = wall_ms
        self._seen: set[str] = set()

    def of(self, system: str) -> list[str]:
        """The voters of a system, sorted."""
        view = self._replica.read(voters_key(system))
        value = view.value() if view is not None else ()
        return sorted(str(name) for name in value) if isinstance(value, list | tuple) else []

    def changed(self, system: str) -> None:
        """An entry of this system changed: a node that is alone counts from its first one."""
        if system not in self._seen:
            self._seen.add(system)
            if not self._has_peers():
                self.caught_up(system)

    def caught_up(self, system: str) -> None:
        """This node has what the others had: from here on it counts."""
        self._seen.add(system)
        if self._node not in self.of(system):
            self._change(system, "add", self._node)

    def leave(self) -> None:
        """This node departs for good: it counts no more."""
        self.remove(self._node)

    def remove(self, node: str) -> list[str]:
        """Takes a node off all lists, for good or until it has caught up again; the systems of whose lists it was."""
        lists = [view.key.key for view in self._replica.entries(MESH_SYSTEM, VOTERS_PREFIX)]
        systems = [key.removeprefix(VOTERS_PREFIX) for key in lists]
        listed = [system for system in systems if node in self.of(system)]
        for system in listed:
            self._change(system, "remove", node)
        return listed

    def _change(self, system: str, operation: str, node: str) -> None:
        try:
            self._replica.update(
                voters_key(system),
                [Operation(operation, (node,))],
                ticket=None,
                wall_ms=self._wall_ms(),
            )
        except ReplicationError as error:
            logs.event(_LOG, logging.ERROR, "voters.not_changed", system=system, reason=str(error))
