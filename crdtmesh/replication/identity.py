"""Who owns which dots, and the signs that two processes own the same.

A replica id belongs to one run of one node: 16 fresh random bytes at each start, so old numbers are never used again,
whatever happened to the disk. A copied virtual machine still doubles one. Two signs show it, and neither costs anything
while all is well: a dot of our own id that we never issued (`Shard.is_above`), and one event with two contents. For the
latter the frames seen lately are kept; an event that comes again in *another* frame is compared with the first one.
"""

from collections import deque
from collections.abc import Sequence

from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, ReplicaTable
from crdtmesh.replication import wire
from crdtmesh.replication.carrying import encoded
from crdtmesh.replication.events import Event
from crdtmesh.replication.options import RECENT_BYTES_MAX, RECENT_FRAMES_MAX
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.wire import ShardEvents


class RecentFrames:
    """The PUSH messages of one system seen lately, found by shard and first dot of an event."""

    __slots__ = ("_by_event", "_bytes", "_frames")

    def __init__(self) -> None:
        self._frames: deque[tuple[bytes, list[int]]] = deque()
        self._by_event: dict[int, bytes] = {}
        self._bytes = 0

    def remember(self, message: bytes, sections: Sequence[ShardEvents]) -> None:
        """Keeps a message, and forgets the oldest ones above the limits."""
        names = [name | event[0] for shard, events in sections for name in (_name(shard, 0),) for event in events]
        for name in names:
            self._by_event.setdefault(name, message)
        self._frames.append((message, names))
        self._bytes += len(message)
        while len(self._frames) > RECENT_FRAMES_MAX or self._bytes > RECENT_BYTES_MAX:
            oldest, forgotten = self._frames.popleft()
            self._bytes -= len(oldest)
            for name in forgotten:
                if self._by_event.get(name) is oldest:
                    del self._by_event[name]

    def is_forged(self, table: ReplicaTable, message: bytes, shard: int, event: Event) -> bool:
        """Whether an event that was applied before came then with another content."""
        before = self._by_event.get(_name(shard, event.first))
        if before is None or before == message:
            return False
        push = wire.decode(wire.open_message(before).body, table, wire.read_push)
        others = (other for number, events in push.sections if number == shard for other in events)
        return not any(_is_same(event, other) for other in others)


def _name(shard: int, dot: Dot) -> int:
    """One integer for a dot of one of a system's shards; a dot has 60 bits."""
    return shard << 60 | dot


def _is_same(a: Event, b: Event) -> bool:
    if (a.first, a.last, len(a.parts)) != (b.first, b.last, len(b.parts)):
        return False
    return all(
        x.name == y.name and encoded(x.data_type, *x.delta) == encoded(y.data_type, *y.delta)
        for x, y in zip(a.parts, b.parts, strict=True)
    )


def describe_run(shard: Shard, first: Dot, last: Dot) -> str:
    """A run of dots for a person: the replica id's first bytes and the numbers."""
    return f"{shard.table.id_of(first >> DOT_BITS).hex()[:8]}:{first & N_MAX}-{last & N_MAX} of shard {shard.number}"
