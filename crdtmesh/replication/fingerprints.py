"""Sums of the entries of a shard, by which two replicas find where they differ without comparing what they applied.

Names of entries are hashed into 4,096 buckets; each bucket has the sum, modulo 2**128, of one hash for each of its
entries. A sum can be kept up: subtract the old hash, add the new one. An entry that is bottom counts nothing, and
nothing but its live part counts, so replicas with equal entries have equal sums, whatever else they know.

Updates only put an entry on a list; hashing is done when sums are wanted, in slices. Nothing is kept until sums are
wanted for the first time.
"""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication.carrying import canonical
from crdtmesh.replication.entries import EntryTable
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.options import BUCKETS
from crdtmesh.replication.rows import canonical_in

SUM_BYTES: Final = 16

_NOTHING: Final = bytes(SUM_BYTES)
_SUM_LIMIT: Final = 1 << (8 * SUM_BYTES)
_PERSON: Final = b"crdtmesh entry"
_PLACE: Final = b"crdtmesh bucket"


def bucket_of(name: tuple[str, str]) -> int:
    """The bucket of an entry, the same on every node."""
    text = name[0].encode() + b"\0" + name[1].encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=2, person=_PLACE).digest(), "big") % BUCKETS


def _hash_of(name: tuple[str, str], content: bytes) -> bytes:
    hashed = hashlib.blake2b(digest_size=SUM_BYTES, person=_PERSON)
    for field in (name[0].encode(), name[1].encode()):
        hashed.update(len(field).to_bytes(4, "big") + field)
    hashed.update(content)
    return hashed.digest()


class Fingerprints:
    """The sums of one shard.

    Args:
        table: of the shard's dots.
        entries: all that the shard holds now.
    """

    __slots__ = ("_buckets", "_entries", "_prints", "_sums", "_table", "_unsummed")

    def __init__(self, table: ReplicaTable, entries: EntryTable) -> None:
        self._table = table
        self._sums = [0] * BUCKETS
        # The hash that is in the sums, by the number of the entry; zeros for none.
        self._prints = bytearray()
        # The bucket of each entry that has a hash, by its number.
        self._buckets = array("H")
        # Numbers of entries; what was not looked at since the start is hashed as it stands in its row.
        self._entries = entries
        self._unsummed = [number for _, number in entries.names()]

    def changed(self, entry: Entry) -> None:
        """Takes note that an entry is to be hashed again. Complexity: O(1)."""
        if not entry.is_unsummed:
            entry.is_unsummed = True
            self._unsummed.append(entry.number)

    def added(self, numbers: Iterable[int]) -> None:
        """Takes note of entries that were put in as rows."""
        self._unsummed += numbers

    def forget(self, entry: Entry) -> None:
        """Takes an entry that is bottom, and about to be dropped, out of the sums."""
        self._replace(entry.number, entry.name, _NOTHING)

    def bucket(self, name: tuple[str, str], number: int) -> int:
        """The bucket of an entry, which is known if it was summed up."""
        start = number * SUM_BYTES
        is_summed = self._prints[start : start + SUM_BYTES] not in (b"", _NOTHING)
        return self._buckets[number] if is_summed else bucket_of(name)

    @property
    def is_summed_up(self) -> bool:
        """Whether no entry is left to be hashed."""
        return not self._unsummed

    def sum_up(self, entries_max: int) -> bool:
        """Hashes at most so many of the entries that changed; whether none is left."""
        for _ in range(min(entries_max, len(self._unsummed))):
            self._sum_up(self._unsummed.pop())
        return not self._unsummed

    def _sum_up(self, number: int) -> None:
        row = self._entries.packed(number)
        if row is not None:
            name, content = canonical_in(row)
            if content is not None:
                self._replace(number, name, _hash_of(name, content))
                return
        entry = self._entries.peek(number)
        if entry is not None:  # it was not dropped since
            entry.is_unsummed = False
            content = b"" if entry.is_bottom else canonical(entry.data_type, entry.store, self._table)
            self._replace(number, entry.name, _hash_of(entry.name, content) if content else _NOTHING)

    @property
    def sums(self) -> Sequence[int]:
        """The sum of each bucket, as of the last time that none was left to be summed up."""
        return self._sums

    def _replace(self, number: int, name: tuple[str, str], new: bytes) -> None:
        start = number * SUM_BYTES
        if len(self._prints) < start + SUM_BYTES:
            # Grown by an eighth, as lists are.
            count = number + 1 + number // 8
            self._prints.extend(bytes(count * SUM_BYTES - len(self._prints)))
            self._buckets.extend([0] * (count - len(self._buckets)))
        old = self._prints[start : start + SUM_BYTES]
        if old == new:
            return
        self._prints[start : start + SUM_BYTES] = new
        bucket = self._buckets[number] = bucket_of(name)
        difference = int.from_bytes(new, "big") - int.from_bytes(old, "big")
        self._sums[bucket] = (self._sums[bucket] + difference) % _SUM_LIMIT


def pack_sums(sums: Sequence[int]) -> bytes:
    """The bytes of sums: all of them, or, when most are zero, those that are not, each behind its bucket."""
    present = [bucket for bucket, each in enumerate(sums) if each]
    if len(present) * (2 + SUM_BYTES) < BUCKETS * SUM_BYTES:
        return b"".join(bucket.to_bytes(2, "big") + sums[bucket].to_bytes(SUM_BYTES, "big") for bucket in present)
    return b"".join(each.to_bytes(SUM_BYTES, "big") for each in sums)


def unpack_sums(data: bytes) -> list[int] | None:
    """Sums from their bytes; None when they are none."""
    if len(data) == BUCKETS * SUM_BYTES:
        return [int.from_bytes(data[at : at + SUM_BYTES], "big") for at in range(0, len(data), SUM_BYTES)]
    width = 2 + SUM_BYTES
    if len(data) % width or len(data) > BUCKETS * width:
        return None
    sums = [0] * BUCKETS
    for at in range(0, len(data), width):
        bucket = int.from_bytes(data[at : at + 2], "big")
        if bucket >= BUCKETS:
            return None
        sums[bucket] = int.from_bytes(data[at + 2 : at + width], "big")
    return sums
