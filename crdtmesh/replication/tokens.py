"""Session tokens: what one node has shown, so that a read at another one waits until it has that too.

A token holds what was applied of one shard when an update or a read was answered. It is opaque to its holder, belongs
to no node, and keeps its meaning over restarts. A reader that brings it sees at least what it was made from: its own
writes, and never less than before. Driven by `Replica`.
"""

import heapq
from collections.abc import Callable, Hashable
from typing import NamedTuple

from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, ReplicaTable
from crdtmesh.crdts.errors import CrdtError
from crdtmesh.replication.errors import TokenInvalid
from crdtmesh.replication.events import covers
from crdtmesh.replication.options import MESSAGE_BYTES_MAX, SHARDS_MAX
from crdtmesh.replication.outputs import LevelTimeout
from crdtmesh.replication.systems import Systems

_VERSION = 1


class _Waiting(NamedTuple):
    ticket: Hashable
    deadline_ns: int
    system: str
    shard: int
    # By replica id, since the reader may not know all of them yet.
    runs: tuple[tuple[bytes, int, int], ...]


class Tokens:
    """Makes tokens, and has readers wait for what theirs hold.

    Args:
        systems: all that the replica holds.
        emit: an event for the driver.
        wait: has `Committed(ticket)` emitted when all that was applied so far is on disk.
    """

    __slots__ = ("_due", "_emit", "_number", "_systems", "_wait", "_waiting")

    def __init__(
        self, systems: Systems, *, emit: Callable[[LevelTimeout], None], wait: Callable[[Hashable], None]
    ) -> None:
        self._systems = systems
        self._emit = emit
        self._wait = wait
        self._waiting: dict[int, _Waiting] = {}
        self._number = 0
        self._due: list[tuple[int, int]] = []

    def make(self, system: str, number: int) -> bytes:
        """The token of a shard as it is now."""
        shard = self._systems.find(system, number)
        applied = CausalContext(ReplicaTable()) if shard is None else shard.applied
        writer = Writer(applied.table)
        writer.integer(_VERSION)
        writer.integer(self._systems.shards)
        writer.text(system)
        writer.integer(number)
        writer.context(applied)
        return writer.finish()

    def await_token(self, token: bytes, ticket: Hashable, *, timeout_ns: int, now_ns: int) -> None:
        """Has `Committed(ticket)` emitted when what a token holds is applied and on disk here, else `LevelTimeout`.

        Raises:
            TokenInvalid: it is none of this cluster's.
        """
        waiting = self._read(token, ticket, now_ns + timeout_ns)
        if self._is_reached(waiting):
            self._wait(ticket)
            return
        self._number += 1
        self._waiting[self._number] = waiting
        heapq.heappush(self._due, (waiting.deadline_ns, self._number))

    def flush(self) -> None:
        """Looks which tokens are reached. Complexity: O(1) while nobody waits."""
        for number, waiting in list(self._waiting.items()):
            if self._is_reached(waiting):
                del self._waiting[number]
                self._wait(waiting.ticket)

    def tick(self, *, now_ns: int) -> None:
        """Tells those whose time is over."""
        while self._due and self._due[0][0] <= now_ns:
            waiting = self._waiting.pop(heapq.heappop(self._due)[1], None)
            if waiting is not None:
                self._emit(LevelTimeout(waiting.ticket, 0, 1))

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; may be early."""
        return self._due[0][0] if self._due else None

    def _read(self, token: bytes, ticket: Hashable, deadline_ns: int) -> _Waiting:
        # A table of its own: what a client made up must not fill the one of the system.
        table = ReplicaTable()
        try:
            reader = Reader(token, table, size_bytes_max=MESSAGE_BYTES_MAX)
            version, shards = reader.integer(), reader.integer(SHARDS_MAX)
            system, shard, applied = reader.text(), reader.integer(SHARDS_MAX - 1), reader.context()
            reader.finish()
        except CrdtError as error:
            raise TokenInvalid(f"a token of an earlier answer expected; {error}") from None
        if version != _VERSION or shards != self._systems.shards or shard >= shards:
            raise TokenInvalid("a token of this cluster and version expected, got one of another; read without it")
        runs = tuple(
            (table.id_of(first >> DOT_BITS), first & N_MAX, last & N_MAX) for first, last in applied.intervals()
        )
        return _Waiting(ticket, deadline_ns, system, shard, runs)

    def _is_reached(self, waiting: _Waiting) -> bool:
        shard = self._systems.find(waiting.system, waiting.shard)
        if shard is None:
            return not waiting.runs
        for replica_id, first, last in waiting.runs:
            replica = shard.table.find(replica_id)
            if replica is None or not covers(shard.applied, replica << DOT_BITS | first, replica << DOT_BITS | last):
                return False
        return True
