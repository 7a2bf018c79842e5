"""The receiving side of the fallback: puts the chunks of a shard by, and takes all of it over in one step (rule D).

The sending side, and the messages: `handover`. Chunks are kept when a handover breaks off: the next one, from whichever
peer, is asked only for the buckets that are not here, or whose sum is another one by now.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication import shard_wire
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.events import EntryName, EntryState
from crdtmesh.replication.fingerprints import bucket_of
from crdtmesh.replication.handover import SUMMED_PER_STEP
from crdtmesh.replication.options import STAGED_BYTES_MAX, STAGED_KEPT_NS, ReplicationOptions
from crdtmesh.replication.repeats import CELL_MARK
from crdtmesh.replication.rows import check_foreign, name_in, read_row
from crdtmesh.replication.shard import Change, Offered, Shard
from crdtmesh.replication.systems import Systems

ShardName = tuple[str, int]


class _Chunk(NamedTuple):
    """A chunk as it came, for the log, and what is in it."""

    message: bytes
    stage: shard_wire.Stage


class Complete(NamedTuple):
    """A shard that is here whole.

    Attributes:
        messages: the chunks as they came, for the log.
        takeover: what makes them count.
        states: their entries.
        rows: further entries, as they stand on disk.
        spans: events of several keys among them.
        wants_back: the sender wants to be offered this replica's shard.
        began_ns: when it was offered.
    """

    messages: tuple[bytes, ...]
    takeover: shard_wire.Takeover
    states: tuple[EntryState, ...]
    rows: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...]
    wants_back: bool
    began_ns: int


class Staging:
    """One shard that a peer hands over.

    Attributes:
        peer: the peer; None after its link went down.
        offer: its contexts and sums.
        progress_ns: when the last chunk came.
        began_ns: when it was offered.
        is_compared: the sums were compared, and the buckets asked for.
        wanted: those buckets.
    """

    __slots__ = (
        "_before",
        "_chunks",
        "_done",
        "_next_chunk",
        "_sums",
        "began_ns",
        "is_compared",
        "offer",
        "peer",
        "progress_ns",
        "wanted",
    )

    def __init__(self, peer: str, offer: shard_wire.Offer, sums: list[int], now_ns: int) -> None:
        self.peer: str | None = peer
        self.offer = offer
        self.progress_ns = self.began_ns = now_ns
        self.is_compared = False
        self.wanted: tuple[int, ...] = ()
        self._chunks: list[_Chunk] = []
        # The buckets that are here whole, each with the sum that it was sent for.
        self._done: dict[int, int] = {}
        self._before = CausalContext(offer.known.table)
        self._next_chunk = 0
        self._sums = sums

    def resume(self, earlier: "Staging") -> None:
        """Takes over the chunks of an earlier handover whose buckets are still the same at the new sender."""
        self._done = {bucket: each for bucket, each in earlier._done.items() if self._sums[bucket] == each}
        self._chunks = [
            chunk
            for chunk in earlier._chunks
            if chunk.stage.buckets and all(bucket in self._done for bucket in chunk.stage.buckets)
        ]
        kept = {bucket for chunk in self._chunks for bucket in chunk.stage.buckets}
        self._done = {bucket: each for bucket, each in self._done.items() if bucket in kept}

    def compare(self, shard: Shard) -> shard_wire.Want | None:
        """The answer to the offer; None while sums are being prepared, call again then."""
        if not shard.fingerprints.sum_up(SUMMED_PER_STEP):
            return None
        self.is_compared = True
        self._before = shard.known.copy()
        pairs = zip(shard.fingerprints.sums, self._sums, strict=True)
        self.wanted = tuple(
            bucket for bucket, (ours, theirs) in enumerate(pairs) if ours != theirs and bucket not in self._done
        )
        return shard_wire.Want(self.offer.session, self.wanted)

    def add(self, message: bytes, stage: shard_wire.Stage) -> bool:
        """Puts a chunk by; False for one that is not the next.

        Raises:
            CodecError: one of its rows is none, or speaks of more than the offer.
            LimitExceeded: the shard is larger than what is put by.
        """
        if not self.is_compared or stage.session != self.offer.session or stage.chunk != self._next_chunk:
            return False
        for row in stage.rows:
            check_foreign(row, self.offer.low.table, self.offer.low)
        self._chunks.append(_Chunk(message, stage))
        if sum(len(chunk.message) for chunk in self._chunks) > STAGED_BYTES_MAX:
            raise LimitExceeded(f"at most {STAGED_BYTES_MAX} bytes of one shard expected, more found")
        self._next_chunk += 1
        self._done.update({bucket: self._sums[bucket] for bucket in stage.done})
        return True

    def complete(self, shard: Shard) -> Complete:
        """All of it."""
        offer, last = self.offer, self._chunks[-1].stage
        assert last.grown is not None  # it is the last one
        assert last.unapplied is not None
        known = offer.known.union(last.grown)
        late = known.difference(self._before).intersection(shard.known)
        buckets = tuple(sorted({*self.wanted, *self._done}))
        return Complete(
            messages=tuple(chunk.message for chunk in self._chunks),
            takeover=shard_wire.Takeover(offer.shard, known, last.unapplied, offer.low, late, buckets),
            states=tuple(state for chunk in self._chunks for state in chunk.stage.entries),
            rows=tuple(row for chunk in self._chunks for row in chunk.stage.rows),
            spans=tuple(span for chunk in self._chunks for span in chunk.stage.spans),
            wants_back=offer.wants_back,
            began_ns=self.began_ns,
        )


class Stagings:
    """The shards that are being handed over to this replica.

    Attributes:
        count: shards taken over since the start.
        entries: that came in chunks since the start.
    """

    __slots__ = ("_options", "_stagings", "count", "entries")

    def __init__(self, options: ReplicationOptions) -> None:
        self._options = options
        self._stagings: dict[ShardName, Staging] = {}
        self.count = self.entries = 0

    @property
    def is_preparing(self) -> bool:
        """Whether sums are being prepared, so that `tick` is wanted soon."""
        return any(staging.peer is not None and not staging.is_compared for staging in self._stagings.values())

    def holds(self, shard: Shard) -> bool:
        """Whether a shard is being handed over now."""
        staging = self._stagings.get((shard.system, shard.number))
        return staging is not None and staging.peer is not None

    def forget(self, peer: str) -> None:
        """The link to a peer is gone; what it sent is kept for a while."""
        for staging in self._stagings.values():
            if staging.peer == peer:
                staging.peer = None

    def on_offer(self, peer: str, shard: Shard, offer: shard_wire.Offer, sums: list[int], *, now_ns: int) -> None:
        """Takes an offer, unless the shard is being handed over by another peer; `tick` sends the answer.

        One that comes again is ignored: its sums are old by now, and a second comparison would wait for buckets that
        the sender was not asked for the first time.
        """
        name = shard.system, shard.number
        earlier = self._stagings.get(name)
        if earlier is not None and (earlier.peer not in (None, peer) or earlier.offer.session == offer.session):
            return
        staging = Staging(peer, offer, sums, now_ns)
        if earlier is not None:
            staging.resume(earlier)
        self._stagings[name] = staging

    def tick(self, systems: Systems, *, now_ns: int) -> Iterator[tuple[str, shard_wire.Want]]:
        """Gives up what makes no progress, and answers offers that were compared."""
        for name, staging in list(self._stagings.items()):
            waited_ns = now_ns - staging.progress_ns
            if waited_ns >= STAGED_KEPT_NS:
                del self._stagings[name]
            elif waited_ns >= self._options.repair_timeout_ns:
                staging.peer = None
            elif staging.peer is not None and not staging.is_compared:
                shard = systems.find(*name)
                want = None if shard is None else staging.compare(shard)
                staging.progress_ns = now_ns
                if want is not None:
                    yield staging.peer, want

    def on_stage(self, peer: str, shard: Shard, message: bytes, stage: shard_wire.Stage, *, now_ns: int) -> bool:
        """Puts a chunk by; False for one that is not awaited.

        Raises:
            CodecError: its rows are not what was offered; nothing was changed.
            LimitExceeded: the shard is larger than what is put by; it is forgotten.
        """
        name = shard.system, shard.number
        staging = self._stagings.get(name)
        if staging is None or staging.peer != peer:
            return False
        try:
            if not staging.add(message, stage):
                return False
        except LimitExceeded:
            del self._stagings[name]
            raise
        staging.progress_ns = now_ns
        self.entries += len(stage.entries) + len(stage.rows)
        return True

    def take(self, shard: Shard) -> Complete:
        """The shard whose last chunk came; it is forgotten here."""
        self.count += 1
        return self._stagings.pop((shard.system, shard.number)).complete(shard)


def take_over(
    shard: Shard,
    takeover: shard_wire.Takeover,
    states: Iterable[EntryState],
    rows: Sequence[bytes],
    spans: Iterable[tuple[int, int]],
) -> tuple[list[Change], list[EntryName]]:
    """Applies a shard that was handed over; also from the log.

    Returns:
        The entries that became different, and the names of those that were put in as the rows that they came as.

    Raises:
        StaleOffer: it does not fit what this shard is now; nothing was changed.
        LimitExceeded: too many entries; nothing was changed.
    """
    buckets = frozenset(takeover.buckets)

    def is_sent(name: tuple[str, str]) -> bool:
        return bucket_of(name) in buckets

    # Of an entry that was kept from an earlier handover and sent again, the later state is the greater one.
    latest = {state.name: state for state in states}
    cold, opened = _sorted_out(shard, takeover, rows, latest)
    latest.update(opened)
    applied = takeover.known.difference(takeover.unapplied)
    offered = Offered(takeover.known, applied, takeover.low, takeover.late)
    changes = shard.take_over(offered, tuple(latest.values()), is_sent=is_sent, rows=cold)
    for first, last in spans:
        if last not in shard.low and (first, last) not in shard.spans_within(first, last):
            shard.add_span(first, last)
    return changes, list(cold)


def _sorted_out(
    shard: Shard, takeover: shard_wire.Takeover, rows: Sequence[bytes], states: Mapping[EntryName, EntryState]
) -> tuple[dict[EntryName, bytes], dict[EntryName, EntryState]]:
    """Which rows can be put in as they are, and the entries of those that have to be joined.

    A row is the whole entry only where nothing of it was here: no entry of its name, and none of its dots known. Where
    one below the mark is known here, which is rare, it may be of any of them. An expiry is looked at when it comes. Of
    an entry that comes as a row and as a state, the state is the later one.
    """
    is_new = shard.known.isdisjoint(takeover.low)
    cold: dict[EntryName, bytes] = {}
    opened: dict[EntryName, EntryState] = {}
    for data in rows:
        name = EntryName(*name_in(data))
        if name in states:
            continue
        if is_new and CELL_MARK not in name.key and shard.entries.takes_row(name):
            cold[name] = data
        else:
            row = read_row(data, shard.table)
            opened[name] = EntryState(name, row.data_type, row.store, row.context, CausalContext(shard.table))
    return cold, opened
