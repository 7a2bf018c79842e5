"""The replica of production, recorded: which call made which event, and what it could see.

Checkers need three facts that no client is told: the dots that an update took, where it ran, and which events were
visible to it. They are noted here, at the one place where updates become events. What a turn sees is the state of its
snapshot and what was updated through it; any other update sees what the replica has applied.
"""

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol

from crdtmesh.crdts.dots import DOT_BITS, N_MAX
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.entry import Snapshot
from crdtmesh.replication.levels import MESH_SYSTEM, voters_key
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.updating import BatchResult, Update, UpdateResult
from simulations.history import Applied, Call, including

SERVED: Final[ContextVar[Call | None]] = ContextVar("SERVED", default=None)
"""The call that a task of the edge serves."""


class Labelled(tuple[Operation, ...]):  # noqa: SLOT001 - a tuple can't have slots of its own
    """Operations that know their call."""

    call: Call


def label(call: Call, operations: Sequence[Operation] | None = None) -> Labelled:
    """The operations of a call, as it says them or as they came out of its request."""
    labelled = Labelled(call.operations if operations is None else operations)
    labelled.call = call
    return labelled


class Recorder(Protocol):
    """Who is told of updates."""

    def updated(self, call: Call, operations: Sequence[Operation], result: UpdateResult, visible: Applied) -> None:
        """A call's update was applied in memory."""
        ...

    def was_read(self, call: Call, visible: Applied) -> None:
        """A read saw what is applied now."""
        ...


class RecordedReplica(Replica):
    """A replica that tells a recorder of every update that belongs to a call.

    Attributes:
        current: the call whose turn is being answered.
    """

    recorder: Recorder | None = None
    current: Call | None = None

    def snapshot(self, key: EntryKey) -> Snapshot:
        """Opens a snapshot and notes what it shows."""
        snapshot = super().snapshot(key)
        self._seen_by_view()[key] = seen_by(self, key)
        return snapshot

    def update(
        self, key: EntryKey, operations: Sequence[Operation], *, view: Snapshot | None = None, **rest: Any
    ) -> UpdateResult:
        """Updates, and notes what was seen and made."""
        call = operations.call if isinstance(operations, Labelled) else self.current
        if call is None or self.recorder is None:
            return super().update(key, operations, view=view, **rest)
        seen = self._seen_by_view()
        visible = seen[key] if view is not None else seen_by(self, key)
        result = super().update(key, operations, view=view, **rest)
        if view is not None and result.event is not None:
            seen[key] = including(visible, result.event)
        self.recorder.updated(call, operations, result, visible)
        return result

    def update_batch(self, updates: Sequence[Update], **rest: Any) -> BatchResult:
        """Updates several entries, or one with what is kept beside it, and notes the same."""
        key, operations = updates[0]
        call = operations.call if isinstance(operations, Labelled) else None
        if call is None or self.recorder is None:
            return super().update_batch(updates, **rest)
        visible = seen_by(self, key)
        result = super().update_batch(updates, **rest)
        call.wall_ms = rest["wall_ms"]
        self.recorder.updated(call, operations, UpdateResult(result.event, (), result.entries[0]), visible)
        return result

    def token(self, key: EntryKey) -> bytes:
        """Makes a token, and notes what the read has seen that it is for: the edge makes both in one step."""
        call = SERVED.get()
        if call is not None and not call.is_update and self.recorder is not None:
            self.recorder.was_read(call, seen_by(self, key))
        return super().token(key)

    def _seen_by_view(self) -> dict[EntryKey, Applied]:
        found: dict[EntryKey, Applied] | None = self.__dict__.get("_seen")
        if found is None:
            found = self.__dict__["_seen"] = {}
        return found


def applied_of(replica: Replica, system: str) -> Applied:
    """The events that a replica has applied, in a form that outlives it."""
    # Private, since production has no use for it: a checker that asked the cores what they promise would check nothing.
    return _applied(replica._systems.get(system) or ())


def seen_by(replica: Replica, key: EntryKey) -> Applied:
    """The events of an entry's shard that a replica has applied: all that an update of the entry can see."""
    system = replica._systems.get(key.system)
    return {} if system is None else _applied((system.shard_of(key.key),))


def voters_of(replica: Replica, system: str) -> frozenset[str]:
    """Who is on the voter lists that count for a system, as a replica has them: read, not asked of what counts."""
    found: set[str] = set()
    for name in (system, MESH_SYSTEM):
        view = replica.read(voters_key(name))
        value = view.value() if view is not None else ()
        found.update(map(str, value) if isinstance(value, list | tuple) else ())
    return frozenset(found)


def _applied(shards: Iterable[Shard]) -> Applied:
    applied: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
    for shard in shards:
        for first, last in shard.applied.intervals():
            owner = shard.number, shard.table.id_of(first >> DOT_BITS)
            applied.setdefault(owner, []).append((first & N_MAX, last & N_MAX))
    return {owner: tuple(runs) for owner, runs in sorted(applied.items())}
