"""Reads messages of format 1 of the codec, which are on disks of storage format 1. Nothing writes them any more.

What was different: a message was a flat run of scalars without a header, the context of one dot had no short form, and
the keys of sets stood each before its dots instead of in columns.
"""

from bisect import bisect_right

from crdtmesh.crdts.codec import MESSAGE_SIZE_BYTES_MAX, Reader, require_ascending
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.scalars import unpack_scalars

FIRST_FORMAT = 1


class FirstReader(Reader):
    """A `Reader` of a message of format 1."""

    __slots__ = ("_columns",)

    def __init__(self, data: bytes, table: ReplicaTable, *, size_bytes_max: int = MESSAGE_SIZE_BYTES_MAX) -> None:
        # Not that of `Reader`, which reads the header of its own format.
        if len(data) > size_bytes_max:
            raise CodecError(f"message of {len(data)} bytes exceeds size_bytes_max={size_bytes_max}")
        self.table = table
        self._items = unpack_scalars(data)
        self._at = self._used = self._rank_total = self._rank_base = 0
        self._rank_starts, self._rank_bases, self._seen = [], [], set()
        self._columns: list[int | frozenset[Dot]] = []
        if self.integer() != FIRST_FORMAT:
            raise CodecError(f"expected format {FIRST_FORMAT}, got {self._items[0]}")
        self._replicas = self._intern(self.binary())

    def context(self) -> CausalContext:
        """Read a context; the dots read from here on are ranks in it, until the next context."""
        starts: list[int] = []
        bases: list[int] = []
        bounds: list[tuple[Dot, Dot]] = []
        rank = 0
        for _ in range(self.count()):
            base = self.replica() << DOT_BITS
            least = 1
            for _ in range(self.count() + 1):
                first = least + self.integer(N_MAX - least)
                last = first + self.integer(N_MAX - first)
                least = last + 2
                bounds.append((base | first, (base | last) + 1))
                starts.append(rank)
                bases.append((base | first) - rank)
                rank += last - first + 1
        self._rank_starts, self._rank_bases, self._rank_total, self._seen = starts, bases, rank, set()
        return CausalContext.of_bounds(self.table, [bound for interval in sorted(bounds) for bound in interval])

    def dot_at(self, rank: int) -> Dot:
        """The dot of a rank. No dot comes twice: two store entries never share one."""
        dot = rank + self._rank_bases[bisect_right(self._rank_starts, rank) - 1]
        if dot in self._seen:
            raise CodecError("two entries of a store share a dot")
        self._seen.add(dot)
        return dot

    def dots(self) -> int | frozenset[Dot]:
        """Read a dot set that is not empty."""
        code = self.integer(self._rank_total - 1, least=-len(self._items))
        if code >= 0:
            return self.dot_at(code)
        ranks = [self.rank() for _ in range(-code)]
        require_ascending(ranks)
        return frozenset(map(self.dot_at, ranks))

    def value_and_dots(self) -> tuple[bytes, int | frozenset[Dot]]:
        """Read a key and its dots."""
        return self.value(), self.dots()

    def values(self, count: int) -> list[bytes]:
        """Read keys, each with its dots behind it, which `dot_sets` gives then."""
        pairs = [self.value_and_dots() for _ in range(count)]
        self._columns = [dots for _, dots in pairs]
        return [key for key, _ in pairs]

    def dot_sets(self, count: int) -> list[int | frozenset[Dot]]:
        """The dots of the keys that `values` read last."""
        return self._columns
