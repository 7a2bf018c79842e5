"""The audit: replicas that applied the same must hold the same. Whether they do is looked at, one shard a minute.

What the vectors can't see, a bug, a rotten bit, one event with two contents, shows in the sums of the entries. A
mismatch is counted and reported, it must never happen; then each side takes over what the other has of the shard, so
that they are equal again.
"""

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from crdtmesh.replication import shard_wire, wire
from crdtmesh.replication.fingerprints import pack_sums
from crdtmesh.replication.handover import SUMMED_PER_STEP
from crdtmesh.replication.options import PEERS_MAX, ReplicationOptions
from crdtmesh.replication.shard import Shard

Digest = Callable[[Shard], bytes]
"""The hash of E of a shard."""


class Auditor:
    """Whom to compare which shard with, and the answers to others who do.

    Attributes:
        next_ns: when the next audit is due.
        count: comparisons of shards that had applied the same, since the start.
        mismatches: those of them that did not hold the same; must be 0.
    """

    __slots__ = ("_asked", "_digest", "_mine", "_options", "_rng", "count", "mismatches", "next_ns")

    def __init__(self, options: ReplicationOptions, digest: Digest, rng: random.Random, now_ns: int) -> None:
        self._options = options
        self._digest = digest
        self._rng = rng
        self._mine: tuple[str, Shard] | None = None
        # Peers ask once a minute each; when one asks more often, its earlier questions fall out.
        self._asked: deque[tuple[str, Shard, shard_wire.Audit]] = deque(maxlen=PEERS_MAX)
        self.count = 0
        self.mismatches = 0
        self.next_ns = now_ns + options.audit_interval_ns

    @property
    def is_preparing(self) -> bool:
        """Whether sums are being prepared, so that `tick` is wanted soon."""
        return self._mine is not None or bool(self._asked)

    def on_audit(self, peer: str, shard: Shard, audit: shard_wire.Audit) -> None:
        """A peer shows what it has; `tick` compares."""
        if audit.applied == self._digest(shard):
            self._asked.append((peer, shard, audit))

    def tick(self, peers: Sequence[str], shards: Iterable[Shard], *, now_ns: int) -> list[tuple[str, Shard, bytes]]:
        """Begins an audit when one is due: the body of an AUDIT, with its peer and shard, when sums are ready."""
        if now_ns >= self.next_ns:
            self.next_ns = now_ns + self._options.audit_interval_ns
            found = list(shards)
            if peers and found:
                self._mine = self._rng.choice(peers), self._rng.choice(found)
        if self._mine is None:
            return []
        peer, shard = self._mine
        if not shard.fingerprints.sum_up(SUMMED_PER_STEP):
            return []
        self._mine = None
        audit = shard_wire.Audit(shard.number, self._digest(shard), sums_digest(shard))
        return [(peer, shard, shard_wire.encode_audit(audit))]

    def found(self) -> list[tuple[str, Shard]]:
        """Compares what peers have shown: the shards that are not equal, each with its peer."""
        found = []
        while self._asked:
            peer, shard, audit = self._asked[0]
            if audit.applied != self._digest(shard):
                # Something was applied meanwhile, so nothing follows from a difference.
                self._asked.popleft()
                continue
            if not shard.fingerprints.sum_up(SUMMED_PER_STEP):
                break
            self._asked.popleft()
            self.count += 1
            if audit.sums != sums_digest(shard):
                self.mismatches += 1
                found.append((peer, shard))
        return found


def sums_digest(shard: Shard) -> bytes:
    """A hash of the sums of a shard, which are all prepared."""
    return hashlib.blake2b(pack_sums(shard.fingerprints.sums), digest_size=wire.DIGEST_BYTES).digest()
