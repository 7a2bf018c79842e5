"""The sending side of the fallback: a whole shard for a peer that lacks what the index has forgotten (rule D).

    A                                          B
    OFFER  C, E and L of A, sums of its     ──►
           entries in buckets
            ◄── WANT  the buckets that differ
    STAGE  entries, in chunks               ──►  put by
            ◄── ACK  of each chunk               with the last, all in one step: entries, C, E and L

What is sent: the entries of the buckets whose sums differ; each entry that owns a dot above L which B has not applied;
and, all in the last chunk, those that changed since the offer. So what B takes over is the shard as it was at one
moment, that of the last chunk, with its C and E. An entry of a bucket that was sent, which is not among those sent, is
bottom. A bucket with equal sums is covered: equal live parts stay equal under any union of contexts.

A handover that breaks off has changed nothing. B keeps the chunks for a while, and asks the next one only for buckets
that it does not have, or that changed since. The receiving side is `staging`.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot
from crdtmesh.replication import shard_wire, wire
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.events import EntryState
from crdtmesh.replication.fingerprints import pack_sums
from crdtmesh.replication.options import MESSAGE_BYTES_MAX, ReplicationOptions
from crdtmesh.replication.rows import write_row
from crdtmesh.replication.session import Session
from crdtmesh.replication.shard import Shard

# Entries hashed in one step while sums are prepared: about 5 ms.
SUMMED_PER_STEP: Final = 512

# What stands around a row in its message.
_ROW_BYTES: Final = 8

# What changes while a handover runs has to fit into its last chunk. When it does not, it is sent and looked at again;
# after so many times it makes a last chunk of any size.
_TAILS_MAX: Final = 8


class Handover(Session):
    """One shard on its way to one peer.

    Attributes:
        is_offered: sums and contexts were read.
        is_wanted: the peer has said which buckets it wants.
        is_failed: an entry is too large for any message.
        awaited: chunks that were not acknowledged.
    """

    __slots__ = (
        "_applied",
        "_buckets",
        "_known",
        "_offered",
        "_sends_rows",
        "_tails",
        "_wants_return",
        "awaited",
        "is_failed",
        "is_offered",
        "is_wanted",
    )

    def __init__(
        self, shard: Shard, theirs: CausalContext, number: int, *, chunk_bytes: int, wants_return: bool
    ) -> None:
        super().__init__(shard, theirs, number, chunk_bytes=chunk_bytes, wants_back=False)
        self.is_offered = False
        self.is_wanted = False
        self.is_failed = False
        self.awaited: deque[int] = deque()
        self._buckets: deque[tuple[int, deque[int]]] = deque()
        self._wants_return = wants_return
        # A peer that has nothing has nothing to join: it gets what is cold as it stands on disk.
        self._sends_rows = not theirs
        # C of the offer; then C and E, after which changes are to be sent.
        self._offered = self._known = self._applied = CausalContext(shard.table)
        self._tails = 0

    @property
    def is_prepared(self) -> bool:
        """Whether all entries are summed up now."""
        return self.shard.fingerprints.is_summed_up

    def prepare(self) -> bool:
        """Sums up some more entries; whether none is left."""
        return self.shard.fingerprints.sum_up(SUMMED_PER_STEP)

    def offer(self) -> bytes | None:
        """The body of the OFFER; None while sums are being prepared, call again then."""
        shard = self.shard
        if not self.prepare():
            return None
        self.is_offered = True
        self._offered = self._known = shard.known.copy()
        self._applied = shard.applied.copy()
        offer = shard_wire.Offer(
            shard=shard.number,
            session=self.number,
            known=shard.known,
            unapplied=shard.known.difference(shard.applied),
            low=shard.low,
            sums=pack_sums(shard.fingerprints.sums),
            wants_back=self._wants_return,
        )
        return shard_wire.encode_offer(shard.table, offer)

    def want(self, buckets: tuple[int, ...]) -> None:
        """The peer's answer to the offer."""
        self.is_wanted = True
        shard = self.shard
        wanted: dict[int, deque[int]] = {bucket: deque() for bucket in buckets}
        for name, number in shard.entries.names():
            numbers = wanted.get(shard.fingerprints.bucket(name, number))
            if numbers is not None and not shard.entries.is_bottom(number):
                numbers.append(number)
        self._buckets = deque(wanted.items())
        self._refresh()
        # A deleted entry with dots that are new to the peer goes here, also from a bucket that is sent.
        within = {number for numbers in wanted.values() for number in numbers}
        self._queue = deque(number for number in self._dots if number not in within)

    def stage(self, clock: int) -> bytes:
        """The body of the next STAGE."""
        self._refresh()
        numbers: list[int] = []
        buckets: list[int] = []
        done: list[int] = []
        if self._queue or self._buckets:
            numbers, buckets, done = self._collect()
        else:
            numbers = self._changed()
            cost = sum(self._cost(number) for number in numbers)
            self.is_done = cost <= self._chunk_bytes or self._tails == _TAILS_MAX
            self._known, self._applied = self.shard.known.copy(), self.shard.applied.copy()
            self._tails += 1
            if not self.is_done:
                self._queue.extend(numbers)
                numbers, buckets, done = self._collect()
        body = self._encode_stage(numbers, buckets, done, clock)
        if len(body) > MESSAGE_BYTES_MAX - wire.HEADER_BYTES_MAX:
            self.is_failed = True
            if len(numbers) == 1:
                self.oversized.append(self._entry(numbers[0]))
        self.awaited.append(self._next_chunk)
        self._next_chunk += 1
        return body

    def _encode_stage(self, numbers: list[int], buckets: list[int], done: list[int], clock: int) -> bytes:
        shard = self.shard
        rows = [number for number in numbers if number not in self._dots] if self._sends_rows else []
        states = [number for number in numbers if number in self._dots] if self._sends_rows else numbers
        spans: dict[tuple[Dot, Dot], None] = {}
        for number in states:
            for first, last in self._dots.get(number, ()):
                spans.update(dict.fromkeys(shard.spans_within(first, last)))
        stage = shard_wire.Stage(
            shard=shard.number,
            session=self.number,
            chunk=self._next_chunk,
            clock=clock,
            entries=tuple(map(self._state, states)),
            spans=tuple(spans),
            buckets=tuple(buckets),
            done=tuple(done),
            grown=shard.known.difference(self._offered) if self.is_done else None,
            unapplied=shard.known.difference(shard.applied) if self.is_done else None,
            rows=tuple(map(self._row, rows)),
        )
        return shard_wire.encode_stage(shard.table, stage)

    def _state(self, number: int) -> EntryState:
        """An entry as a whole: what the peer has of it may be another than its E says, which is why it is sent."""
        entry = self._entry(number)
        context, unapplied = self._own_dots(number)
        context.update(CausalContext(self.shard.table, entry.data_type.dots(entry.store)))
        return EntryState(entry.name, entry.data_type, entry.store, context, unapplied)

    def _size(self, entry: Entry) -> int:
        return entry.size_bytes

    def _row(self, number: int) -> bytes:
        """An entry that has no event above L."""
        row = self.shard.entries.packed(number)
        if row is not None:
            return row
        entry = self._entry(number)
        return write_row(entry.name, entry.data_type, entry.store, self.shard.table)

    def _cost(self, number: int) -> int:
        row = self.shard.entries.packed(number)
        return super()._cost(number) if row is None else len(row) + _ROW_BYTES

    def _changed(self) -> list[int]:
        """The entries that changed since C and E were looked at last; nothing changes without growing one of them."""
        shard = self.shard
        runs = [*shard.known.difference(self._known).intervals(), *shard.applied.difference(self._applied).intervals()]
        owners = (number for first, last in runs for _, _, number in shard.owners_within(first, last))
        return [number for number in dict.fromkeys(owners) if shard.entries.is_taken(number)]

    def _collect(self) -> tuple[list[int], list[int], list[int]]:
        """The entries of the next chunk, the buckets that they are of, and those of them that end with it.

        A chunk never mixes entries of buckets with others, so that it can be kept for a later handover.
        """
        numbers: list[int] = []
        size = self._take(self._queue, numbers, 0)
        buckets: list[int] = []
        done: list[int] = []
        if numbers:
            return numbers, buckets, done
        while self._buckets and size < self._chunk_bytes:
            bucket, waiting = self._buckets[0]
            buckets.append(bucket)
            size = self._take(waiting, numbers, size)
            if waiting:
                break
            done.append(bucket)
            self._buckets.popleft()
        return numbers, buckets, done

    def _take(self, waiting: deque[int], numbers: list[int], size: int) -> int:
        while waiting and size < self._chunk_bytes:
            number = waiting.popleft()
            if self.shard.entries.is_taken(number):
                numbers.append(number)
                size += self._cost(number)
        return size


