"""Takes up the data of storage format 1, which knew no shards: all of a system had one numbering.

Its rows and log rows are read into one shard for each system, as that version did, and at the end each entry goes to
the shard of its key. An old numbering stays one in each new shard, as if all its events had touched all of them: what
was applied without a gap is below the mark L, so a peer that lacked some of it takes over the whole shard. What is
above a gap is known there where its entry went.

The next group on disk replaces all old rows and cuts the log, at once; until then a crash finds the old data as it was.
"""

from collections.abc import Iterator
from typing import Final

from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.codec import Reader
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot
from crdtmesh.crdts.errors import CodecError, CrdtError
from crdtmesh.crdts.first_format import FirstReader
from crdtmesh.persistence.base import StateRecord
from crdtmesh.persistence.errors import CorruptRecord
from crdtmesh.replication.carrying import type_of
from crdtmesh.replication.errors import LimitExceeded, shown
from crdtmesh.replication.events import AnyType, EntryName, EntryState, Event, KeyDelta
from crdtmesh.replication.options import MESSAGE_BYTES_MAX
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.systems import Systems
from crdtmesh.replication.trimming import prefixes

_ENTRY, _INDEX, _SHARD = b"E", b"I", b"S"
_PUSH: Final = 1
_REPAIR: Final = 4
_ROW_BYTES_MAX: Final = 64 * MESSAGE_BYTES_MAX


class Upgrade:
    """Data of storage format 1.

    Args:
        systems: takes the shards.

    Attributes:
        rows: the keys of the old rows.
    """

    def __init__(self, systems: Systems) -> None:
        self.rows: list[bytes] = []
        self._systems = systems
        self._shards: dict[str, Shard] = {}
        self._has_log = False

    @property
    def is_needed(self) -> bool:
        """Whether there was anything of format 1."""
        return bool(self.rows) or self._has_log

    def load(self, record: StateRecord) -> bool:
        """Takes a row; False when it is none of format 1.

        Raises:
            CorruptRecord: it can't be read.
        """
        kind = record.key[:1]
        if kind not in (_ENTRY, _INDEX, _SHARD) or record.data is None:
            return False
        try:
            end = 2 + record.key[1]
            shard = self._shard(record.key[2:end].decode())
            reader = FirstReader(record.data, shard.table, size_bytes_max=_ROW_BYTES_MAX)
            if kind == _ENTRY:
                name = EntryName(reader.text(), reader.text())
                reader.context()
                data_type = type_of(name.type_name)
                number = int.from_bytes(record.key[end:], "big")
                shard.entries.restore(name, data_type, number, data_type.decode(reader), len(record.data))
            elif kind == _INDEX:
                self._load_index(shard, reader)
            else:
                shard.applied.update(reader.context())
                shard.known.update(reader.context())
            reader.finish()
        except (CrdtError, IndexError, ValueError) as error:
            raise CorruptRecord(f"state row {shown(record.key)} can't be read: {error}; restore a backup") from error
        self.rows.append(record.key)
        return True

    def replay(self, message: bytes) -> bool:
        """Takes a row of the log; False when it is none of format 1.

        Raises:
            CorruptRecord: it can't be read.
        """
        if message[:1] not in (bytes((_PUSH,)), bytes((_REPAIR,))):
            return False
        try:
            start = 2 + message[1]
            shard = self._shard(message[2:start].decode())
            reader = FirstReader(message[start:], shard.table, size_bytes_max=MESSAGE_BYTES_MAX)
            if message[0] == _PUSH:
                for event in _read_push(reader):
                    if not shard.has_applied(event):
                        shard.apply_event(event)
            else:
                _apply_repair(reader, shard)
            reader.finish()
        except (CrdtError, LimitExceeded, IndexError, ValueError) as error:
            raise CorruptRecord(f"a log row can't be read: {error}; restore a backup") from error
        self._has_log = True
        return True

    def finish(self) -> None:
        """Spreads what was loaded over shards."""
        for name, old in self._shards.items():
            system = self._systems.make(name)
            low = prefixes(old.applied)
            for number in range(self._systems.shards):
                shard = system.shard(number)
                for context in (shard.low, shard.applied, shard.known):
                    context.update(low)
                shard.revision += 1
            dots: dict[int, CausalContext] = {}
            for first, last in old.known.difference(low).intervals():
                for low_dot, high_dot, number in old.owners_within(first, last):
                    dots.setdefault(number, CausalContext(old.table)).add_run(low_dot, high_dot)
            for entry in old.entries:
                context = dots.get(entry.number, CausalContext(old.table))
                if context or not entry.is_bottom:
                    system.shard_of(entry.name.key).adopt(entry, context, context.intersection(old.applied))
        self._shards.clear()

    def _shard(self, system: str) -> Shard:
        shard = self._shards.get(system)
        if shard is None:
            table = self._systems.make(system).table
            shard = self._shards[system] = Shard(system, self._systems.clock, table=table)
        return shard

    @staticmethod
    def _load_index(shard: Shard, reader: Reader) -> None:
        for _ in range(reader.count()):
            first, last = _read_run(reader, bias=0)
            shard.index.add(first >> DOT_BITS, first & N_MAX, last & N_MAX, reader.integer((1 << 32) - 1))
        for _ in range(reader.count()):
            shard.add_span(*_read_run(reader, bias=0))


# --- messages of format 1


class _Names:
    """Texts that a message writes once, and their places from then on."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._texts: list[str] = []

    def entry(self) -> tuple[EntryName, AnyType]:
        """A key and a type."""
        name = EntryName(self._next(), self._next())
        return name, type_of(name.type_name)

    def _next(self) -> str:
        place = self._reader.integer(len(self._texts))
        if place == len(self._texts):
            self._texts.append(self._reader.text())
        return self._texts[place]


def _read_run(reader: Reader, *, bias: int) -> tuple[Dot, Dot]:
    """A run of dots: in messages as number less one and length less one, in rows as both numbers."""
    replica = reader.replica()
    first = reader.integer(N_MAX) + bias
    last = reader.integer(N_MAX) + (first if bias else 0)
    return replica << DOT_BITS | first, replica << DOT_BITS | last


def _read_push(reader: Reader) -> Iterator[Event]:
    names = _Names(reader)
    reader.integer()
    following = 0
    for _ in range(reader.count()):
        keys = reader.integer()
        first, last = (following, following) if not keys else _read_run(reader, bias=1)
        following = last + 1
        parts = []
        for _ in range(keys or 1):
            name, data_type = names.entry()
            context = reader.context()
            parts.append(KeyDelta(name, data_type, Delta(data_type.decode(reader), context)))
        yield Event(first, last, tuple(parts))


def _apply_repair(reader: Reader, shard: Shard) -> None:
    names = _Names(reader)
    for _ in range(3):
        reader.integer()
    reader.integer(1)
    has_applied = reader.integer(1)
    base = reader.context()
    if has_applied:
        reader.context()
    spans = [_read_run(reader, bias=1) for _ in range(reader.count())]
    states = []
    for _ in range(reader.count()):
        name, data_type = names.entry()
        unapplied, context = reader.context(), reader.context()
        states.append(EntryState(name, data_type, data_type.decode(reader), context, unapplied))
    if not base.issubset(shard.applied):
        raise CodecError("a repair builds on events that are not applied")
    for span in spans:
        shard.add_span(*span)
    shard.apply_states(base, states)
