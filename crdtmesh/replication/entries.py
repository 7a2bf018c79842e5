"""The entries of one shard: by name for callers, by number for the index and the disk."""

from collections.abc import Iterator
from typing import Any

from crdtmesh.replication.entry import Entry
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.events import AnyType, EntryName
from crdtmesh.replication.options import ENTRIES_PER_SHARD_MAX


class EntryTable:
    """Entries, which keep their number for as long as they live.

    Rows on disk speak of a number until `settle`. If the name of a dropped entry is used again before, it gets the
    number again; to other names the number is given only after. So no name and no number ever has two rows.

    Args:
        system: whose entries they are.
    """

    __slots__ = ("_by_name", "_dropped", "_free", "_numbered", "_returned", "_system", "_version")

    def __init__(self, system: str) -> None:
        self._system = system
        self._by_name: dict[tuple[str, str], Entry] = {}
        self._numbered: list[Entry | None] = []
        self._free: list[int] = []
        # Since the last `settle`: what was dropped, and what was made again after that.
        self._dropped: dict[tuple[str, str], int] = {}
        self._returned: dict[tuple[str, str], Entry] = {}
        # Versions of an entry that was dropped and made again go on from here.
        self._version = 0

    def __len__(self) -> int:
        """Number of entries, those included that are bottom now."""
        return len(self._by_name)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, in the order in which they came into being."""
        return iter(self._by_name.values())

    def find(self, name: tuple[str, str]) -> Entry | None:
        """The entry of a name, which may be bottom."""
        return self._by_name.get(name)

    def numbered(self, number: int) -> Entry | None:
        """The entry of a number, unless it was dropped."""
        return self._numbered[number]

    def make(self, name: EntryName, data_type: AnyType) -> Entry:
        """The entry of a name, made if it is new.

        Raises:
            LimitExceeded: it would be one too many, or its type was not known before; nothing was changed.
        """
        entry = self._by_name.get(name)
        if entry is not None:
            if type(entry.data_type) is not type(data_type):
                raise LimitExceeded(f"type {name.type_name!r:.64} became known while the node ran; restart it")
            return entry
        entry = Entry(self._system, name, self._number_for(name), data_type)
        entry.version = self._version
        self._by_name[name] = entry
        self._numbered[entry.number] = entry
        if self._dropped.pop(name, None) is not None:
            self._returned[name] = entry
        return entry

    def _number_for(self, name: EntryName) -> int:
        number = self._dropped.get(name)
        if number is not None:
            return number
        if self._free:
            return self._free.pop()
        number = len(self._numbered)
        if number >= ENTRIES_PER_SHARD_MAX:
            raise LimitExceeded(f"a shard of {self._system!r:.64} holds {ENTRIES_PER_SHARD_MAX} entries, its limit")
        self._numbered.append(None)
        return number

    def restore(self, name: EntryName, data_type: AnyType, number: int, store: Any, size_bytes: int) -> Entry:
        """Puts an entry from disk back under its number; numbers in between belong to entries that come later.

        Raises:
            ValueError: the number or the name is taken, or the number is out of bounds.
        """
        if not 0 <= number < ENTRIES_PER_SHARD_MAX or name in self._by_name:
            raise ValueError(f"entry number {number} of {name.key!r:.64} is out of bounds or its name is taken")
        if number >= len(self._numbered):
            self._numbered.extend([None] * (number + 1 - len(self._numbered)))
        if self._numbered[number] is not None:
            raise ValueError(f"entry number {number} is taken")
        entry = Entry(self._system, name, number, data_type)
        entry.store, entry.size_bytes, entry.version = store, size_bytes, 1
        self._by_name[name] = entry
        self._numbered[number] = entry
        return entry

    def restored(self) -> None:
        """All entries are back from the disk: numbers without one are free."""
        self._free = [number for number, entry in enumerate(self._numbered) if entry is None]

    def take_back(self, entry: Entry) -> None:
        """Forgets an entry that was just made and that nothing was applied to."""
        self._remove(entry)
        if self._returned.pop(entry.name, None) is None:
            self._free.append(entry.number)
        else:
            self._dropped[entry.name] = entry.number

    def drop(self, entry: Entry) -> None:
        """Forgets an entry of which nothing is left."""
        self._remove(entry)
        self._version = max(self._version, entry.version)
        self._returned.pop(entry.name, None)
        self._dropped[entry.name] = entry.number
        entry.number = -1

    @property
    def dropped(self) -> list[int]:
        """Numbers of entries that were dropped since the last `settle` and are gone."""
        return list(self._dropped.values())

    @property
    def returned(self) -> list[Entry]:
        """Entries that were dropped since the last `settle` and made again."""
        return list(self._returned.values())

    def settle(self) -> None:
        """The disk has no row any more of what was dropped, and none of before of what was made again."""
        self._free += self._dropped.values()
        self._dropped, self._returned = {}, {}

    def sorted(self, prefix: str = "") -> Iterator[Entry]:
        """Entries that are not bottom, in order of key and type."""
        for name in sorted(name for name in self._by_name if name[0].startswith(prefix)):
            entry = self._by_name[name]
            if not entry.is_bottom:
                yield entry

    def _remove(self, entry: Entry) -> None:
        del self._by_name[entry.name]
        self._numbered[entry.number] = None
