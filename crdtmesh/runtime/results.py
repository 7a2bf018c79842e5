"""What a turn did, put into its actor's state.

By kind of state: operations go into the view and the entry of a replicated one, a new value into the register of an
opaque one, or into the activation's memory where nothing is to be kept.
"""

from crdtmesh.crdts.errors import CrdtError, InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.errors import IdentityLost, ReplicationError, StorageFailed
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime import opaque, revisions
from crdtmesh.runtime.activation import Activation
from crdtmesh.runtime.copies import opaque_state
from crdtmesh.runtime.definition import RESOLVE_ACTION, ActorAddress, StateKind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import Operations, TurnEffects
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.turn import Turn, TurnPhase

__all__ = ["Results", "refusal"]


class Results:
    """Applies what hosts answer.

    Attributes:
        conflicts: (actor, values) of opaque states that were written at two places and put aside; the runtime takes
            them.
    """

    __slots__ = ("_replica", "_replies", "conflicts")

    def __init__(self, replica: Replica, replies: Replies) -> None:
        self._replica = replica
        self._replies = replies
        self.conflicts: list[tuple[ActorAddress, int]] = []

    def apply(self, activation: Activation, turn: Turn, operations: Operations, *, wall_ms: int) -> bool:
        """Puts a turn's operations into view and entry; False, and the turn has ended, when they are refused."""
        key = activation.key
        assert key is not None
        if activation.state is StateKind.OPAQUE:
            return self._replace(activation, turn, operations, wall_ms)
        if isinstance(operations, TurnEffects):
            if operations.state is not None:
                address = activation.definition.address
                words = f"actor {address} has a {key.type_name} for its state; change it by mutations"
                self.refuse(activation, turn, ErrorCode.INVALID_OPERATION, words)
                return False
            operations = operations.operations
        try:
            if isinstance(operations, InvalidOperation):
                raise operations
            result = self._replica.update(
                key,
                operations,
                ticket=None,
                wall_ms=wall_ms,
                view=activation.view,
                operation_id=turn.operation_id,
            )
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self.refuse(activation, turn, code, words)
            return False
        if result.event is not None:
            turn.has_written = True
            turn.run = result.event
            activation.account_own(result.entry.version)
        return True

    def _replace(self, activation: Activation, turn: Turn, did: Operations, wall_ms: int) -> bool:
        """Puts the opaque state that a turn left into view and entry, and puts aside what it supersedes unseen."""
        key, view, definition = activation.key, activation.view, activation.definition
        assert key is not None
        assert view is not None
        effects = did if isinstance(did, TurnEffects) else None
        if did and (effects is None or effects.operations):
            words = f"actor {definition.address} has an opaque state; answer with the state that it leaves"
            self.refuse(activation, turn, ErrorCode.INVALID_OPERATION, words)
            return False
        before = opaque_state(definition, view)
        after = before if effects is None or effects.state is None else before.followed_by(effects.state)
        losers = opaque.losers(view.store)
        # A turn that was shown what lost has decided, even if it leaves things as they are.
        is_noted = bool(turn.operation_id)
        if after == before and not is_noted and not (losers and turn.call[2] == RESOLVE_ACTION and turn.is_internal):
            return True
        try:
            if losers:
                aside = key._replace(type_name=opaque.LOSERS_TYPE)
                put = [opaque.set_aside(*loser) for loser in losers]
                self._replica.update(aside, put, ticket=None, wall_ms=wall_ms)
                self.conflicts.append((definition.address, len(losers)))
            if definition.revisions_max:
                self._revise(activation, view.value() is not None, before, wall_ms)
            put = [Operation("set", (opaque.to_plain(after),))]
            result = self._replica.update(
                key, put, ticket=None, wall_ms=wall_ms, view=view, operation_id=turn.operation_id
            )
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self.refuse(activation, turn, code, words)
            return False
        turn.has_written = True
        turn.run = result.event
        activation.account_own(result.entry.version)
        return True

    def _revise(self, activation: Activation, is_written: bool, before: OpaqueState, wall_ms: int) -> None:
        """Keeps the state that a turn replaces, if it is time for a revision and a turn had left it."""
        interval_ms, due_ms = activation.definition.revision_interval_ms, activation.revised_ms
        # A clock that was set back must not put it off for as long as that.
        if due_ms - interval_ms <= wall_ms < due_ms:
            return
        activation.revised_ms = wall_ms + interval_ms
        if is_written:
            assert activation.key is not None
            aside = activation.key._replace(type_name=opaque.LOSERS_TYPE)
            entry = self._replica.read(aside)
            kept = None if entry is None else entry.value()
            put = revisions.keep(kept, before, activation.definition.revisions_max)
            self._replica.update(aside, put, ticket=None, wall_ms=wall_ms)

    def remember(self, activation: Activation, turn: Turn, did: Operations) -> bool:
        """Puts what a turn left into the activation's memory; False, and the turn has ended, when it is refused."""
        if not isinstance(did, TurnEffects) or did.operations:
            message = f"actor {activation.definition.address} has no state to change"
            self._replies.fail(turn, ErrorCode.INVALID_OPERATION, Outcome.NOT_APPLIED, message)
            return False
        if did.state is not None:
            activation.memory = activation.memory.followed_by(did.state)
        return True

    def refuse(self, activation: Activation, turn: Turn, code: ErrorCode, words: str) -> None:
        """Rule 3: ends a turn, and voids those behind it."""
        replies = self._replies
        replies.fail(turn, code, Outcome.NOT_APPLIED, words)
        activation.forget_copy()
        for later in activation.in_flight:
            if later.phase is TurnPhase.DISPATCHED and not later.is_void:
                later.is_void = True
                words = "a turn before it was refused, so its own was undone; call again"
                replies.tell_failure(later, code, Outcome.NOT_APPLIED, words)


def refusal(error: CrdtError | ReplicationError) -> tuple[ErrorCode, str]:
    """The code and the words for an update that the replica refused."""
    if isinstance(error, StorageFailed | IdentityLost):
        return ErrorCode.STORAGE_FAILED, str(error)
    return ErrorCode.INVALID_OPERATION, str(error)
