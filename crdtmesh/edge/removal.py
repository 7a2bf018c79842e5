"""Deleting actors: which entries are theirs."""

from __future__ import annotations

from crdtmesh.crdts import registry
from crdtmesh.crdts.removals import removal_of
from crdtmesh.edge.pending import PendingCalls
from crdtmesh.engine import Engine
from crdtmesh.engine_ports import CommitLost
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import ActorAddress, state_key
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import STATE_CHANGED, CallFailure

__all__ = ["Removal"]


class Removal:
    """Removes actors with all that is kept of them.

    Args:
        engine: of the node.
        pending: makes the updates, each in the queue of its actor.
    """

    def __init__(self, engine: Engine, pending: PendingCalls) -> None:
        self._engine = engine
        self._pending = pending

    async def delete(self, named: ActorAddress) -> bool | CallFailure:
        """One actor; whether there was something to remove, or what went wrong.

        After a failure some of its entries may be removed: calling again removes the rest.
        """
        actor = self._engine.runtime.resolve(named)
        found = False
        for key in self._entries(actor):
            removal = removal_of(key.type_name)
            if removal is None:
                message = f"a {key.type_name} can't be removed; its rights are spent where they are"
                return CallFailure(0, ErrorCode.INVALID_OPERATION, Outcome.NOT_APPLIED, message)
            reply = await self._pending.update([(key, (removal,))])
            if isinstance(reply, CallFailure):
                return reply
            found = found or reply[0] == STATE_CHANGED
        try:
            # Last, so that an instance whose removal failed half way is still found by its name.
            found = self._engine.forget(actor) or found
            await self._engine.committed()
        except (ReplicationError, CommitLost) as error:
            return CallFailure(0, ErrorCode.STORAGE_FAILED, Outcome.UNKNOWN, str(error))
        return found

    def _entries(self, actor: ActorAddress) -> list[EntryKey]:
        """The state, and what was put aside of it, whatever type they have."""
        keys = [EntryKey(actor.system, state_key(actor), name) for name in registry.names()]
        return [key for key in keys if self._engine.replica.read(key) is not None]
