"""The entries of one shard: by name for callers, by number for the index and the disk.

What comes from the disk is kept as it stands there until somebody looks at it: most entries of a large node are cold,
and decoding one takes thirty times as long as reading its row, and three times the memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import lt
from types import MappingProxyType
from typing import Any, Final

from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CrdtError
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.events import AnyType, EntryName
from crdtmesh.replication.levels import VOTERS_PREFIX, VOTERS_TYPE
from crdtmesh.replication.options import ENTRIES_PER_SHARD_MAX
from crdtmesh.replication.rows import is_bottom_in, name_in, names_in, read_row

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


class EntryTable:
    """Entries, which keep their number for as long as they live.

    Rows on disk speak of a number until `settle`. If the name of a dropped entry is used again before, it gets the
    number again; to other names the number is given only after. So no name and no number ever has two rows.

    Args:
        system: whose entries they are.
        table: of the dots of the shard.
    """

    __slots__ = (
        "_by_type",
        "_dropped",
        "_free",
        "_numbered",
        "_returned",
        "_system",
        "_table",
        "_version",
        "_voter_lists",
    )

    def __init__(self, system: str, table: ReplicaTable) -> None:
        self._system = system
        self._table = table
        # By type and key the number: a pair as the name of each would take 72 bytes more. By number the entry, or the
        # row that it is to be made of.
        self._by_type: dict[str, dict[str, int]] = {}
        self._numbered: list[Entry | bytes | None] = []
        # Numbers of the entries that `voter_lists` yields: each call at a level may ask for them.
        self._voter_lists: set[int] = set()
        self._free: list[int] = []
        # Since the last `settle`: what was dropped, and what was made again after that.
        self._dropped: dict[tuple[str, str], int] = {}
        self._returned: dict[tuple[str, str], Entry] = {}
        # Versions of an entry that was dropped and made again go on from here.
        self._version = 0

    def __len__(self) -> int:
        """Number of entries, those included that are bottom now."""
        return sum(map(len, self._by_type.values()))

    def __iter__(self) -> Iterator[Entry]:
        """All entries, to be read only: those that nobody has looked at before are decoded for this once."""
        return (entry for _, number in self.names() if (entry := self.peek(number)) is not None)

    def names(self) -> Iterator[tuple[EntryName, int]]:
        """The names of all entries, each with its number. Nothing is decoded for it."""
        for type_name, numbers in self._by_type.items():
            for key, number in numbers.items():
                yield EntryName(key, type_name), number

    def keys_of(self, type_name: str) -> Mapping[str, int]:
        """The keys of all entries of a type, each with its number; it shows what changes."""
        return self._by_type.get(type_name, _NOTHING)

    def find(self, name: tuple[str, str]) -> Entry | None:
        """The entry of a name, which may be bottom."""
        number = self._number_of(name)
        return None if number is None else self.numbered(number)

    def _number_of(self, name: tuple[str, str]) -> int | None:
        numbers = self._by_type.get(name[1])
        return None if numbers is None else numbers.get(name[0])

    def numbered(self, number: int) -> Entry | None:
        """The entry of a number, unless it was dropped."""
        entry = self._numbered[number]
        if type(entry) is bytes:
            entry = self._numbered[number] = self._unpacked(number, entry)
        return entry  # type: ignore[return-value]  # it was decoded if it was bytes

    def name_of(self, number: int) -> tuple[str, str]:
        """Key and type of the entry of a number, which there is. Nothing is decoded for it."""
        entry = self._numbered[number]
        return name_in(entry) if type(entry) is bytes else entry.name  # type: ignore[union-attr]

    def peek(self, number: int) -> Entry | None:
        """The entry of a number to be read only: one that nobody has looked at before is decoded for this once."""
        entry = self._numbered[number]
        return self._unpacked(number, entry) if type(entry) is bytes else entry  # type: ignore[return-value]

    def packed(self, number: int) -> bytes | None:
        """The row of an entry that nobody has looked at; None for others."""
        entry = self._numbered[number]
        return entry if type(entry) is bytes else None

    def is_taken(self, number: int) -> bool:
        """Whether there is an entry of this number."""
        return self._numbered[number] is not None

    def is_bottom(self, number: int) -> bool:
        """Whether there is no entry of this number, or nothing left of it. Nothing is decoded for it."""
        entry = self._numbered[number]
        if entry is None:
            return True
        return is_bottom_in(entry) if type(entry) is bytes else entry.is_bottom  # type: ignore[union-attr]

    def _unpacked(self, number: int, data: bytes) -> Entry:
        try:
            row = read_row(data, self._table)
        except CrdtError as error:
            # Not a peer's fault, though it may be a peer's message that touches the entry.
            raise CorruptRecord(f"the row of entry {number} can't be read: {error}; restore a backup") from error
        entry = Entry(self._system, row.name, number, row.data_type)
        entry.store, entry.size_bytes, entry.version = row.store, len(data), 1
        return entry

    def make(self, name: EntryName, data_type: AnyType) -> Entry:
        """The entry of a name, made if it is new.

        Raises:
            LimitExceeded: it would be one too many, or its type was not known before; nothing was changed.
        """
        entry = self.find(name)
        if entry is not None:
            if type(entry.data_type) is not type(data_type):
                raise LimitExceeded(f"type {name.type_name!r:.64} became known while the node ran; restart it")
            return entry
        entry = Entry(self._system, name, self._number_for(name), data_type)
        entry.version = self._version
        self._take(name, entry.number)
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

    def require_room(self, count: int) -> None:
        """Refuses what could be too many entries.

        Raises:
            LimitExceeded: the shard would hold too many if all of them were new.
        """
        if len(self) + count > ENTRIES_PER_SHARD_MAX:
            raise LimitExceeded(f"a shard of {self._system!r:.64} holds {ENTRIES_PER_SHARD_MAX} entries, its limit")

    def takes_row(self, name: tuple[str, str]) -> bool:
        """Whether an entry can be put in as a row: there is and was none of its name, whose version would go on."""
        return self._number_of(name) is None and name not in self._dropped and not self._version

    def add_row(self, name: EntryName, data: bytes) -> int:
        """Puts in an entry as the row that it would have on disk, and gives its number; see `takes_row`."""
        number = self._number_for(name)
        self._take(name, number)
        self._numbered[number] = data
        return number

    def restore(self, name: EntryName, data_type: AnyType, number: int, store: Any, size_bytes: int) -> Entry:
        """Puts an entry from disk back under its number; see `restore_row`."""
        entry = Entry(self._system, name, number, data_type)
        entry.store, entry.size_bytes, entry.version = store, size_bytes, 1
        self._put_back(name, number, entry)
        return entry

    def restore_row(self, number: int, data: bytes) -> None:
        """Puts the row of an entry back under its number; numbers in between belong to entries that come later.

        Raises:
            CodecError: it does not begin like an entry.
            ValueError: the number or the name is taken, or the number is out of bounds.
        """
        self._put_back(name_in(data), number, data)

    def restore_rows(self, numbers: Sequence[int], rows: Sequence[bytes]) -> bool:
        """Puts the rows of many entries back; False, and nothing is changed, if their numbers don't follow each other.

        Raises:
            CodecError: one of them does not begin like an entry; the table is not to be used.
            ValueError: two entries have one name; likewise.
        """
        numbered = self._numbered
        first, last = numbers[0], numbers[-1]
        if not len(numbered) <= first <= last < ENTRIES_PER_SHARD_MAX or not all(map(lt, numbers, numbers[1:])):
            return False
        count = len(self)
        names_in(zip(numbers, rows, strict=True), self._by_type)
        if len(self) != count + len(rows):
            raise ValueError(f"two of the entries {first} to {last} have one name, or one of them has that of another")
        numbered.extend([None] * (first - len(numbered)))
        if last - first == len(rows) - 1:
            numbered.extend(rows)
        else:
            numbered.extend([None] * (last + 1 - first))
            for number, data in zip(numbers, rows, strict=True):
                numbered[number] = data
        return True

    def _put_back(self, name: tuple[str, str], number: int, entry: Entry | bytes) -> None:
        numbered = self._numbered
        if number == len(numbered) < ENTRIES_PER_SHARD_MAX:
            numbered.append(None)
        elif not 0 <= number < ENTRIES_PER_SHARD_MAX:
            raise ValueError(f"entry number {number} of {name[0]!r:.64} is out of bounds")
        elif number > len(numbered):
            numbered.extend([None] * (number + 1 - len(numbered)))
        if numbered[number] is not None or self._number_of(name) is not None:
            raise ValueError(f"entry number {number} of {name[0]!r:.64} is taken, or its name is")
        self._take(name, number)
        numbered[number] = entry

    def _take(self, name: tuple[str, str], number: int) -> None:
        key, type_name = name
        numbers = self._by_type.get(type_name)
        if numbers is None:
            numbers = self._by_type[type_name] = {}
        numbers[key] = number
        if key.startswith(VOTERS_PREFIX):
            self._voter_lists.add(number)

    def restored(self) -> None:
        """All entries are back from the disk: numbers without one are free."""
        for key, number in self.keys_of(VOTERS_TYPE).items():
            if key.startswith(VOTERS_PREFIX):
                self._voter_lists.add(number)
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
        """Entries that are not bottom, in order of key and type; to be read only."""
        for _, number in self.sorted_names(prefix):
            entry = self.peek(number)
            if entry is not None and not entry.is_bottom:
                yield entry

    def sorted_names(self, prefix: str = "") -> Iterator[tuple[EntryName, int]]:
        """The names of entries, in order of key and type, each with its number. Nothing is decoded for it."""
        names = [
            EntryName(key, type_name)
            for type_name, numbers in self._by_type.items()
            for key in numbers
            if key.startswith(prefix)
        ]
        names.sort()
        for name in names:
            number = self._number_of(name)
            if number is not None:  # it was not dropped since
                yield name, number

    def voter_lists(self) -> Iterator[Entry]:
        """The voter lists that are not bottom, if this is a shard of `_mesh`. Complexity: O(their number)."""
        return (e for number in self._voter_lists if (e := self.numbered(number)) is not None and not e.is_bottom)

    def _remove(self, entry: Entry) -> None:
        del self._by_type[entry.name.type_name][entry.name.key]
        self._voter_lists.discard(entry.number)
        self._numbered[entry.number] = None
