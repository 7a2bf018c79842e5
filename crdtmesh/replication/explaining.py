"""What a replica knows of one key, for somebody who asks why it reads as it does. Changes nothing."""

import hashlib
import itertools
from typing import Any, Final, NamedTuple

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.carrying import canonical
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.systems import Systems, shard_number

# Intervals told of one context and replica id: a reader sees where the gaps are; a message stays below a megabyte.
INTERVALS_MAX: Final = 100

# Replica ids told of: those that wrote the entry come first.
WRITERS_MAX: Final = 1_000

# Runs of the index that are looked at for the last events of an entry: some 10 ms.
RUNS_MAX: Final = 100_000

FINGERPRINT_BYTES: Final = 16

Intervals = tuple[tuple[int, int], ...]


class Writer(NamedTuple):
    """What is known here of the dots of one replica id.

    Attributes:
        replica_id: 16 bytes; one run of one node.
        live: numbers of its dots in the store part; the first intervals.
        live_count: how many there are.
        last: number of the last event of it that is known to have touched the entry, removals included; 0 if none is.
        applied: E of the shard: numbers whose events are applied; the first intervals.
        known: C of the shard: numbers that the entries speak for; the first intervals.
        low: L of the shard: what touched which entry is forgotten up to here.
    """

    replica_id: bytes
    live: Intervals
    live_count: int
    last: int
    applied: Intervals
    known: Intervals
    low: int


class Explanation(NamedTuple):
    """One entry, as this replica has it.

    Attributes:
        key: which entry.
        shard: number of its shard.
        found: whether it has state.
        version: grows with every change in this run; 0 if there is no entry.
        value: what it reads as.
        size_bytes: of the store part, canonically encoded.
        fingerprint: of the same; equal on nodes that hold the same.
        writers: those of the entry first, the one with the highest dots first.
        own_replica_id: of this run of this node.
    """

    key: EntryKey
    shard: int
    found: bool
    version: int
    value: PlainValue
    size_bytes: int
    fingerprint: bytes
    writers: tuple[Writer, ...]
    own_replica_id: bytes


def explain(systems: Systems, key: EntryKey) -> Explanation:
    """All of one key. Complexity: O(entry), and a bounded look into the index."""
    own = systems.clock.replica_id
    number = shard_number(key.key, systems.shards)
    shard = systems.find_for(key)
    if shard is None:
        return Explanation(key, number, False, 0, None, 0, b"", (), own)
    entry = shard.entries.find(key[1:])
    writers = _writers(shard, entry)
    if entry is None or entry.is_bottom:
        version = entry.version if entry is not None else 0
        return Explanation(key, number, False, version, None, 0, b"", writers, own)
    data = canonical(entry.data_type, entry.store, shard.table)
    fingerprint = hashlib.blake2b(data, digest_size=FINGERPRINT_BYTES).digest()
    return Explanation(key, number, True, entry.version, entry.value(), len(data), fingerprint, writers, own)


def _writers(shard: Shard, entry: Entry | None) -> tuple[Writer, ...]:
    dots: Any = () if entry is None else entry.data_type.dots(entry.store)
    live = CausalContext(shard.table, dots)
    last = {} if entry is None else shard.index.last_of(entry.number, runs_max=RUNS_MAX)
    wrote = {replica: max(last.get(replica, 0), live.greatest(replica)) for replica in {*live.replicas(), *last}}
    order = sorted(wrote, key=lambda replica: (-wrote[replica], shard.table.id_of(replica)))
    order += [replica for replica in shard.known.replicas() if replica not in wrote]
    return tuple(
        Writer(
            shard.table.id_of(replica),
            _intervals(live, replica),
            sum(end - start + 1 for start, end in live.intervals_of(replica)),
            max(last.get(replica, 0), live.greatest(replica)),
            _intervals(shard.applied, replica),
            _intervals(shard.known, replica),
            shard.low.contiguous(replica),
        )
        for replica in order[:WRITERS_MAX]
    )


def _intervals(context: CausalContext, replica: int) -> Intervals:
    return tuple(itertools.islice(context.intervals_of(replica), INTERVALS_MAX))