class Handovers:
    """All that is on its way to peers, one shard after the other for each.

    Attributes:
        count: handovers that ended, since the start.
    """

    __slots__ = ("_number", "_options", "_oversized", "_progress_ns", "_queues", "count")

    def __init__(self, options: ReplicationOptions, number: int) -> None:
        self._options = options
        self._number = number
        self._queues: dict[str, deque[Handover]] = {}
        self._progress_ns: dict[str, int] = {}
        self._oversized: list[Entry] = []
        self.count = 0

    @property
    def is_preparing(self) -> bool:
        """Whether sums are being prepared, so that `tick` is wanted soon."""
        return any(
            not queue[0].is_offered or (len(queue) > 1 and not queue[1].is_prepared) for queue in self._queues.values()
        )

    def begin(self, peer: str, shard: Shard, theirs: CausalContext, *, now_ns: int, wants_return: bool = False) -> None:
        """Queues a shard for a peer, unless it is queued or too many peers are served; `tick` sends the offer."""
        queue = self._queues.get(peer)
        if queue is None:
            if len(self._queues) >= self._options.repair_sessions_max:
                return
            queue = self._queues[peer] = deque()
            self._progress_ns[peer] = now_ns
        if any(handover.shard is shard for handover in queue):
            return
        queue.append(self._handover(shard, theirs, wants_return=wants_return))

    def holds(self, shard: Shard) -> bool:
        """Whether a shard is being handed over now, so that its index has to stay as it is."""
        return any(handover.shard is shard and handover.is_offered for handover in self._handovers())

    def give_up(self, shard: Shard) -> None:
        """Ends what is under way of a shard that changed as a whole; a peer that still lacks something asks again."""
        for peer, queue in list(self._queues.items()):
            kept = [
                handover
                for handover in queue
                if handover.shard is not shard or not handover.is_offered or handover.is_done
            ]
            if kept:
                self._queues[peer] = deque(kept)
            else:
                self.forget(peer)

    def forget(self, peer: str) -> None:
        """Ends what goes to a peer whose link is gone."""
        self._queues.pop(peer, None)
        self._progress_ns.pop(peer, None)

    def tick(self, clock: int, *, now_ns: int) -> list[tuple[str, bytes]]:
        """Gives up what makes no progress, and offers what is ready: messages, each with its peer."""
        for peer, progress_ns in list(self._progress_ns.items()):
            if now_ns - progress_ns >= self._options.repair_timeout_ns:
                self.forget(peer)
        messages: list[tuple[str, bytes]] = []
        for peer, queue in self._queues.items():
            head = queue[0]
            if not head.is_offered:
                self._progress_ns[peer] = now_ns
                body = head.offer()
                if body is not None:
                    messages.append((peer, self._message(wire.Kind.OFFER, head, body)))
            elif len(queue) > 1:
                queue[1].prepare()  # so that the peer need not wait for it when it has this one
        return messages

    def on_want(self, peer: str, want: shard_wire.Want, *, clock: int, now_ns: int) -> list[bytes]:
        """The first chunks; nothing for an answer to another offer."""
        head = self._head(peer, want.session)
        if head is None or head.is_wanted:
            return []
        head.want(want.buckets)
        return self._continue(peer, head, clock, now_ns)

    def on_ack(self, peer: str, ack: wire.Ack, *, clock: int, now_ns: int) -> list[bytes]:
        """The next chunks."""
        head = self._head(peer, ack.session)
        if head is None or ack.chunk not in head.awaited:
            return []
        while head.awaited.popleft() != ack.chunk:
            pass
        return self._continue(peer, head, clock, now_ns)

    def _handover(self, shard: Shard, theirs: CausalContext, *, wants_return: bool) -> Handover:
        self._number = self._number + 1 & wire.SESSION_MAX
        chunk_bytes = self._options.repair_chunk_bytes
        return Handover(shard, theirs, self._number, chunk_bytes=chunk_bytes, wants_return=wants_return)

    def _handovers(self) -> Iterator[Handover]:
        return (handover for queue in self._queues.values() for handover in queue)

    def _continue(self, peer: str, head: Handover, clock: int, now_ns: int) -> list[bytes]:
        self._progress_ns[peer] = now_ns
        messages: list[bytes] = []
        while not head.is_done and len(head.awaited) < self._options.repair_chunks_in_flight:
            messages.append(self._message(wire.Kind.STAGE, head, head.stage(clock)))
            if head.is_failed:
                self._oversized += head.oversized
                self._end(peer)
                return []
        if head.is_done and not head.awaited:
            self.count += 1
            self._end(peer)
        return messages

    def take_oversized(self) -> list[Entry]:
        """Entries that are too large for any message; the handover of their shard was given up."""
        entries, self._oversized = self._oversized, []
        return entries

    def _end(self, peer: str) -> None:
        queue = self._queues[peer]
        queue.popleft()
        if not queue:
            self.forget(peer)

    def _head(self, peer: str, session: int) -> Handover | None:
        queue = self._queues.get(peer)
        return queue[0] if queue and queue[0].number == session else None

    def _message(self, kind: wire.Kind, handover: Handover, body: bytes) -> bytes:
        return wire.header(kind, self._options.shards, handover.shard.system) + body
