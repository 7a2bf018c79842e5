"""The shards of all systems, and which of them a key belongs to.

The keys of a system are spread over a fixed number of shards, each with a numbering of its own. The number of shards is
a constant of the cluster: every message and every row of the disk carries it, and another one is refused. What a shard
holds is decided by a keyed hash of the key alone, never by its type, so that two types under one key stay together.

A part of the key in braces, as in Redis Cluster, decides alone: `cart/{alice}` and `orders/{alice}` share a shard, and
so an event may touch both.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication.errors import BatchInvalid, LimitExceeded, shown
from crdtmesh.replication.options import KEYS_PER_EVENT_MAX, SYSTEM_BYTES_MAX, SYSTEMS_MAX
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.shard import Shard

_PERSON: Final = b"crdtmesh shard"

# Keys whose shard is remembered, about 2 MB: hashing one takes ten times as long as finding it here.
_REMEMBERED: Final = 16_384


class SystemSummary(NamedTuple):
    """Sizes of one system, over all its shards, for status and metrics."""

    system: str
    entries: int
    events: int
    replica_ids: int
    index_runs: int


def co_located(key: str) -> str:
    """The part of a key that decides about its shard: what is between its first braces, if that is not empty.

    What is kept beside an entry (`repeats`) lies in its shard.
    """
    key = key.partition("\0")[0]
    start = key.find("{")
    if start < 0:
        return key
    stop = key.find("}", start)
    return key[start + 1 : stop] if stop > start + 1 else key


@lru_cache(maxsize=_REMEMBERED)
def shard_number(key: str, shards: int) -> int:
    """The shard of a key, the same on every node and in every run.

    Args:
        key: as in `EntryKey`.
        shards: how many the cluster has.
    """
    digest = hashlib.blake2b(co_located(key).encode(), digest_size=8, person=_PERSON).digest()
    return int.from_bytes(digest, "big") % shards


def require_batch(keys: Sequence[EntryKey], *, shards: int) -> None:
    """Refuses entries that can't be changed by one event.

    Raises:
        BatchInvalid: says how to name keys that belong together.
        LimitExceeded: there are too many.
    """
    if not 1 <= len(keys) <= KEYS_PER_EVENT_MAX:
        raise LimitExceeded(f"1 to {KEYS_PER_EVENT_MAX} entries in one update expected, {len(keys)} found; split it")
    if len(set(keys)) < len(keys):
        raise BatchInvalid("each entry once expected in one update, one is named twice; put its operations together")
    first = keys[0]
    for key in keys[1:]:
        if key.system != first.system:
            raise BatchInvalid(f"entries of one system expected, {first.system!r:.64} and {key.system!r:.64} found")
        if shard_number(key.key, shards) != shard_number(first.key, shards):
            raise BatchInvalid(
                f"keys of one shard expected, {first.key!r:.64} and {key.key!r:.64} lie in two; give them a common "
                "part in braces, which alone decides, such as {order-7}/lines and {order-7}/total"
            )


class System:
    """One namespace: its shards, made when they are first needed, and the replica ids of all their dots.

    Attributes:
        name: of the system.
        table: shared by the shards, so that one message can speak of several.
    """

    __slots__ = ("_clock", "_shards", "name", "table")

    def __init__(self, name: str, shards: int, clock: HybridClock) -> None:
        self.name: Final = checked_system(name)
        self.table: Final = ReplicaTable()
        self._clock = clock
        self._shards: list[Shard | None] = [None] * shards

    def __iter__(self) -> Iterator[Shard]:
        """The shards that hold something, or once did, by number."""
        return (shard for shard in self._shards if shard is not None)

    def find(self, number: int) -> Shard | None:
        """A shard, unless nothing was ever in it."""
        return self._shards[number]

    def shard(self, number: int) -> Shard:
        """A shard, made if it is new."""
        shard = self._shards[number]
        if shard is None:
            shard = self._shards[number] = Shard(self.name, self._clock, number=number, table=self.table)
        return shard

    def shard_of(self, key: str) -> Shard:
        """The shard of a key, made if it is new."""
        return self.shard(shard_number(key, len(self._shards)))

    def renew(self, clock: HybridClock) -> None:
        """Continues under the replica id of another clock."""
        self._clock = clock
        for shard in self:
            shard.mutation.renew(clock)


class Systems:
    """All that a replica holds.

    Args:
        shards: how many each system has.
        clock: of the replica.

    Attributes:
        shards: how many each system has.
        clock: of the replica; another one after `renew`.
    """

    def __init__(self, shards: int, clock: HybridClock) -> None:
        self.shards: Final = shards
        self.clock = clock
        self._systems: dict[str, System] = {}

    def __iter__(self) -> Iterator[Shard]:
        """All shards, by system and number."""
        for name in sorted(self._systems):
            yield from self._systems[name]

    def __contains__(self, system: str) -> bool:
        return system in self._systems

    def __len__(self) -> int:
        return len(self._systems)

    @property
    def names(self) -> list[str]:
        """The systems that are held, sorted."""
        return sorted(self._systems)

    def get(self, system: str) -> System | None:
        """A system, unless it is unknown."""
        return self._systems.get(system)

    def find(self, system: str, number: int) -> Shard | None:
        """A shard, unless it is empty and was never anything else."""
        found = self._systems.get(system)
        return None if found is None else found.find(number)

    def find_for(self, key: EntryKey) -> Shard | None:
        """The shard of a key, unless it is empty and was never anything else."""
        found = self._systems.get(key.system)
        return None if found is None else found.find(shard_number(key.key, self.shards))

    def draft(self, system: str) -> System:
        """A system: the one that is held, or a new one that is not held until `keep`.

        Raises:
            LimitExceeded: the name is empty or too long.
        """
        found = self._systems.get(system)
        return System(system, self.shards, self.clock) if found is None else found

    def keep(self, system: System) -> None:
        """Holds a system from here on.

        Raises:
            LimitExceeded: it would be one too many.
        """
        if system.name not in self._systems:
            if len(self._systems) >= SYSTEMS_MAX:
                raise LimitExceeded(f"at most {SYSTEMS_MAX} systems expected; one more was named")
            self._systems[system.name] = system

    def make(self, system: str) -> System:
        """A system, held from here on.

        Raises:
            LimitExceeded: the name is empty or too long, or there are too many.
        """
        made = self.draft(system)
        self.keep(made)
        return made

    def renew(self, clock: HybridClock) -> None:
        """Continues under another clock, and its replica id."""
        self.clock = clock
        for system in self._systems.values():
            system.renew(clock)


def checked_system(system: str) -> str:
    """The name of a system.

    Raises:
        LimitExceeded: it is empty or too long.
    """
    if not 0 < len(system.encode()) <= SYSTEM_BYTES_MAX:
        raise LimitExceeded(f"a system name of 1 to {SYSTEM_BYTES_MAX} bytes expected, {shown(system)} found")
    return system
