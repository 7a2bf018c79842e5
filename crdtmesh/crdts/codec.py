"""Canonical bytes of contexts and stores: equal states have equal bytes in every process, whatever its replica table.

A message is flat msgpack (`scalars`): the format number, the replica ids that it mentions (16 bytes each, once per
message, in the order of first mention), then what the caller wrote. Three rules make it canonical and small:

- Replicas are ordered by the bytes of their ids, never by their interned integers.
- A context is, for each replica, its intervals as gaps and lengths. All are counts from zero, so intervals that
  overlap, touch or run backwards can't be written down at all.
- A dot is its *rank* in the context written last: 0 for the first of its dots, and so on. A live dot outside the
  context can't be written down either, and a dot takes one byte in a small delta however long its replica has been
  counting.

So a store needs a context before it. An entry that is stored without one gets the context of its own live dots
(`deltas`).
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from crdtmesh.crdts import values
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, REPLICA_ID_BYTES, Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError, ReplicaTableFull, shorten
from crdtmesh.crdts.scalars import Scalar, pack_scalar, unpack_scalars

FORMAT: Final = 1
"""First item of each message. Another number is refused: what it means can't be guessed."""

MESSAGE_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024 + 64 * 1024
"""Largest message that is decoded by default: the hard limit of an entry, 4 MiB, and room for contexts and keys."""

AMOUNT_MAX: Final = (1 << 63) - 1
"""Greatest amount of a counter entry."""

_SMALL: Final = tuple(pack_scalar(n) for n in range(128))
"""Packed small integers, which most counts and ranks are: a look-up takes a fifth of the time of packing."""


