"""Keeps a node's directory in step with the entries of `_mesh`, and its own entry in step with what its hosts offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crdtmesh.directory import DIRECTORY_TYPE, Directory, announcement, entry_key
from crdtmesh.engine import Engine
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import MESH_SYSTEM


class DirectoryKeeper:
    """What carries news between the replicated entries, the directory and the runtime.

    Args:
        node: name of this node.
        start_id: of this run, which stamps its entry.
        engine: of the node; its replica is loaded.
        wall_ms: wall-clock time.
        refused: is told why an announcement could not be written.

    Attributes:
        directory: what the live nodes offer; read at once from the entries that the replica has.
    """

    def __init__(
        self,
        node: str,
        start_id: bytes,
        engine: Engine,
        *,
        wall_ms: Callable[[], int],
        refused: Callable[[str], None],
    ) -> None:
        self.directory = Directory(node)
        self._node = node
        self._start_id = start_id
        self._engine = engine
        self._wall_ms = wall_ms
        self._refused = refused
        for view in engine.replica.entries(MESH_SYSTEM):
            if view.key.type_name == DIRECTORY_TYPE:
                self._read(view.key)

    def members_changed(self, starts: Mapping[str, str]) -> None:
        """Takes the live members: name to start id in hex."""
        self.directory.set_live(starts)
        self._refresh()

    def entry_changed(self, key: EntryKey) -> None:
        """An entry of the replica is another than before; only a node's offers matter here."""
        if key.system == MESH_SYSTEM and key.type_name == DIRECTORY_TYPE:
            self._read(key)
            self._refresh()

    def announce(self) -> None:
        """Writes what this node offers now, and what its clients listen to."""
        runtime = self._engine.runtime
        said = announcement(self._start_id, runtime.offers(), runtime.topics())
        try:
            self._engine.replica.update(entry_key(self._node), [said], ticket=None, wall_ms=self._wall_ms())
        except ReplicationError as error:
            self._refused(str(error))
        self._engine.wake()

    def _read(self, key: EntryKey) -> None:
        view = self._engine.replica.read(key)
        self.directory.set_entry(key.key, view.value() if view is not None else None)

    def _refresh(self) -> None:
        self._engine.runtime.directory_changed(self.directory.offers(), self.directory.topics())
        self._engine.wake()
