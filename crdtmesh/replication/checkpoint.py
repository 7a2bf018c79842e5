"""What a replica keeps on disk beside its log, so that the log can be cut and a start is short.

    row key                              row
    "C"                                  bound of the hybrid clock
    "R"                                  the node that has reconciled with this disk since it was empty
    "e" shards system shard number       an entry: key, type, live store
    "i" shards system shard count        index runs learnt between two checkpoints, and events of several keys
    "s" shards system shard              E, C and L of the shard

`shards` is how many a system has. A checkpoint begins when the log is long enough. It notes E, C and the length of the
log, then writes the entries that were changed until then in slices, one slice a flush, and at the end the noted E and
C, the new part of the index, and the cut of the log up to the noted length. An entry may be newer on disk than the E
beside it: the log rows that made it so are still there, and applying them again changes nothing. A crash half way
leaves the checkpoint before, and the whole log.

Entries that were dropped since the checkpoint before keep their rows until the end, for rows of the index name them.
One that was made again by then has the same number, so it never has a second row; if that was after the beginning, the
end writes its row too: the old one may show what a row of the log that is now cut had removed.
"""

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot
from crdtmesh.crdts.errors import CodecError, CrdtError
from crdtmesh.persistence.base import Record, StateRecord, StateRows, TrimLog
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication.entries import EntryTable
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.errors import shown
from crdtmesh.replication.options import MESSAGE_BYTES_MAX, ReplicationOptions
from crdtmesh.replication.rows import name_in, write_row
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.systems import Systems

CLOCK_KEY: Final = b"C"
RECONCILED_KEY: Final = b"R"
ENTRY_KIND: Final = b"e"
INDEX_KIND: Final = b"i"
SHARD_KIND: Final = b"s"

# Runs of one index row: about 6 bytes each, so a row stays near 400 kB.
_INDEX_ROW_RUNS: Final = 65_536


ShardName = tuple[str, int]
"""A system, and the number of one of its shards."""


class _Mark(NamedTuple):
    """A shard as it was when a checkpoint began."""

    shard: Shard
    applied: CausalContext
    known: CausalContext
    low: CausalContext
    spans: int
    trims: int


class _Covered(NamedTuple):
    """What the index rows of a shard on disk cover: dots, and events of several keys; of which state of the index."""

    known: CausalContext
    spans: int
    trims: int