class Writer:
    """Writes one message. Replica ids are collected on the way and put in front by `finish`.

    Args:
        table: the table of all dots that will be written.
    """

    __slots__ = ("_pieces", "_replicas", "_shifts", "_starts", "_stops", "_table")

    def __init__(self, table: ReplicaTable) -> None:
        self._table = table
        self._pieces: list[bytes] = []
        self._replicas: dict[int, int] = {}
        self._starts: list[Dot] = []
        self._stops: list[Dot] = []
        self._shifts: list[int] = []

    def integer(self, number: int) -> None:
        """Write an integer of at most 64 bits."""
        self._pieces.append(_SMALL[number] if 0 <= number < 128 else pack_scalar(number))

    def text(self, text: str) -> None:
        """Write a string."""
        self._pieces.append(pack_scalar(text))

    def binary(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._pieces.append(pack_scalar(data))

    def value(self, canonical: bytes) -> None:
        """Write a plain value that is already in canonical bytes."""
        self._pieces.append(canonical)

    def replica(self, replica: int) -> None:
        """Write an interned replica, as its place among the ids of the message."""
        self.integer(self._replicas.setdefault(replica, len(self._replicas)))

    def context(self, context: CausalContext) -> None:
        """Write a context. The dots written from here on must be in it, until the next context."""
        bounds = context.bounds
        if len(bounds) == 2:  # the context of most deltas
            first, stop = bounds
            self._starts, self._stops, self._shifts = [first], [stop], [-first]
            self.integer(1)
            self.replica(first >> DOT_BITS)
            self.integer(0)
            self.integer((first & N_MAX) - 1)
            self.integer(stop - first - 1)
            return
        if (
            bounds and bounds[0] >> DOT_BITS == bounds[-1] >> DOT_BITS
        ):  # an update of what the same replica wrote before
            self._context_of_one_replica(bounds)
            return
        replicas = sorted(context.replicas(), key=self._table.id_of)
        self.integer(len(replicas))
        shifts: dict[Dot, int] = {}
        rank = 0
        for replica in replicas:
            intervals = list(context.intervals_of(replica))
            self.replica(replica)
            self.integer(len(intervals) - 1)
            least = 1  # the smallest n that the next interval could start with
            for first, last in intervals:
                self.integer(first - least)
                self.integer(last - first)
                least = last + 2
                dot = replica << DOT_BITS | first
                shifts[dot] = rank - dot
                rank += last - first + 1
        self._starts, self._stops = bounds[::2], bounds[1::2]
        self._shifts = [shifts[start] for start in self._starts]

    def _context_of_one_replica(self, bounds: list[int]) -> None:
        """The same bytes as the general form writes, in half its time: nothing is to be put in order."""
        self._starts, self._stops, self._shifts = bounds[::2], bounds[1::2], []
        base = bounds[0] >> DOT_BITS << DOT_BITS
        self.integer(1)
        self.replica(base >> DOT_BITS)
        self.integer(len(self._starts) - 1)
        least = base + 1
        rank = 0
        for first, stop in zip(self._starts, self._stops, strict=True):
            self.integer(first - least)
            self.integer(stop - first - 1)
            self._shifts.append(rank - first)
            rank += stop - first
            least = stop + 1

    def rank(self, dot: Dot) -> int:
        """The rank of a dot in the context written last: the canonical order of dots.

        Raises:
            ValueError: the dot is not in that context; a store was paired with a context that does not speak for it.
        """
        at = bisect_right(self._starts, dot) - 1
        if at < 0 or dot >= self._stops[at]:
            raise ValueError(f"dot {dot >> DOT_BITS}:{dot & N_MAX} is not in the context that was written")
        return dot + self._shifts[at]

    def ranked(self, dots: Iterable[Dot]) -> list[tuple[int, Dot]]:
        """Dots with their ranks, in canonical order."""
        return sorted((self.rank(dot), dot) for dot in dots)

    def dot(self, dot: Dot) -> None:
        """Write a dot of the context written last."""
        self.integer(self.rank(dot))

    def dots(self, dots: int | frozenset[Dot]) -> None:
        """Write a dot set that is not empty: one dot as its rank, several as minus their number and their ranks."""
        if type(dots) is int:
            self.integer(self.rank(dots))
            return
        assert not isinstance(dots, int)
        self.integer(-len(dots))
        for rank in sorted(map(self.rank, dots)):
            self.integer(rank)

    def finish(self) -> bytes:
        """The message."""
        ids = b"".join(map(self._table.id_of, self._replicas))
        return b"".join((_SMALL[FORMAT], pack_scalar(ids), *self._pieces))


class Reader:
    """Reads one message that anyone may have sent; every method raises `CodecError` for what it did not expect.

    Args:
        data: the message.
        table: the table that the replica ids are interned into.
        size_bytes_max: a longer message is refused unread.

    Raises:
        CodecError: too long, not flat msgpack, another format, or malformed replica ids.
    """

    __slots__ = ("_at", "_items", "_rank_bases", "_rank_starts", "_rank_total", "_replicas", "_seen", "_used", "table")

    def __init__(self, data: bytes, table: ReplicaTable, *, size_bytes_max: int = MESSAGE_SIZE_BYTES_MAX) -> None:
        if len(data) > size_bytes_max:
            raise CodecError(f"message of {len(data)} bytes exceeds size_bytes_max={size_bytes_max}")
        self.table: Final = table
        self._items = unpack_scalars(data)
        self._at = 0
        self._used = 0
        self._rank_starts: list[int] = []
        self._rank_bases: list[int] = []
        self._rank_total = 0
        self._seen: set[Dot] = set()
        form = self.integer()
        if form != FORMAT:
            raise CodecError(f"expected format {FORMAT}, got {form}; the sender runs another version")
        self._replicas = self._intern(self.binary())

    def integer(self, greatest: int = AMOUNT_MAX, *, least: int = 0) -> int:
        """Read an integer within closed bounds."""
        at = self._at
        item = self._items[at] if at < len(self._items) else None
        if type(item) is not int or not least <= item <= greatest:
            raise CodecError(f"expected an integer in {least} .. {greatest}, got {shorten(item)}")
        self._at = at + 1
        return item

    def count(self) -> int:
        """Read how many things follow; never more than there are items left, so it is safe to loop over."""
        return self.integer(len(self._items) - self._at - 1)

    def text(self) -> str:
        """Read a string."""
        item = self._take()
        if type(item) is not str:
            raise CodecError(f"expected text, got {shorten(item)}")
        return item

    def binary(self) -> bytes:
        """Read bytes."""
        item = self._take()
        if type(item) is not bytes:
            raise CodecError(f"expected bytes, got {shorten(item)}")
        return item

    def value(self) -> bytes:
        """Read a plain value, as canonical bytes."""
        return values.canonical(self._take())

    def replica(self) -> int:
        """Read a replica, as interned in the reader's table. Ids are mentioned in the order of the header."""
        place = self.integer(len(self._replicas) - 1)
        if place > self._used:
            raise CodecError(f"expected replica ids in the order of first mention, got {place} before {self._used}")
        self._used = max(self._used, place + 1)
        return self._replicas[place]

    def context(self) -> CausalContext:
        """Read a context; the dots read from here on are ranks in it, until the next context."""
        self._rank_starts, self._rank_bases, self._seen = [], [], set()
        intervals: list[tuple[Dot, Dot]] = []
        rank = 0
        before = b""
        for _ in range(self.count()):
            replica = self.replica()
            replica_id = self.table.id_of(replica)
            if replica_id <= before:
                raise CodecError("expected the replicas of a context in the order of their ids, each once")
            before = replica_id
            base = replica << DOT_BITS
            least = 1
            for _ in range(self.count() + 1):
                first = least + self.integer(N_MAX - least)
                last = first + self.integer(N_MAX - first)
                least = last + 2
                intervals.append((base | first, (base | last) + 1))
                self._rank_starts.append(rank)
                self._rank_bases.append((base | first) - rank)
                rank += last - first + 1
        self._rank_total = rank
        intervals.sort()
        return CausalContext.of_bounds(self.table, [bound for interval in intervals for bound in interval])

    def rank(self) -> int:
        """Read the rank of a dot in the context read last."""
        return self.integer(self._rank_total - 1)

    def dot(self) -> Dot:
        """Read a dot of the context read last."""
        return self.dot_at(self.rank())

    def dots(self) -> int | frozenset[Dot]:
        """Read a dot set that is not empty."""
        code = self.integer(self._rank_total - 1, least=-len(self._items))
        if code >= 0:
            return self.dot_at(code)
        if code == -1 or -code > len(self._items) - self._at:
            raise CodecError(f"expected at least two dots and no more than there are items, got {-code}")
        ranks = [self.rank() for _ in range(-code)]
        require_ascending(ranks)
        return frozenset(map(self.dot_at, ranks))

    def dot_at(self, rank: int) -> Dot:
        """The dot of a rank. No dot comes twice: two store entries never share one."""
        at = bisect_right(self._rank_starts, rank) - 1
        dot = rank + self._rank_bases[at]
        if dot in self._seen:
            raise CodecError("two entries of a store share a dot")
        self._seen.add(dot)
        return dot

    def finish(self) -> None:
        """Refuse a message that goes on after its last item, or names replica ids that it never mentions."""
        if self._at != len(self._items):
            raise CodecError(f"expected the end of the message, got {len(self._items) - self._at} more items")
        if self._used != len(self._replicas):
            raise CodecError(f"message names {len(self._replicas)} replica ids and mentions {self._used}")

    @property
    def is_at_end(self) -> bool:
        """Whether all items were read."""
        return self._at == len(self._items)

    def _take(self) -> Scalar:
        if self._at >= len(self._items):
            raise CodecError("message ends early")
        item = self._items[self._at]
        self._at += 1
        return item

    def _intern(self, ids: bytes) -> list[int]:
        if len(ids) % REPLICA_ID_BYTES:
            raise CodecError(f"expected replica ids of {REPLICA_ID_BYTES} bytes, got {len(ids)} bytes in all")
        each = [ids[i : i + REPLICA_ID_BYTES] for i in range(0, len(ids), REPLICA_ID_BYTES)]
        if len(set(each)) != len(each):
            raise CodecError("expected each replica id once")
        try:
            return list(map(self.table.intern, each))
        except ReplicaTableFull as error:
            raise CodecError(f"message brings too many new replica ids: {error}") from error


def require_ascending(keys: list[int] | list[bytes]) -> None:
    """Refuse keys that are not strictly ascending: they would be unsorted, or duplicates.

    Raises:
        CodecError: at the first pair out of order.
    """
    for before, after in pairwise(keys):
        if not before < after:  # type: ignore[operator]  # both are of one kind
            raise CodecError(f"expected ascending, distinct keys, got {shorten(after)} after {shorten(before)}")
