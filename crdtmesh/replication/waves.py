"""What one question to voters is about, and who waits for it: the bookkeeping of `confirming`."""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from crdtmesh.crdts.context import CausalContext
from crdtmesh.replication.levels import Level
from crdtmesh.replication.outputs import Committed, EntryKey, ReadAt
from crdtmesh.replication.shard import Shard


class OwnCopy(NamedTuple):
    """A ticket of ours at the commit barrier: for a wave, whose events are on disk then, or for a read of our own copy.

    Attributes:
        number: of the wave; 0 for a read.
        read: what the read is answered.
    """

    number: int
    read: ReadAt | None = None


class Waiter(NamedTuple):
    """Somebody who waits for a level.

    Attributes:
        ticket: of the call.
        level: to be reached.
        deadline_ns: when it is told that the time is over.
        event: what it is told when the level is reached.
    """

    ticket: Hashable
    level: Level
    deadline_ns: int
    event: Committed | ReadAt


class Wave:
    """Events that voters are asked to confirm, all in one question.

    Attributes:
        number: names it to the voters.
        shard: whose events.
        events: what is to be confirmed.
        waiters: who waits.
        acks: peers that confirmed, each once.
        asked: peers that were asked over the link that is up now.
        is_own_done: this node has the events on disk.
        widen_ns: when further voters are asked; None when that was done.
    """

    __slots__ = ("acks", "asked", "events", "is_own_done", "number", "shard", "waiters", "widen_ns")

    def __init__(self, number: int, shard: Shard, events: CausalContext, *, widen_ns: int) -> None:
        self.number = number
        self.shard = shard
        self.events = events
        self.waiters: list[Waiter] = []
        self.acks: dict[str, None] = {}
        self.asked: dict[str, None] = {}
        self.is_own_done = False
        self.widen_ns: int | None = widen_ns

    def counted(self, voters: frozenset[str], *, own_counts: bool) -> int:
        """How many voters have the events: each peer once, by the name of its link, and this node if it counts."""
        return count(self.acks, voters) + (own_counts and self.is_own_done)


class Gathering:
    """A read that asks voters what they have of an entry, or of all entries of a shard whose keys begin alike.

    Attributes:
        number: names it to the voters.
        key: the entry; with an empty type, how the keys begin.
        shard: the number of the shard.
        ticket: of the read.
        level: how many voters are asked for.
        deadline_ns: when the time is over.
        shows_value: answer with the value; False for what only wants state to be there: a write without effect, and a
            read of many entries.
        answers: by peer, what it had applied; the entry here holds all that they had of it.
        asked: peers that were asked over the link that is up now.
        widen_ns: when further voters are asked; None when that was done.
    """

    __slots__ = (
        "answers",
        "asked",
        "deadline_ns",
        "key",
        "level",
        "number",
        "shard",
        "shows_value",
        "ticket",
        "widen_ns",
    )

    def __init__(
        self,
        number: int,
        key: EntryKey,
        shard: int,
        *,
        ticket: Hashable,
        level: Level,
        deadline_ns: int,
        widen_ns: int,
        shows_value: bool,
    ) -> None:
        self.number = number
        self.key = key
        self.shard = shard
        self.ticket = ticket
        self.level = level
        self.deadline_ns = deadline_ns
        self.shows_value = shows_value
        self.answers: dict[str, CausalContext] = {}
        self.asked: dict[str, None] = {}
        self.widen_ns: int | None = widen_ns


def count(peers: Iterable[str], voters: frozenset[str]) -> int:
    """How many of these peers are voters."""
    return sum(peer in voters for peer in peers)