class Checkpoints:
    """Decides when to write what. Driven at the end of each flush with the length of the log."""

    __slots__ = (
        "_entries",
        "_index_rows",
        "_is_replacing",
        "_log_bytes",
        "_log_rows",
        "_mark_rows",
        "_marks",
        "_options",
        "_replaced",
        "_shards",
        "_written",
    )

    def __init__(self, options: ReplicationOptions) -> None:
        self._options = options
        self._log_rows = 0
        self._log_bytes = 0
        # While a checkpoint runs: the shards as noted, the entries still to write, the log length to cut.
        self._marks: list[_Mark] = []
        self._entries: deque[tuple[Shard, int]] = deque()
        self._mark_rows = 0
        # Per shard: index rows on disk, and what they cover.
        self._index_rows: dict[ShardName, int] = {}
        self._written: dict[ShardName, _Covered] = {}
        self._shards = options.shards
        self._replaced: list[bytes] = []
        self._is_replacing = False

    def logged(self, size_bytes: int) -> None:
        """A row was added to the log."""
        self._log_rows += 1
        self._log_bytes += size_bytes

    @property
    def is_running(self) -> bool:
        """A checkpoint has slices to write yet, or old rows are to be replaced."""
        return bool(self._marks) or self._is_replacing

    def replace(self, rows: Iterable[bytes]) -> None:
        """Has the next group replace all that the disk held: these rows, and the whole log."""
        self._replaced = list(rows)
        self._is_replacing = True

    def records(self, shards: Iterable[Shard], new_rows: int, new_bytes: int) -> Iterator[Record]:
        """The part of a checkpoint that belongs into the group that is being closed.

        Args:
            shards: all of them.
            new_rows: log rows of this same group; they are not cut.
            new_bytes: of these rows.
        """
        if not self._marks:
            if (
                not self._is_replacing
                and self._log_rows < self._options.checkpoint_log_rows
                and self._log_bytes < self._options.checkpoint_log_bytes
            ):
                return
            self._begin(shards, new_rows, new_bytes)
        yield from self._slice()
        if not self._entries:
            yield from self._finish()

    def _begin(self, shards: Iterable[Shard], new_rows: int, new_bytes: int) -> None:
        self._mark_rows = self._log_rows - new_rows
        self._log_bytes = new_bytes
        for shard in shards:
            applied, known, low = shard.applied.copy(), shard.known.copy(), shard.low.copy()
            self._marks.append(_Mark(shard, applied, known, low, shard.span_count, shard.trims))
            self._entries.extend((shard, number) for number in shard.dirty)
            shard.dirty = []

    def _slice(self) -> Iterator[Record]:
        size = encoded = 0
        options = self._options
        # Old rows are replaced in one group, so that no crash leaves a mixture.
        while self._entries and (
            self._is_replacing or (size < options.checkpoint_slice_bytes and encoded < options.checkpoint_slice_entries)
        ):
            shard, number = self._entries.popleft()
            encoded += shard.entries.packed(number) is None
            record = _dirty_record(shard, number, self._shards)
            if record is not None:  # it was not dropped since; the row of one that was is deleted at the end
                size += len(record.data or b"")
                yield record

    def _finish(self) -> Iterator[Record]:
        for mark in self._marks:
            yield from self._index_records(mark)
            yield from self._entry_records(mark.shard)
            yield shard_record(mark, self._shards)
        for key in self._replaced:
            yield StateRecord(key, None)
        self._replaced = []
        self._is_replacing = False
        yield TrimLog(self._mark_rows)
        self._log_rows -= self._mark_rows
        self._marks = []

    def _entry_records(self, shard: Shard) -> Iterator[Record]:
        """What the slices left: rows of entries that were dropped, and of those made again since the beginning."""
        for number in shard.entries.dropped:
            yield StateRecord(_row_key(ENTRY_KIND, shard, self._shards, number), None)
        for entry in shard.entries.returned:
            if entry.is_dirty or entry.is_bottom:
                yield entry_record(shard, entry, self._shards)
        shard.entries.settle()

    def _index_records(self, mark: _Mark) -> Iterator[Record]:
        """What the index learnt since the last checkpoint; all of it anew when it was trimmed since."""
        shard = mark.shard
        name = shard.system, shard.number
        rows = self._index_rows.get(name, 0)
        before = self._written.get(name)
        # Trimming numbers the events of several keys anew; some that the log has too do no harm.
        spans = mark.spans if mark.trims == shard.trims else shard.span_count
        if before is None or before.trims != shard.trims:
            new, new_spans, count = mark.known, shard.span_runs(0, spans), 0
        else:
            new, new_spans, count = mark.known.difference(before.known), shard.span_runs(before.spans, spans), rows
        runs = [run for first, last in new.intervals() for run in shard.owners_within(first, last)]
        for start in range(0, max(len(runs), 1), _INDEX_ROW_RUNS):
            part = runs[start : start + _INDEX_ROW_RUNS]
            if part or new_spans:
                yield index_record(shard, _row_key(INDEX_KIND, shard, self._shards, count), part, new_spans)
                count += 1
                new_spans = []
        for number in range(count, rows):
            yield StateRecord(_row_key(INDEX_KIND, shard, self._shards, number), None)
        self._index_rows[name] = count
        self._written[name] = _Covered(mark.known, spans, shard.trims)

    def loaded(self, shards: Iterable[Shard], index_rows: dict[ShardName, int]) -> None:
        """Takes up the state of the disk, after its state rows and before its log."""
        self._index_rows = index_rows
        for shard in shards:
            shard.entries.restored()
            self._written[shard.system, shard.number] = _Covered(shard.known.copy(), shard.span_count, shard.trims)


# --- rows


def _row_key(kind: bytes, shard: Shard, shards: int, number: int | None = None) -> bytes:
    name = shard.system.encode()
    head = kind + bytes((shards - 1, len(name))) + name + bytes((shard.number,))
    return head if number is None else head + number.to_bytes(8, "big")


def clock_record(bound_ms: int) -> StateRecord:
    """The row that keeps the clock's bound, milliseconds since 1970."""
    return StateRecord(CLOCK_KEY, bound_ms.to_bytes(8, "big"))


def entry_record(shard: Shard, entry: Entry, shards: int) -> StateRecord:
    """The row of an entry. Its size is measured on the way."""
    data = write_row(entry.name, entry.data_type, entry.store, shard.table)
    entry.size_bytes = len(data)
    return StateRecord(_row_key(ENTRY_KIND, shard, shards, entry.number), data)


def _dirty_record(shard: Shard, number: int, shards: int) -> StateRecord | None:
    """The row of an entry that differs from the one on disk; None if it was dropped."""
    row = shard.entries.packed(number)
    if row is not None:
        return StateRecord(_row_key(ENTRY_KIND, shard, shards, number), row)
    entry = shard.entries.numbered(number)
    if entry is None:
        return None
    entry.is_dirty = False
    return entry_record(shard, entry, shards)


def shard_record(mark: _Mark, shards: int) -> StateRecord:
    """The row of a shard's E, C and L."""
    writer = Writer(mark.shard.table)
    writer.context(mark.applied)
    writer.context(mark.known)
    writer.context(mark.low)
    return StateRecord(_row_key(SHARD_KIND, mark.shard, shards), writer.finish())


