"""Calls that are to be made later: replicated state, so that they outlive their node and a restart of all.

A schedule is one entry of the system `_mesh`; its key begins with its time. Every node keeps the times of all in a
heap, which is filled from the state at the start and costs nothing until the first is due. Then the owner of the actor
makes the call, by the same rendezvous hash that places actors, and clears the entry when the call has ended; so it is
made once while the nodes' views agree, and at least once otherwise. Where nobody offers the actor it stays, and is
looked at again.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.outputs import EntryKey, EventRun
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import MESH_SYSTEM, ActorAddress

__all__ = ["Schedule", "Schedules"]

PREFIX: Final = "schedule\x1f"
_TYPE: Final = "LWWRegister"

# Times above this can't be written with 16 hexadecimal digits; it is half a billion years away.
TIME_MS_MAX: Final = (1 << 63) - 1

# How often one that is overdue is looked at again by nodes that are not to make it: its owner may have died with it. By
# the monotonic clock: a wall clock that was an hour ahead, and is put right, must not put this off by an hour.
AGAIN_NS: Final = 5_000_000_000

# Looked at in one loop turn. One costs about 10 µs (a read and a few hashes), so a slice takes 10 ms.
SLICE: Final = 1_000


class Schedule(NamedTuple):
    """A call to be made."""

    key: EntryKey
    actor: ActorAddress
    action: str
    type_url: str
    payload: bytes
    metadata: dict[str, str]
    caller: ActorAddress | None


class Schedules:
    """All schedules that this node knows.

    Args of the constructor:
        replica: where they are kept.
        run: names this run of this node; no other has it.
    """

    __slots__ = ("_again", "_due", "_last", "_replica", "_run")

    def __init__(self, replica: Replica, run: str) -> None:
        self._replica = replica
        self._run = run
        self._last = 0
        self._again: list[tuple[int, str]] = []
        self._due: list[tuple[int, str]] = [
            (_time_of(view.key.key), view.key.key)
            for view in replica.entries(MESH_SYSTEM, PREFIX)
            if view.key.type_name == _TYPE
        ]

    def add(
        self,
        at_ms: int,
        actor: ActorAddress,
        action: str,
        *,
        type_url: str,
        payload: bytes,
        metadata: dict[str, str],
        caller: ActorAddress | None,
        wall_ms: int,
    ) -> tuple[EntryKey, EventRun | None]:
        """Keeps a call for later.

        Returns:
            Its entry, and the event that made it; acknowledge it behind that.

        Raises:
            InvalidOperation: it is larger than an entry may be; nothing was kept.
            ReplicationError: nothing was kept.
        """
        self._last += 1
        key = EntryKey(MESH_SYSTEM, f"{PREFIX}{min(at_ms, TIME_MS_MAX):016x}\x1f{self._run}{self._last:x}", _TYPE)
        value = [list(actor), action, type_url, payload, metadata, None if caller is None else list(caller)]
        result = self._replica.update(key, [Operation("set", (value,))], ticket=None, wall_ms=wall_ms)
        return key, result.event

    def changed(self, key: EntryKey) -> None:
        """An entry of the system `_mesh` changed; a new schedule is noted."""
        if key.type_name == _TYPE and key.key.startswith(PREFIX):
            heappush(self._due, (_time_of(key.key), key.key))

    def clear(self, key: EntryKey, *, wall_ms: int) -> None:
        """The call was made.

        Raises:
            ReplicationError: it will be made again.
        """
        self._replica.update(key, [Operation("clear")], ticket=None, wall_ms=wall_ms)

    def again(self, key: EntryKey, *, now_ns: int) -> None:
        """The call is not for this node now, or could not be made: it is looked at again later."""
        heappush(self._again, (now_ns + AGAIN_NS, key.key))

    def due(self, *, now_ns: int, wall_ms: int) -> Iterator[Schedule]:
        """Those whose time has come, at most a slice of them; each leaves its heap."""
        for _ in range(SLICE):
            if self._due and self._due[0][0] <= wall_ms:
                heap = self._due
            elif self._again and self._again[0][0] <= now_ns:
                heap = self._again
            else:
                return
            name = heappop(heap)[1]
            while heap and heap[0][1] == name:
                heappop(heap)
            key = EntryKey(MESH_SYSTEM, name, _TYPE)
            view = self._replica.read(key)
            schedule = None if view is None else _read(key, view.value())
            if schedule is not None:
                yield schedule

    def next_ms(self) -> int | None:
        """The time of the next one, in Unix milliseconds."""
        return self._due[0][0] if self._due else None

    def next_ns(self) -> int | None:
        """When one is to be looked at again, by the monotonic clock."""
        return self._again[0][0] if self._again else None


def _time_of(name: str) -> int:
    try:
        return int(name.removeprefix(PREFIX)[:16], 16)
    except ValueError:
        return TIME_MS_MAX


def _read(key: EntryKey, value: Any) -> Schedule | None:
    """The schedule in an entry; None when it was cleared, or is none that we wrote."""
    match value:
        case ((str(), str(), str()) as actor, str(action), str(type_url), bytes(payload), dict(metadata), caller):
            texts = {str(name): str(text) for name, text in metadata.items()}
            by = ActorAddress(*caller) if isinstance(caller, tuple) and len(caller) == 3 else None
            return Schedule(key, ActorAddress(*actor), action, type_url, payload, texts, by)
    return None
