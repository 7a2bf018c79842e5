"""VECTORS: what a replica has applied, whole or as what changed since the last time; and who remembers that.

After a DIGEST that differs, E of a shard is sent: 20 bytes for each replica id that ever wrote to it. Two peers that
remember the last one need two bytes for each that wrote since. Who asks says by a *mark*, a hash in its DIGEST, what it
remembers of the other's vectors; only if that is what the other remembers of having told, changes are sent, and else
whole vectors, by which both start again. So memory may be lost on either side at any time, and is bounded. Changes name
the mark that they build on: those that come twice, or late, say nothing.

Replica ids of the remembered vector are named by their place in the order of their bytes, which both know.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from crdtmesh.crdts.codec import AMOUNT_MAX, Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication.options import SHARDS_MAX
from crdtmesh.replication.wire import MARK_BYTES

# Bounds of all remembered vectors on one side, 8 to 40 bytes each: 30 peers with 16 shards of 250 replica ids.
REMEMBERED_BOUNDS_MAX: Final = 250_000


class Changes(NamedTuple):
    """What a context has beyond one that the reader remembers.

    Attributes:
        unknown: dots of replica ids that the remembered one has no dot of.
        column: of each other replica that has more: how many are left out before it, in the order of their ids; then
            minus the number of dots right after its greatest, or the number of intervals and each as the dots before
            its first and the dots after that.
    """

    unknown: CausalContext
    column: tuple[int, ...]


Vector = CausalContext | Changes


class Vectors(NamedTuple):
    """The body of a VECTORS.

    Attributes:
        base: the mark of what the receiver remembers of this system, on which changes build; empty when it is to forget
            what it was told before.
        shards: numbers of shards, each with what the sender has applied of it.
    """

    base: bytes
    shards: tuple[tuple[int, Vector], ...]


# --- changes


def changes_between(base: CausalContext, context: CausalContext) -> Changes:
    """What a context has beyond a base that is part of it. Complexity: O(intervals + replicas log replicas)."""
    news = context.difference(base)
    ordered = _ordered(base)
    column: list[int] = []
    skipped = 0
    for replica in ordered:
        bounds = news.bounds_of(replica)
        if not bounds:
            skipped += 1
            continue
        column.append(skipped)
        skipped = 0
        start = replica << DOT_BITS
        if len(bounds) == 2 and bounds[0] == start + base.greatest(replica) + 1:
            column.append(bounds[0] - bounds[1])
            continue
        column.append(len(bounds) >> 1)
        for at in range(0, len(bounds), 2):
            column += (bounds[at] - start - 1, bounds[at + 1] - bounds[at] - 1)
    known = set(ordered)
    unknown = [bound for replica in news.replicas() if replica not in known for bound in news.bounds_of(replica)]
    return Changes(CausalContext.of_bounds(context.table, unknown), tuple(column))


def apply_changes(base: CausalContext, changes: Changes) -> CausalContext:
    """The context of which a base was remembered.

    Raises:
        CodecError: these are no changes of the base.
    """
    ordered = _ordered(base)
    context = base.union(changes.unknown)
    items = iter(changes.column)
    place = -1
    try:
        for skipped in items:
            place += 1 + skipped
            if skipped < 0 or place >= len(ordered):
                raise CodecError(f"expected one of {len(ordered)} replica ids of a vector, got {place}")
            count = next(items)
            start = ordered[place] << DOT_BITS
            if count < 0:
                first = base.greatest(ordered[place]) + 1
                _add(context, start, first, first - count - 1)
            for _ in range(count):
                first = next(items) + 1
                _add(context, start, first, first + next(items))
    except StopIteration as error:
        raise CodecError("changes of a vector end early") from error
    return context


def _add(context: CausalContext, start: int, first: int, last: int) -> None:
    if not 0 < first <= last <= N_MAX:
        raise CodecError(f"expected dots from 1 to {N_MAX}, got {first} to {last}")
    context.add_run(start | first, start | last)


def _ordered(context: CausalContext) -> list[int]:
    return sorted(context.replicas(), key=context.table.id_of)


# --- bytes


def encode_vectors(table: ReplicaTable, vectors: Vectors) -> bytes:
    """The body of a VECTORS."""
    writer = Writer(table)
    writer.binary(vectors.base)
    writer.integer(len(vectors.shards))
    for shard, vector in vectors.shards:
        writer.integer(shard << 1 | isinstance(vector, Changes))
        if isinstance(vector, Changes):
            writer.context(vector.unknown)
            writer.integer(len(vector.column))
            for number in vector.column:
                writer.integer(number)
        else:
            writer.context(vector)
    return writer.finish()


def read_vectors(reader: Reader) -> Vectors:
    """Reads the body of a VECTORS.

    Raises:
        CodecError: it is none.
    """
    base = reader.binary()
    shards: list[tuple[int, Vector]] = []
    for _ in range(reader.integer(SHARDS_MAX)):
        shard, has_changes = divmod(reader.integer(2 * SHARDS_MAX - 1), 2)
        context = reader.context()
        if has_changes:
            column = tuple(reader.integer(AMOUNT_MAX, least=-N_MAX) for _ in range(reader.count()))
            shards.append((shard, Changes(context, column)))
        else:
            shards.append((shard, context))
    return Vectors(base, tuple(shards))


# --- memory


class Remembered(NamedTuple):
    """A vector that was told, and its digest."""

    applied: CausalContext
    digest: bytes


class VectorMemory:
    """The last vector of each shard that went between this replica and each peer, one way.

    Args:
        bounds_max: of the vectors of all peers together; those of the peer that was not heard of for longest go first.
    """

    __slots__ = ("_bounds", "_bounds_max", "_peers")

    def __init__(self, bounds_max: int = REMEMBERED_BOUNDS_MAX) -> None:
        self._bounds_max = bounds_max
        self._bounds = 0
        self._peers: dict[str, dict[str, dict[int, Remembered]]] = {}

    def of(self, peer: str, system: str) -> Mapping[int, Remembered]:
        """What is remembered of the shards of a system."""
        return self._peers.get(peer, {}).get(system, {})

    def mark(self, peer: str, system: str) -> bytes:
        """A hash of what is remembered; empty for nothing."""
        shards = self.of(peer, system)
        if not shards:
            return b""
        hashed = hashlib.blake2b(digest_size=MARK_BYTES)
        for number in sorted(shards):
            hashed.update(bytes((number,)) + shards[number].digest)
        return hashed.digest()

    def remember(self, peer: str, system: str, vectors: Sequence[tuple[int, Remembered]], *, is_fresh: bool) -> None:
        """Takes note of vectors that were told, which must not change.

        Args:
            peer: with whom.
            system: of the shards.
            vectors: shards and their vectors.
            is_fresh: what was told of the system before is forgotten.
        """
        systems = self._peers.pop(peer, {})
        self._peers[peer] = systems
        if is_fresh:
            self._bounds -= sum(len(each.applied.bounds) for each in systems.pop(system, {}).values())
        shards = systems.setdefault(system, {})
        for number, remembered in vectors:
            before = shards.get(number)
            self._bounds += len(remembered.applied.bounds) - (0 if before is None else len(before.applied.bounds))
            shards[number] = remembered
        while self._bounds > self._bounds_max:
            self.forget(next(iter(self._peers)))

    def forget(self, peer: str) -> None:
        """Forgets all that went to or came from a peer."""
        for shards in self._peers.pop(peer, {}).values():
            self._bounds -= sum(len(each.applied.bounds) for each in shards.values())