def index_record(
    shard: Shard, key: bytes, runs: list[tuple[Dot, Dot, int]], spans: list[tuple[Dot, Dot]]
) -> StateRecord:
    """A row of the index: runs of dots with their entry's number, then the events of several keys."""
    writer = Writer(shard.table)
    writer.integer(len(runs))
    for first, last, number in runs:
        _write_run(writer, first, last)
        writer.integer(number)
    writer.integer(len(spans))
    for first, last in spans:
        _write_run(writer, first, last)
    return StateRecord(key, writer.finish())


def _write_run(writer: Writer, first: Dot, last: Dot) -> None:
    writer.replica(first >> DOT_BITS)
    writer.integer(first & N_MAX)
    writer.integer(last & N_MAX)


def _read_run(reader: Reader) -> tuple[Dot, Dot]:
    replica = reader.replica()
    first = reader.integer(N_MAX, least=1)
    last = reader.integer(N_MAX, least=first)
    return replica << DOT_BITS | first, replica << DOT_BITS | last


def _begins_well(data: bytes) -> bool:
    try:
        name_in(data)
    except CrdtError:
        return False
    return True


class RowLoader:
    """Puts state rows back into shards. Rows come in order of their keys, but need not.

    Args:
        systems: takes the shards.
    """

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self.clock_bound_ms = 0
        self.reconciled_node = ""
        self.index_rows: dict[ShardName, int] = {}
        # Rows come in order of their keys: one of an entry mostly belongs to the shard of the one before.
        self._entry_head = b""
        self._entries: EntryTable | None = None

    def load_next(self, rows: StateRows) -> bool:
        """Takes rows if they all are of further entries of the shard of the last one, which most rows are.

        Raises:
            CorruptRecord: one does not begin like an entry, or they name one twice.
        """
        keys, contents = rows
        head = keys[0][:-8]
        if self._entries is None or head != self._entry_head or keys[-1][:-8] != head:
            return False
        if set(map(len, keys)) != {len(keys[0])}:
            return False
        numbers = struct.unpack(">" + f"{len(head)}xQ" * len(keys), b"".join(keys))
        try:
            return self._entries.restore_rows(numbers, contents)
        except CrdtError as error:
            which = next(key for key, data in zip(keys, contents, strict=True) if not _begins_well(data))
            raise CorruptRecord(f"state row {shown(which)} can't be read: {error}; restore a backup") from error
        except ValueError as error:
            raise CorruptRecord(f"state rows from {shown(keys[0])} on: {error}; restore a backup") from error

    def load(self, record: StateRecord) -> None:
        """Takes one row.

        Raises:
            CorruptRecord: it is none that this version writes, or the data has another number of shards.
        """
        key, data = record.key, record.data
        try:
            if data is None:
                raise CodecError("a deleted row")
            if key == RECONCILED_KEY:
                self.reconciled_node = data.decode()
                return
            if key == CLOCK_KEY:
                self.clock_bound_ms = int.from_bytes(data, "big")
                return
            self._load_shard_row(key, data)
        except (CrdtError, IndexError, ValueError) as error:
            raise CorruptRecord(f"state row {shown(key)} can't be read: {error}; restore a backup") from error

    def _load_shard_row(self, key: bytes, data: bytes) -> None:
        kind, shards = key[:1], key[1] + 1
        if shards != self._systems.shards:
            raise CorruptRecord(f"shards={self._systems.shards}, but the data has {shards}; set shards={shards}")
        end = 3 + key[2]
        shard = self._systems.make(key[3:end].decode()).shard(key[end])
        number = int.from_bytes(key[end + 1 :], "big")
        if kind == ENTRY_KIND:
            shard.entries.restore_row(number, data)
            self._entry_head, self._entries = key[:-8], shard.entries
            return
        reader = Reader(data, shard.table, size_bytes_max=64 * MESSAGE_BYTES_MAX)
        if kind == INDEX_KIND:
            self._load_index(shard, number, reader)
        elif kind == SHARD_KIND:
            shard.applied.update(reader.context())
            shard.known.update(reader.context())
            shard.low.update(reader.context())
        else:
            raise CodecError("unknown kind of row")
        reader.finish()

    def _load_index(self, shard: Shard, count: int, reader: Reader) -> None:
        for _ in range(reader.count()):
            first, last = _read_run(reader)
            shard.index.add(first >> DOT_BITS, first & N_MAX, last & N_MAX, reader.integer((1 << 32) - 1))
        for _ in range(reader.count()):
            shard.add_span(*_read_run(reader))
        name = shard.system, shard.number
        self.index_rows[name] = max(self.index_rows.get(name, 0), count + 1)
