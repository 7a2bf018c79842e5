"""Canonical bytes of contexts and stores: equal states have equal bytes in every process, whatever its replica table.

A message is flat msgpack (`scalars`): the format number, the replica ids that it mentions (16 bytes each, once per
message, in the order of first mention), then what the caller wrote. Three rules make it canonical and small:

- Replicas are ordered by the bytes of their ids, never by their interned integers.
- A context is, for each replica, its intervals as gaps and lengths. All are counts from zero, so intervals that
  overlap, touch or run backwards can't be written down at all. The context of a single dot, which most messages hold
  or consist of, is a mark, its replica and the numbers before it; no other form of it is read.
- A dot is its *rank* in the context written last: 0 for the first of its dots, and so on. A live dot outside the
  context can't be written down either, and a dot takes one byte in a small delta however long its replica has been
  counting.

So a store needs a context before it. An entry that is stored without one gets the context of its own live dots
(`deltas`).

What there may be many of is written and read in columns (`dot_sets`, `values`), so that the work for each is done
within C.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import lt
from typing import Any, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, REPLICA_ID_BYTES, Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError, ReplicaTableFull, shorten
from crdtmesh.crdts.scalars import HEADER_SIZES, Scalar, pack_flat, pack_header, pack_scalar, unpack_message

FORMAT: Final = 2
"""First item of each message. Another number is refused: what it means can't be guessed."""

MESSAGE_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024 + 64 * 1024
"""Largest message that is decoded by default: the hard limit of an entry, 4 MiB, and room for contexts and keys."""

AMOUNT_MAX: Final = (1 << 63) - 1
"""Greatest amount of a counter entry."""

_BINARY_WIDTHS: Final = {b"\xc4": 1, b"\xc5": 2, b"\xc6": 4}
"""msgpack's binary items: first byte, and how many bytes of length follow it."""

_SMALL: Final = tuple(pack_scalar(n) for n in range(128))
"""Packed small integers, which most counts and ranks are: a look-up takes a fifth of the time of packing."""

_ONE_DOT: Final = -1
"""In place of a context's number of replicas: the context is one dot."""

_ONE_DOT_OF_FIRST: Final = pack_flat((_ONE_DOT, 0))
"""How the context of one dot of a message's first replica begins."""


_SHORT_HEADS: Final = tuple(pack_header(count) + _SMALL[FORMAT] for count in range(16))
"""What a message of so few items begins with."""


