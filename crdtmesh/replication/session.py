"""One session of repair: what one peer lacks of one shard, cut into chunks that are each legal on their own.

Of an entry goes what the receiver lacks: its live part outside of what the receiver has applied, under its own context
K_k (rule B). Beside all entries goes `base`, what the receiver has applied, the sender knows, and none of these entries
holds any more (rule C). A live dot that the receiver has applied is in neither: if it is live there too, it stays; if
it was removed there, it stays removed. So the cost is that of the difference, inside of an entry too
(docs/decisions/0039). A session holds no promise: when a chunk is lost it is given up, what arrived is applied, and the
next round asks for the rest.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot
from crdtmesh.replication import wire
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.events import EntryState, covers
from crdtmesh.replication.options import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.sizes import measure

# An estimate above this is checked by encoding the entry before it is used.
_MEASURED_ABOVE_BYTES: Final = 4096

_RUN_BYTES: Final = 8

Runs = list[tuple[Dot, Dot]]


class Session:
    """What one peer lacks of one shard, and how far it was sent.

    Args:
        shard: of this replica.
        theirs: what the peer has applied.
        number: names the session in its chunks.
        chunk_bytes: entries are gathered until they are so large together.
        wants_back: the peer has events that are missing here.
        only: numbers of the entries to send, with all that events tie to them; all that were touched if None.

    Attributes:
        number: names the session in its chunks.
        theirs: what the peer has applied.
        is_done: its last chunk was made.
        oversized: entries that no link would take; whoever reports them empties the list.
    """

    __slots__ = (
        "_base",
        "_chunk_bytes",
        "_dots",
        "_next_chunk",
        "_queue",
        "_seen",
        "_sent",
        "_wants_back",
        "is_done",
        "number",
        "oversized",
        "shard",
        "theirs",
    )

    def __init__(
        self,
        shard: Shard,
        theirs: CausalContext,
        number: int,
        *,
        chunk_bytes: int,
        wants_back: bool,
        only: Iterable[int] | None = None,
    ) -> None:
        self.shard = shard
        self.number = number
        self.is_done = False
        self.oversized: list[Entry] = []
        self._chunk_bytes = chunk_bytes
        self.theirs = theirs
        self._wants_back = wants_back
        self._base = CausalContext(shard.table)
        self._seen = theirs
        self._dots: dict[int, Runs] = {}
        self._sent: set[int] = set()
        self._next_chunk = 0
        if only is None:
            missing = shard.applied.difference(theirs).intervals()
            only = (number for first, last in missing for _, _, number in shard.owners_within(first, last))
        self._queue = deque(dict.fromkeys(only))
        self._refresh()

    @property
    def has_nothing(self) -> bool:
        """The peer lacks nothing and has nothing that is wanted."""
        return not self._queue and not self._wants_back

    def chunk(self, clock: int, *, may_wait: bool) -> tuple[bytes, bool]:
        """The body of the next REPAIR message, which the payload limit bounds unless one event needs more.

        Args:
            clock: of this replica.
            may_wait: the peer is to acknowledge this chunk if more follows.

        Returns:
            The body, and whether it asks for an acknowledgement.
        """
        self._refresh()
        numbers, spans = self._gather()
        while True:
            asks = may_wait or bool(self._queue)
            body = self._encode(numbers, spans, clock, asks=asks)
            if len(body) < PAYLOAD_BYTES_MAX - wire.HEADER_BYTES_MAX or len(numbers) == 1 or spans:
                break
            kept = max(1, int(0.9 * len(numbers) * PAYLOAD_BYTES_MAX / len(body)))
            self._queue.extendleft(reversed(numbers[kept:]))
            numbers = numbers[:kept]
        if len(body) > MESSAGE_BYTES_MAX - wire.HEADER_BYTES_MAX:
            # No link would take it. The entries stay behind, and the alarm says which.
            self.oversized += [self._entry(number) for number in numbers]
            body = self._encode([], [], clock, asks=asks)
        self._sent.update(numbers)
        self._next_chunk += 1
        self.is_done = not self._queue
        return body, asks

    @property
    def sent_chunks(self) -> int:
        """Number of chunks so far."""
        return self._next_chunk

    def _refresh(self) -> None:
        """Takes up dots that this replica learnt since the last chunk, so that contexts fit the entries as they are.

        The base too: of what the peer has applied, this replica may have learnt more, and superseded it in its entries
        (scenario `removal_learnt_between_chunks`). The peer's E only grows, so what it had applied stays a base for it.
        """
        self._base = self.shard.known.intersection(self.theirs)
        for first, last in self.shard.known.difference(self._seen).intervals():
            for low, high, number in self.shard.owners_within(first, last):
                self._dots.setdefault(number, []).append((low, high))
        self._seen = self._seen.union(self.shard.known)

    def _gather(self) -> tuple[list[int], list[tuple[Dot, Dot]]]:
        """The entries of the next chunk; those that share an event of several keys go together, whatever their size."""
        numbers: dict[int, None] = {}
        spans: dict[tuple[Dot, Dot], None] = {}
        size = 0
        limit = self._chunk_bytes
        while self._queue and size < limit:
            number = self._queue.popleft()
            if number in self._sent or number in numbers or not self.shard.entries.is_taken(number):
                continue
            together = self._closure(number, spans)
            cost = sum(self._cost(each) for each in together)
            if numbers and size + cost > limit:
                self._queue.appendleft(number)
                break
            numbers.update(dict.fromkeys(together))
            size += cost
        return list(numbers), list(spans)

    def _closure(self, number: int, spans: dict[tuple[Dot, Dot], None]) -> list[int]:
        """An entry, and all that events of several keys tie to it."""
        found = {number: None}
        waiting = [number]
        while waiting:
            for first, last in self._dots.get(waiting.pop(), ()):
                for span in self.shard.spans_within(first, last):
                    if span in spans:
                        continue
                    spans[span] = None
                    others = [other for _, _, other in self.shard.owners_within(*span) if other not in found]
                    found.update(dict.fromkeys(others))
                    waiting += others
        return list(found)

    def _cost(self, number: int) -> int:
        entry = self._entry(number)
        if entry.size_bytes > _MEASURED_ABOVE_BYTES:
            measure(entry, self.shard.table)
        return self._size(entry) + len(entry.key.key) + _RUN_BYTES * (2 + len(self._dots.get(number, ())))

    def _size(self, entry: Entry) -> int:
        """About the bytes of what is sent of an entry's store: of a large one, the share of the dots that are."""
        if entry.size_bytes <= _MEASURED_ABOVE_BYTES:
            return entry.size_bytes
        dots = list(entry.data_type.dots(entry.store))
        return entry.size_bytes * sum(dot not in self.theirs for dot in dots) // max(1, len(dots))

    def _encode(self, numbers: Iterable[int], spans: Iterable[tuple[Dot, Dot]], clock: int, *, asks: bool) -> bytes:
        kept: list[Dot] = []
        entries = tuple(self._difference(number, kept) for number in numbers)
        repair = wire.Repair(
            shard=self.shard.number,
            session=self.number,
            chunk=self._next_chunk,
            clock=clock,
            base=self._base.difference(CausalContext(self.shard.table, kept)) if entries else self._base,
            entries=entries,
            spans=tuple(spans),
            applied=self.shard.applied if self._wants_back and not self._queue else None,
            wants_ack=asks,
        )
        return wire.encode_repair(self.shard.table, repair)

    def _entry(self, number: int) -> Entry:
        entry = self.shard.entries.peek(number)
        assert entry is not None  # it is looked up in the step in which it was found, or owns dots above L
        return entry

    def _difference(self, number: int, kept: list[Dot]) -> EntryState:
        """What the peer lacks of an entry; to `kept` come the live dots that it has applied."""
        entry = self._entry(number)
        context, unapplied = self._own_dots(number)
        return EntryState(entry.name, entry.data_type, self._lacking(entry, kept), context, unapplied)

    def _own_dots(self, number: int) -> tuple[CausalContext, CausalContext]:
        """The dots of an entry that the peer lacks, and those of them whose events are not applied here either."""
        shard = self.shard
        context = CausalContext(shard.table)
        unapplied = CausalContext(shard.table)
        for first, last in self._dots.get(number, ()):
            context.add_run(first, last)
            if not covers(shard.applied, first, last):
                run = CausalContext.of_bounds(shard.table, [first, last + 1])
                unapplied.update(run.difference(shard.applied))
        return context, unapplied

    def _lacking(self, entry: Entry, kept: list[Dot]) -> Any:
        """The part of an entry's store that the peer has not applied."""
        data_type, store, theirs = entry.data_type, entry.store, self.theirs
        before = len(kept)
        live = 0
        for dot in data_type.dots(store):
            live += 1
            if dot in theirs:
                kept.append(dot)
        if len(kept) == before:
            return store
        if len(kept) - before == live:
            return data_type.bottom()
        return data_type.restrict(store, lambda dot: dot not in theirs)
