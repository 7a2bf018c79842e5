"""Bytes of the messages by which a whole shard is handed over, and audited; see `handover`, `staging`, `auditing`."""

from collections.abc import Sequence
from typing import NamedTuple

from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication.events import EntryState
from crdtmesh.replication.options import BUCKETS, SHARDS_MAX
from crdtmesh.replication.wire import (
    SESSION_MAX,
    NameReader,
    NameWriter,
    read_entries,
    read_runs,
    write_entries,
    write_runs,
)


class Offer(NamedTuple):
    """A replica offers all that it has of one shard, since its index no longer reaches to what the receiver has.

    Attributes:
        shard: which.
        session: of the sender.
        known: its C.
        unapplied: those of C that are not in its E.
        low: its L.
        sums: of its entries, as `fingerprints` packs them.
        wants_back: the receiver is to offer its own shard when it has taken over this one.
    """

    shard: int
    session: int
    known: CausalContext
    unapplied: CausalContext
    low: CausalContext
    sums: bytes
    wants_back: bool


class Want(NamedTuple):
    """The answer to an `Offer`: the buckets to send, in order."""

    session: int
    buckets: tuple[int, ...]


class Stage(NamedTuple):
    """A chunk of what was offered. It is put by until all chunks are there.

    Attributes:
        shard: which.
        session: of the sender.
        chunk: counts from 0.
        clock: the sender's.
        entries: states; their contexts are complete together with what the offer says is known.
        spans: events of several keys among them.
        buckets: those of which entries are among them on request.
        done: those of which nothing more follows.
        grown: in the last chunk, what the sender's C has grown by since the offer; else None.
        unapplied: in the last chunk, what of its C is not in its E; else None.
        rows: entries all of whose events lie below the mark of the offer, as they stand on disk (`rows`); for a peer
            that has nothing.
    """

    shard: int
    session: int
    chunk: int
    clock: int
    entries: tuple[EntryState, ...]
    spans: tuple[tuple[Dot, Dot], ...]
    buckets: tuple[int, ...]
    done: tuple[int, ...]
    grown: CausalContext | None
    unapplied: CausalContext | None
    rows: tuple[bytes, ...] = ()


class Takeover(NamedTuple):
    """What the log says behind the chunks of an offer, in the group with them: now they count.

    Attributes:
        shard: which.
        known: C of the sender, as it was with the last chunk.
        unapplied: what of it was not in its E.
        low: L of the sender, as it was with the offer.
        late: what became known meanwhile by other ways.
        buckets: those that were sent.
    """

    shard: int
    known: CausalContext
    unapplied: CausalContext
    low: CausalContext
    late: CausalContext
    buckets: tuple[int, ...]


class Audit(NamedTuple):
    """What a replica has of a shard, to be compared by a peer that has applied the same.

    Attributes:
        shard: which.
        applied: hash of E.
        sums: hash of the sums of the entries.
    """

    shard: int
    applied: bytes
    sums: bytes


# --- bodies


def _write_buckets(writer: Writer, buckets: Sequence[int]) -> None:
    writer.binary(b"".join(bucket.to_bytes(2, "big") for bucket in buckets))


def _read_buckets(reader: Reader) -> tuple[int, ...]:
    data = reader.binary()
    buckets = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    if len(data) % 2 or buckets != sorted(set(buckets)) or (buckets and buckets[-1] >= BUCKETS):
        raise CodecError(f"expected ascending numbers of buckets, got {len(data)} bytes of others")
    return tuple(buckets)


def read_offer(reader: Reader) -> Offer:
    """Reads the body of an OFFER.

    Raises:
        CodecError: it is none.
    """
    shard, session = reader.integer(SHARDS_MAX - 1), reader.integer(SESSION_MAX)
    known, unapplied, low = reader.context(), reader.context(), reader.context()
    sums = reader.binary()
    if not unapplied.issubset(known) or not low.issubset(known) or not low.isdisjoint(unapplied):
        raise CodecError("an offer's contexts are not parts of each other")
    return Offer(shard, session, known, unapplied, low, sums, reader.integer(1) == 1)


def read_want(reader: Reader) -> Want:
    """Reads the body of a WANT."""
    return Want(reader.integer(SESSION_MAX), _read_buckets(reader))


def read_stage(reader: Reader) -> Stage:
    """Reads the body of a STAGE. What is in its rows is not looked at.

    Raises:
        CodecError: it is none.
    """
    names = NameReader(reader)
    shard, session = reader.integer(SHARDS_MAX - 1), reader.integer(SESSION_MAX)
    chunk, clock, is_last = reader.integer(SESSION_MAX), reader.integer(), reader.integer(1)
    spans = read_runs(reader)
    grown, unapplied = (reader.context(), reader.context()) if is_last else (None, None)
    buckets, done = _read_buckets(reader), _read_buckets(reader)
    entries = read_entries(reader, names)
    # Left out when there are none, as before there were any.
    rows = () if reader.is_at_end else tuple(reader.binary() for _ in range(reader.count()))
    return Stage(shard, session, chunk, clock, entries, spans, buckets, done, grown, unapplied, rows)


def read_takeover(reader: Reader) -> Takeover:
    """Reads the body of a TAKEOVER."""
    shard = reader.integer(SHARDS_MAX - 1)
    known, unapplied, low, late = (reader.context() for _ in range(4))
    return Takeover(shard, known, unapplied, low, late, _read_buckets(reader))


def read_audit(reader: Reader) -> Audit:
    """Reads the body of an AUDIT."""
    return Audit(reader.integer(SHARDS_MAX - 1), reader.binary(), reader.binary())


def encode_offer(table: ReplicaTable, offer: Offer) -> bytes:
    """The body of an OFFER."""
    writer = Writer(table)
    writer.integer(offer.shard)
    writer.integer(offer.session)
    for context in (offer.known, offer.unapplied, offer.low):
        writer.context(context)
    writer.binary(offer.sums)
    writer.integer(int(offer.wants_back))
    return writer.finish()


def encode_want(want: Want) -> bytes:
    """The body of a WANT."""
    writer = Writer(ReplicaTable())
    writer.integer(want.session)
    _write_buckets(writer, want.buckets)
    return writer.finish()


def encode_stage(table: ReplicaTable, stage: Stage) -> bytes:
    """The body of a STAGE."""
    writer = Writer(table)
    for number in (stage.shard, stage.session, stage.chunk, stage.clock, int(stage.grown is not None)):
        writer.integer(number)
    write_runs(writer, stage.spans)
    if stage.grown is not None and stage.unapplied is not None:
        writer.context(stage.grown)
        writer.context(stage.unapplied)
    _write_buckets(writer, stage.buckets)
    _write_buckets(writer, stage.done)
    write_entries(writer, NameWriter(writer), stage.entries)
    if stage.rows:
        writer.integer(len(stage.rows))
        for row in stage.rows:
            writer.binary(row)
    return writer.finish()


def encode_takeover(table: ReplicaTable, takeover: Takeover) -> bytes:
    """The body of a TAKEOVER."""
    writer = Writer(table)
    writer.integer(takeover.shard)
    for context in (takeover.known, takeover.unapplied, takeover.low, takeover.late):
        writer.context(context)
    _write_buckets(writer, takeover.buckets)
    return writer.finish()


def encode_audit(audit: Audit) -> bytes:
    """The body of an AUDIT."""
    writer = Writer(ReplicaTable())
    writer.integer(audit.shard)
    writer.binary(audit.applied)
    writer.binary(audit.sums)
    return writer.finish()
