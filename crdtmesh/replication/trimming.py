"""When the index may forget: below the stability floor normally, above it when a limit is hit.

The floor of a shard is what all its members have applied, as far as they told: their vectors, and equal digests.
Members are the voters of its system, linked or not, and whoever has a link; while there are no voters, whoever had one
in this run. A member that is away holds the floor back, which costs space in the index and nothing else; limits on the
number of runs and on their age bound it. Whoever lacks what was forgotten is sent all that differs in the shard (rule
D), so nothing here can make replicas diverge; being wrong costs bytes.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS
from crdtmesh.replication.options import PEERS_MAX, ReplicationOptions
from crdtmesh.replication.shard import Shard

# Marks of what was applied are kept at eighths of each limit, so that hitting one forgets an eighth.
_MARKS = 8

ShardName = tuple[str, int]


class _Mark(NamedTuple):
    """What a shard had applied at a time, and the number of these events."""

    time_ns: int
    events: int
    applied: CausalContext


class Trimmer:
    """What the members of each shard have applied, and what follows for the index.

    Args:
        options: limits.
        voters: the voters of a system.
        node: this node's name.
        now_ns: monotonic time.

    Attributes:
        next_ns: when to look again.
        forced: how often a limit had events forgotten that a member may lack.
    """

    __slots__ = ("_copies", "_marks", "_node", "_options", "_reports", "_seen", "_voters", "forced", "next_ns")

    def __init__(
        self, options: ReplicationOptions, voters: Callable[[str], frozenset[str]], *, node: str, now_ns: int
    ) -> None:
        self._options = options
        self._voters = voters
        self._node = node
        # Whoever had a link in this run, and whether it is up.
        self._seen: dict[str, bool] = {}
        self._reports: dict[ShardName, dict[str, CausalContext]] = {}
        self._copies: dict[ShardName, tuple[int, CausalContext]] = {}
        self._marks: dict[ShardName, deque[_Mark]] = {}
        self.forced = 0
        self.next_ns = now_ns + options.trim_interval_ns

    # --- what is known of members

    def linked(self, peer: str, *, is_up: bool) -> None:
        """A link to a peer is up, or down again."""
        self._seen[peer] = is_up
        if len(self._seen) > 2 * PEERS_MAX:
            self._seen = {peer: True for peer, is_up in self._seen.items() if is_up}

    def reported(self, peer: str, shard: Shard, applied: CausalContext) -> None:
        """A peer told what it has applied; the context is kept and must not change."""
        self._reports.setdefault((shard.system, shard.number), {})[peer] = applied

    def agreed(self, peer: str, shard: Shard) -> None:
        """A peer has applied what this replica has."""
        name = shard.system, shard.number
        copy = self._copies.get(name)
        if copy is None or copy[0] != shard.revision:
            copy = self._copies[name] = shard.revision, shard.applied.copy()
        self.reported(peer, shard, copy[1])

    def floor(self, shard: Shard) -> CausalContext:
        """What all members have applied, as far as it is without gaps; nothing while one did not tell."""
        members = self._members(shard.system)
        reports = self._reports.get((shard.system, shard.number), {})
        for gone in [peer for peer in reports if peer not in members]:
            del reports[gone]
        if not members or len(reports) < len(members):
            return CausalContext(shard.table)
        stable = shard.applied
        for report in reports.values():
            stable = stable.intersection(report)
        return prefixes(stable)

    def _members(self, system: str) -> set[str]:
        voters = self._voters(system)
        members = {peer for peer, is_up in self._seen.items() if is_up or not voters}
        return (members | voters) - {self._node}

    # --- forgetting

    def tick(self, shards: Iterable[Shard], *, is_held: Callable[[Shard], bool], now_ns: int) -> list[Shard]:
        """Trims what is due.

        Args:
            shards: all of them.
            is_held: whether something that goes on needs the index of a shard as it is.
            now_ns: monotonic time.

        Returns:
            The shards that were trimmed.
        """
        if now_ns < self.next_ns:
            return []
        self.next_ns = now_ns + self._options.trim_interval_ns
        trimmed = []
        for shard in shards:
            if len(shard.index) >= self._options.trim_runs_min and not is_held(shard):
                trims = shard.trims
                self._trim(shard, now_ns)
                if shard.trims != trims:
                    trimmed.append(shard)
        return trimmed

    def _trim(self, shard: Shard, now_ns: int) -> None:
        options = self._options
        shard.trim(self.floor(shard))
        marks = self._marks.setdefault((shard.system, shard.number), deque())
        events = len(shard.applied)
        latest = marks[-1] if marks else None
        if (
            latest is None
            or now_ns - latest.time_ns >= options.index_age_ns // _MARKS
            or events - latest.events >= options.index_runs_max // _MARKS
        ):
            marks.append(_Mark(now_ns, events, prefixes(shard.applied)))
        while marks and (
            len(shard.index) > options.index_runs_max or now_ns - marks[0].time_ns >= options.index_age_ns
        ):
            self.forced += 1
            shard.trim(marks.popleft().applied)


def prefixes(context: CausalContext) -> CausalContext:
    """For each replica id the dots of a context up to its first gap."""
    bounds: list[int] = []
    for replica in context.replicas():
        count = context.contiguous(replica)
        if count:
            first = replica << DOT_BITS | 1
            bounds += (first, first + count)
    return CausalContext.of_bounds(context.table, bounds)