class Writer:
    """Writes one message. Replica ids are collected on the way and put in front by `finish`.

    Args:
        table: the table of all dots that will be written.
    """

    __slots__ = ("_bounds", "_more", "_pieces", "_replicas", "_shifts", "_table")

    def __init__(self, table: ReplicaTable) -> None:
        self._table = table
        # Packed scalars; `_more` is how many there are beyond one for each piece.
        self._pieces: list[bytes] = []
        self._more = 0
        self._replicas: dict[int, int] = {}
        # The context written last: its intervals, and what to add to a dot of each for its rank.
        self._bounds: list[Dot] = []
        self._shifts: list[int] = []

    def integer(self, number: int) -> None:
        """Write an integer of at most 64 bits."""
        self._pieces.append(_SMALL[number] if 0 <= number < 128 else pack_scalar(number))

    def integers(self, numbers: Sequence[int]) -> None:
        """Write integers of at most 64 bits, at a fraction of the time that one by one would take."""
        self._pieces.append(pack_flat(numbers))
        self._more += len(numbers) - 1

    def text(self, text: str) -> None:
        """Write a string."""
        self._pieces.append(pack_scalar(text))

    def binary(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._pieces.append(pack_scalar(data))

    def value(self, canonical: bytes) -> None:
        """Write a plain value that is already in canonical bytes."""
        self._pieces.append(canonical)

    def values(self, canonical: Sequence[bytes]) -> None:
        """Write many plain values that are already in canonical bytes."""
        self._pieces += canonical

    def replica(self, replica: int) -> None:
        """Write an interned replica, as its place among the ids of the message."""
        self.integer(self._place(replica))

    def _place(self, replica: int) -> int:
        return self._replicas.setdefault(replica, len(self._replicas))

    def context(self, context: CausalContext) -> None:
        """Write a context. The dots written from here on must be in it, until the next context."""
        bounds = self._bounds = context.bounds
        if len(bounds) == 2 and bounds[1] - bounds[0] == 1:
            dot = bounds[0]
            self._shifts = [-dot]
            replicas = self._replicas
            place = replicas.setdefault(dot >> DOT_BITS, len(replicas))
            self._pieces += (
                pack_flat((_ONE_DOT, place)) if place else _ONE_DOT_OF_FIRST,
                pack_scalar((dot & N_MAX) - 1),
            )
            self._more += 1
        elif len(bounds) == 4 and bounds[0] >> DOT_BITS == bounds[2] >> DOT_BITS:
            first, stop, second, end = bounds  # what `_intervals` does, unrolled: most writes supersede one dot
            place = self._place(first >> DOT_BITS)
            self._shifts = [-first, stop - first - second]
            self.integers((1, place, 1, (first & N_MAX) - 1, stop - first - 1, second - stop - 1, end - second - 1))
        elif bounds and bounds[0] >> DOT_BITS == bounds[-1] >> DOT_BITS:
            self.integers((1, *self._intervals(bounds, 0)))
        else:
            self._context_of_replicas(context)

    def _context_of_replicas(self, context: CausalContext) -> None:
        replicas = sorted(context.replicas(), key=self._table.id_of)
        numbers = [len(replicas)]
        shifts: dict[Dot, int] = {}
        rank = 0
        for replica in replicas:
            bounds = context.bounds_of(replica)
            numbers += self._intervals(bounds, rank)
            shifts.update(zip(bounds[::2], self._shifts, strict=True))
            rank = bounds[-1] + self._shifts[-1]
        self._shifts = [shifts[start] for start in context.bounds[::2]]
        self.integers(numbers)

    def _intervals(self, bounds: list[Dot], rank: int) -> list[int]:
        """Place, number of intervals less one, and each interval of a replica; ranks begin with the one given."""
        base = bounds[0] >> DOT_BITS << DOT_BITS
        numbers = [self._place(base >> DOT_BITS), (len(bounds) >> 1) - 1]
        shifts = self._shifts = []
        least = base + 1  # the smallest dot that the next interval could start with
        for at in range(0, len(bounds), 2):
            first, stop = bounds[at], bounds[at + 1]
            numbers.append(first - least)
            numbers.append(stop - first - 1)
            shifts.append(rank - first)
            rank += stop - first
            least = stop + 1
        return numbers

    def rank(self, dot: Dot) -> int:
        """The rank of a dot in the context written last: the canonical order of dots.

        Raises:
            ValueError: the dot is not in that context; a store was paired with a context that does not speak for it.
        """
        at = bisect_right(self._bounds, dot)
        if not at & 1:
            raise ValueError(f"dot {dot >> DOT_BITS}:{dot & N_MAX} is not in the context that was written")
        return dot + self._shifts[at >> 1]

    def ranked(self, dots: Iterable[Dot]) -> list[tuple[int, Dot]]:
        """Dots with their ranks, in canonical order."""
        return sorted([(self.rank(dot), dot) for dot in dots])

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
        self.integers(sorted(map(self.rank, dots)))

    def dot_sets(self, dot_sets: Sequence[int | frozenset[Dot]]) -> None:
        """Write many dot sets: a column of what `dots` begins with, then the ranks of those with several."""
        rank = self.rank
        dots = [each for each in dot_sets if isinstance(each, int)]
        if len(self._shifts) == 1 and len(dots) == len(dot_sets):
            shift = self._shifts[0]
            for outermost in (min(dots), max(dots)) if dots else ():
                rank(outermost)
            self.integers([dot + shift for dot in dots])
            return
        self.integers([rank(each) if isinstance(each, int) else -len(each) for each in dot_sets])
        for each in dot_sets:
            if not isinstance(each, int):
                self.integers(sorted(map(rank, each)))

    def value_and_dots(self, canonical: bytes, dots: int | frozenset[Dot]) -> None:
        """Write a column of one value and one of its dots, with their length: what most deltas of sets hold."""
        self._pieces += (_SMALL[1], canonical)
        bounds = self._bounds
        if len(bounds) == 2 and type(dots) is int and bounds[0] <= dots < bounds[1]:
            rank = dots - bounds[0]
            self._pieces.append(_SMALL[rank] if rank < 128 else pack_scalar(rank))
        else:
            self.dots(dots)

    @property
    def table(self) -> ReplicaTable:
        """The table of all dots that are written."""
        return self._table

    def finish(self) -> bytes:
        """The message."""
        pieces = self._pieces
        count = len(pieces) + self._more + 2
        head = _SHORT_HEADS[count] if count < 16 else pack_header(count) + _SMALL[FORMAT]
        return b"".join((head, pack_scalar(self._table.ids_of(self._replicas)), *pieces))


class Reader:
    """Reads one message that anyone may have sent; every method raises `CodecError` for what it did not expect.

    Args:
        data: the message.
        table: the table that the replica ids are interned into.
        size_bytes_max: a longer message is refused unread.

    Raises:
        CodecError: too long, not flat msgpack, another format, or malformed replica ids.
    """

    __slots__ = (
        "_at",
        "_items",
        "_rank_base",
        "_rank_bases",
        "_rank_starts",
        "_rank_total",
        "_replicas",
        "_seen",
        "_used",
        "table",
    )

    def __init__(self, data: bytes, table: ReplicaTable, *, size_bytes_max: int = MESSAGE_SIZE_BYTES_MAX) -> None:
        if len(data) > size_bytes_max:
            raise CodecError(f"message of {len(data)} bytes exceeds size_bytes_max={size_bytes_max}")
        items = unpack_message(data)
        if len(items) < 2 or type(items[0]) is not int or items[0] != FORMAT:
            raise CodecError(f"expected format {FORMAT}, got {shorten(items[:1])}; the sender runs another version")
        ids = items[1]
        if type(ids) is not bytes:
            raise CodecError(f"expected replica ids, got {shorten(ids)}")
        self.table = table
        # Anything may stand anywhere; whoever takes an item looks at its type.
        self._items: list[Any] = items
        self._at = 2
        self._used = 0
        number = table.find(ids)
        self._replicas = self._intern(ids) if number is None else [number]
        # The context read last: for a single interval its first dot, and else where each interval's ranks begin, and
        # what to add to them for the dot. Before the first context no rank is in bounds.
        self._rank_total = self._rank_base = 0
        self._rank_starts: Sequence[int] = ()
        self._rank_bases: Sequence[int] = ()
        self._seen: set[Dot] = set()

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
        at = self._at + 1
        left = len(self._items) - at
        item = self._items[at - 1] if left >= 0 else None
        if type(item) is int and 0 <= item <= left:
            self._at = at
            return item
        raise CodecError(f"expected a number of things, of which {left} are left, got {shorten(item)}")

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

    def values(self, count: int) -> list[bytes]:
        """Read many plain values, as canonical bytes."""
        return values.canonical_all(self._column(count))

    def replica(self) -> int:
        """Read a replica, as interned in the reader's table. Ids are mentioned in the order of the header."""
        place = self.integer(len(self._replicas) - 1)
        if place >= self._used:
            if place > self._used:
                raise CodecError(f"expected replica ids in the order of first mention, got {place} before {self._used}")
            self._used = place + 1
        return self._replicas[place]

    def context(self) -> CausalContext:
        """Read a context; the dots read from here on are ranks in it, until the next context."""
        if self._seen:
            self._seen = set()
        at, items = self._at, self._items
        if at < len(items) and items[at] == _ONE_DOT:
            return self._context_of_one()
        intervals: list[tuple[Dot, Dot]] = []
        starts: list[int] = []
        bases: list[int] = []
        self._rank_starts, self._rank_bases = starts, bases
        self._rank_total = 0
        before = b""
        for _ in range(self.count()):
            replica = self.replica()
            replica_id = self.table.id_of(replica)
            if replica_id <= before:
                raise CodecError("expected the replicas of a context in the order of their ids, each once")
            before = replica_id
            self._intervals(replica << DOT_BITS, intervals, starts, bases)
        if self._rank_total == 1:
            raise CodecError("expected the shortest form of a context of one dot, got the general one")
        if len(bases) == 1:
            self._rank_base = bases[0]
            self._rank_starts = ()
        intervals.sort()
        return CausalContext.of_bounds(self.table, list(chain.from_iterable(intervals)))

    def _context_of_one(self) -> CausalContext:
        at, items = self._at, self._items
        self._at = at + 3
        if at + 3 > len(items):
            raise CodecError("message ends early")
        mark, place, before = items[at], items[at + 1], items[at + 2]
        if not (type(mark) is type(place) is type(before) is int):
            raise CodecError("expected the mark of a context of one dot, a replica and a number")
        used = self._used
        if not 0 <= place <= used or not 0 <= before < N_MAX:
            raise CodecError(f"expected the next dot of a replica of the message, got {place!r}, {before!r}")
        if place == used:
            if used == len(self._replicas):
                raise CodecError(f"expected one of {used} replicas of the message, got {used}")
            self._used = used + 1
        dot: Dot = (self._replicas[place] << DOT_BITS) + before + 1
        self._rank_starts, self._rank_base, self._rank_total = (), dot, 1
        return CausalContext.of_one(self.table, dot)

    def _intervals(self, base: Dot, intervals: list[tuple[Dot, Dot]], starts: list[int], bases: list[int]) -> None:
        """Read the intervals of a replica, half open."""
        rank = self._rank_total
        least = 1
        for _ in range(self.count() + 1):
            first = least + self.integer(N_MAX - least)
            last = first + self.integer(N_MAX - first)
            least = last + 2
            intervals.append((base | first, (base | last) + 1))
            starts.append(rank)
            bases.append((base | first) - rank)
            rank += last - first + 1
        self._rank_total = rank

    def value_and_dots(self) -> tuple[bytes, int | frozenset[Dot]]:
        """Read a column of one value and one of its dots, as `Writer.value_and_dots` writes them after their length."""
        at, items = self._at, self._items
        self._at = at + 2
        if at + 2 > len(items):
            raise CodecError("message ends early")
        code = items[at + 1]
        if type(code) is not int or not -len(items) <= code < self._rank_total:
            raise CodecError(f"expected a rank in the context before it, got {shorten(code)}")
        if code < 0 or self._rank_starts or self._seen:
            return values.canonical(items[at]), self._dots_of(code)
        dot = code + self._rank_base
        self._seen.add(dot)
        return values.canonical(items[at]), dot

    def rank(self) -> int:
        """Read the rank of a dot in the context read last."""
        return self.integer(self._rank_total - 1)

    def dot(self) -> Dot:
        """Read a dot of the context read last."""
        return self.dot_at(self.rank())

    def dots(self) -> int | frozenset[Dot]:
        """Read a dot set that is not empty."""
        return self._dots_of(self.integer(self._rank_total - 1, least=-len(self._items)))

    def dot_sets(self, count: int) -> list[int | frozenset[Dot]]:
        """Read many dot sets, as `Writer.dot_sets` writes them."""
        if count == 1:
            return [self.dots()]
        codes = self._column(count)
        if not count:
            return []
        if set(map(type, codes)) != {int} or max(codes) >= self._rank_total:
            raise CodecError("expected a column of ranks in the context before it")
        if self._rank_starts or min(codes) < 0:
            return [self._dots_of(code) for code in codes]
        base = self._rank_base
        dots = [base + rank for rank in codes]
        before = len(self._seen)
        self._seen.update(dots)
        if len(self._seen) != before + count:
            raise CodecError("two entries of a store share a dot")
        return dots

    def _dots_of(self, code: int) -> int | frozenset[Dot]:
        if code >= 0:
            return self.dot_at(code)
        if code == -1 or -code > len(self._items) - self._at:
            raise CodecError(f"expected at least two dots and no more than there are items, got {-code}")
        ranks = [self.rank() for _ in range(-code)]
        require_ascending(ranks)
        return frozenset(map(self.dot_at, ranks))

    def dot_at(self, rank: int) -> Dot:
        """The dot of a rank. No dot comes twice: two store entries never share one."""
        starts = self._rank_starts
        dot = rank + (self._rank_bases[bisect_right(starts, rank) - 1] if starts else self._rank_base)
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
        """Whether no item is left."""
        return self._at == len(self._items)

    @property
    def is_at_text(self) -> bool:
        """Whether the next item is a string."""
        return self._at < len(self._items) and type(self._items[self._at]) is str

    def _take(self) -> Scalar:
        if self._at >= len(self._items):
            raise CodecError("message ends early")
        item = self._items[self._at]
        self._at += 1
        return item

    def _column(self, count: int) -> list[Any]:
        at = self._at
        self._at = at + count
        if self._at > len(self._items):
            raise CodecError("message ends early")
        return self._items[at : self._at]

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


def named_replica_ids(message: bytes) -> list[bytes] | None:
    """The replica ids that the head of a message names, without reading on; None for a head that is none.

    For whoever wants to see a whole message before it leaves a trace in a table.
    """
    start = 1 + HEADER_SIZES.get(message[0], 1) if message else 0
    width = _BINARY_WIDTHS.get(message[start : start + 1])
    if width is None:
        return None
    start += 1 + width
    ids = message[start : start + int.from_bytes(message[start - width : start], "big")]
    return [ids[at : at + REPLICA_ID_BYTES] for at in range(0, len(ids), REPLICA_ID_BYTES)]


def require_ascending(keys: Sequence[int] | Sequence[bytes]) -> None:
    """Refuse keys that are not strictly ascending: they would be unsorted, or duplicates.

    Raises:
        CodecError: some pair is out of order.
    """
    if not all(map(lt, keys, keys[1:])):
        raise CodecError("expected ascending, distinct keys, got some that are not")
