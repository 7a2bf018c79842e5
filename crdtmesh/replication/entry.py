"""One entry of a shard, and the snapshot that a turn works on."""

from typing import Any, Protocol

from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.errors import SnapshotInUse
from crdtmesh.replication.events import AnyType, EntryName
from crdtmesh.replication.outputs import EntryKey


class EntryView(Protocol):
    """What a reader sees of an entry. It stays current: read what is needed before the replica changes again."""

    @property
    def key(self) -> EntryKey:
        """Which entry."""
        ...

    @property
    def version(self) -> int:
        """Grows with every change of the entry in this run of the node."""
        ...

    def value(self) -> PlainValue:
        """The entry as fresh plain data. Complexity: O(entry)."""
        ...


class Entry:
    """The state of one `(key, type)`; changed by its shard only.

    Attributes:
        key: which entry.
        name: the same, within its shard.
        number: its place in the shard's index.
        data_type: what joins, changes and encodes `store`.
        store: the live part.
        version: grows with every change.
        size_bytes: at least its encoded size, as far as that is known; measured again when it matters.
        is_dirty: changed since the last checkpoint took it.
        is_unsummed: changed since its fingerprint was summed up.
        is_large: it passed the soft limit, and that was reported.
        is_hidden: it has expired, and is about to be removed: readers see no entry.
        open_snapshot: the snapshot of the turn that is running, if any.
    """

    __slots__ = (
        "data_type",
        "is_dirty",
        "is_hidden",
        "is_large",
        "is_unsummed",
        "key",
        "name",
        "number",
        "open_snapshot",
        "size_bytes",
        "store",
        "version",
    )

    def __init__(self, system: str, name: EntryName, number: int, data_type: AnyType) -> None:
        self.key = EntryKey(system, name.key, name.type_name)
        self.name = name
        self.number = number
        self.data_type = data_type
        self.store: Any = data_type.bottom()
        self.version = 0
        self.size_bytes = 0
        self.is_dirty = False
        self.is_hidden = False
        self.is_large = False
        self.is_unsummed = False
        self.open_snapshot: Snapshot | None = None

    @property
    def is_bottom(self) -> bool:
        """It was never set, or everything in it was removed: readers see no entry."""
        return self.data_type.is_bottom(self.store)

    def value(self) -> PlainValue:
        """The entry as fresh plain data."""
        return self.data_type.value(self.store)

    def detach(self) -> None:
        """Gives an open snapshot a store of its own, before something else than its turn changes the entry."""
        snapshot = self.open_snapshot
        if snapshot is not None and snapshot.own_store is None:
            snapshot.own_store = self.data_type.copy(self.store)
            snapshot.own_version = self.version


class Snapshot:
    """An entry as it was when the snapshot was taken, plus what was updated through the snapshot since.

    While nothing else changes the entry it is the entry itself and costs nothing. The holder closes it at the end of
    the turn. Every update of the key goes through it meanwhile.
    """

    __slots__ = ("entry", "own_store", "own_version")

    def __init__(self, entry: Entry) -> None:
        if entry.open_snapshot is not None:
            raise SnapshotInUse(f"{entry.key.key!r:.64} has an open snapshot; run its turns one after the other")
        self.entry = entry
        self.own_store: Any = None
        self.own_version = 0
        entry.open_snapshot = self

    @property
    def key(self) -> EntryKey:
        """Which entry."""
        return self.entry.key

    @property
    def version(self) -> int:
        """The entry's version that this snapshot shows; updates through the snapshot do not raise it once detached."""
        return self.entry.version if self.own_store is None else self.own_version

    @property
    def is_detached(self) -> bool:
        """The entry has changes that this snapshot does not show."""
        return self.own_store is not None

    @property
    def store(self) -> Any:
        """The live part; only the shard changes it."""
        return self.entry.store if self.own_store is None else self.own_store

    def value(self) -> PlainValue:
        """The snapshot as fresh plain data."""
        return self.entry.data_type.value(self.store)

    def close(self) -> None:
        """Ends the turn; closing twice is harmless."""
        if self.entry.open_snapshot is self:
            self.entry.open_snapshot = None
