"""Repair of a few differing keys among many: bytes and processor time, for two replicas that missed pushes.

Two production cores without disks hold the same sets; one updates some keys while the link is down. When it is up,
everything that both send until they agree is counted. For `..._bytes` the figures are bytes in all, and the base is the
differing entries as a checkpoint encodes them, plus one vector of all shards; less is better. The other figures are
differing keys for each second of processor time, of both sides together. Every run checks that no other key is touched
and that two round trips suffice, for as long as less is on its way than waits for no acknowledgement (768 KiB).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.harness import Options, progress
from benchmarks.load import verify
from benchmarks.measures import Line, Sample, compare, median_of
from benchmarks.processes import Children
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.checkpoint import entry_record
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import Changed, EntryKey, Persist, SendTo
from crdtmesh.replication.replica import Replica

SYSTEM: Final = "shop"
KEYS: Final = (10_000, 100_000, 1_000_000)
DIFFERING: Final = (1, 100, 10_000)
CASES: Final = tuple(f"{keys}_{differing}{kind}" for keys in KEYS for differing in DIFFERING for kind in ("", "_bytes"))

ROUND_TRIPS_MAX: Final = 2
WINDOW_BYTES: Final = ReplicationOptions().repair_chunk_bytes * ReplicationOptions().repair_chunks_in_flight
WALL_MS: Final = 1_750_000_000_000

BASE: Final = "entries as encoded + one vector"


class Pair:
    """Two replicas, each with a disk that takes everything at once, and a link that is up or down."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.replicas = {name: self._replica(name) for name in "ab"}
        self.sent: dict[str, list[SendTo]] = {"a": [], "b": []}
        self.changed: list[EntryKey] = []
        self._version = 0

    @staticmethod
    def _replica(name: str) -> Replica:
        # A log that is never cut: how checkpoints are paced is not what is measured.
        options = ReplicationOptions(checkpoint_log_rows=1 << 40, checkpoint_log_bytes=1 << 60)
        return Replica(
            options, node=name, replica_id=name.encode() * 16, rng=random.Random(1), now_ns=0, wall_ms=WALL_MS
        )

    def connect(self) -> None:
        """The link is up."""
        self.replicas["a"].peer_up("b", now_ns=self.now_ns)
        self.replicas["b"].peer_up("a", now_ns=self.now_ns)

    def cut(self) -> None:
        """The link is down, and what was on its way lost."""
        for name, peer in (("a", "b"), ("b", "a")):
            self.flush(name)
            self.sent[name].clear()
            self.replicas[name].peer_down(peer, now_ns=self.now_ns)

    def update(self, keys: list[str]) -> None:
        """`a` adds another element under each of these keys."""
        self._version += 1
        replica = self.replicas["a"]
        for number, key in enumerate(keys):
            operation = Operation("add", (f"element-{self._version}",))
            replica.update(EntryKey(SYSTEM, key, "ORSet"), [operation], ticket=None, wall_ms=WALL_MS)
            if number % 1_000 == 0:
                self.flush("a")
        self.flush("a")

    def flush(self, name: str) -> None:
        """Takes what a replica puts out; its disk answers at once."""
        replica = self.replicas[name]
        is_persisting = True
        while is_persisting:
            is_persisting = False
            for output in replica.take_outgoing():
                if isinstance(output, Persist):
                    replica.persisted(output.seq, now_ns=self.now_ns)
                    is_persisting = True
                else:
                    self.sent[name].append(output)
        if name == "b":
            self.changed += [event.key for event in replica.take_events() if isinstance(event, Changed)]
        else:
            replica.take_events()

    def settle(self) -> tuple[int, int]:
        """Delivers until nothing is sent; the number of bytes, and of half round trips in which any were."""
        size = turns = 0
        is_silent = 0
        while is_silent < 2:
            for name, peer in (("a", "b"), ("b", "a")):
                self.flush(name)
                sent, self.sent[name] = self.sent[name], []
                is_silent = 0 if sent else is_silent + 1
                turns += bool(sent)
                size += sum(len(message.payload) for message in sent)
                for message in sent:
                    self.replicas[peer].receive(message.payload, name, now_ns=self.now_ns, wall_ms=WALL_MS)
        self.now_ns += SECOND_NS
        return size, turns


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases; the replicas of one number of keys serve all its numbers of differing keys."""
    for count in KEYS:
        wanted = [each for each in DIFFERING if any(options.wants(f"{count}_{each}{kind}") for kind in ("", "_bytes"))]
        if not wanted:
            continue
        progress(f"repair: making two replicas of {count:,} keys")
        pair = Pair()
        pair.connect()
        names = [f"shelf-{number % 100:02}/item-{number:07}" for number in range(count)]
        for start in range(0, count, 10_000):
            pair.update(names[start : start + 10_000])
            pair.settle()
        for differing in wanted:
            yield from _measured(pair, names, differing, options)


def _measured(pair: Pair, names: list[str], differing: int, options: Options) -> Iterator[Line]:
    case = f"{len(names)}_{differing}"
    rng = random.Random(differing)
    bases, sizes, rates = [], [], []
    for number in range(options.pairs + 1):
        base, size, cpu_s = _repaired(pair, rng.sample(names, differing))
        progress(f"repair {case}: {f'round {number}/{options.pairs}' if number else 'warm-up'}: {size} bytes of {base}")
        if number:
            bases.append(Sample(rate=base))
            sizes.append(Sample(rate=size))
            rates.append(Sample(rate=differing / cpu_s))
    if options.wants(f"{case}_bytes"):
        yield compare(
            bench="repair", case=f"{case}_bytes", concurrency=1, base=(BASE, bases), subject=("Replica", sizes)
        )
    if options.wants(case):
        yield Line(
            bench="repair",
            case=case,
            base=None,
            subject="Replica",
            concurrency=1,
            ratio=None,
            base_rate=None,
            subject_rate=median_of([sample.rate for sample in rates]),
            server_cpu=None,
            p50_ms=None,
            p99_ms=None,
        )


def _repaired(pair: Pair, names: list[str]) -> tuple[int, int, float]:
    """Bytes of the base and of one repair, and the processor time of both sides."""
    pair.cut()
    pair.update(names)
    pair.changed.clear()
    shards = list(pair.replicas["b"]._systems)
    began_s = time.process_time()
    pair.connect()
    size, turns = pair.settle()
    cpu_s = time.process_time() - began_s
    verify(sorted(names), sorted(key.key for key in pair.changed))
    if turns > 2 * ROUND_TRIPS_MAX and size < WINDOW_BYTES:
        raise AssertionError(f"{turns} half round trips, at most {2 * ROUND_TRIPS_MAX} expected")
    base = 0
    for name in names:
        key = EntryKey(SYSTEM, name, "ORSet")
        shard = pair.replicas["b"]._systems.find_for(key)
        entry = None if shard is None else shard.entries.find(key[1:])
        assert shard is not None
        assert entry is not None
        base += len(entry_record(shard, entry, len(shards)).data or b"")
    repairer = pair.replicas["b"]._repairer
    return base + len(repairer.vectors(SYSTEM, range(len(shards)), pair.replicas["b"]._systems)), size, cpu_s
