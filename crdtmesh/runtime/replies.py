"""Who waits for what, and the replies on their way out.

A reply that could show uncommitted state is *held*: `seal` closes the held ones of a loop turn under one ticket, and
the replica's `Committed` lets them go. That covers reads and failures of actors with a state; an actor without state
has seen nothing that its own callers did not already get behind a commit, so its replies leave at once.
"""

from collections.abc import Hashable, Iterable

from crdtmesh.replication.levels import Level
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.activation import Activation
from crdtmesh.runtime.definition import StateKind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import CallerId, CallFailure, ReplyColumns
from crdtmesh.runtime.turn import Caller, Turn, TurnKind, TurnPhase

__all__ = ["Replies"]


class Replies:
    """Callers and the replies to them.

    Args of the constructor:
        replica: for the barrier.
        live: all turns that have not ended, by number; ended ones are taken out here.

    Attributes:
        flowing: turns whose reply may leave and that ask for more; `flows` takes them.
    """

    __slots__ = ("_callers", "_dirty", "_held", "_live", "_open", "_replica", "_ticket", "flowing")

    def __init__(self, replica: Replica, live: dict[int, Turn]) -> None:
        self._replica = replica
        self._live = live
        self._callers: dict[CallerId, Caller] = {}
        self._dirty: list[Caller] = []
        self._open: list[Turn] = []
        self._held: dict[Hashable, list[Turn]] = {}
        self._ticket = 0
        self.flowing: list[Turn] = []

    # --- callers

    def caller(self, caller_id: CallerId) -> Caller:
        """The record of a caller; made at its first call."""
        caller = self._callers.get(caller_id)
        if caller is None:
            caller = self._callers[caller_id] = Caller(caller_id, None)
        return caller

    def known(self, caller_id: CallerId) -> Caller | None:
        """The record of a caller that has called before."""
        return self._callers.get(caller_id)

    def forget(self, caller_id: CallerId) -> None:
        """The caller is gone, and waits for nothing any more."""
        caller = self._callers.pop(caller_id, None)
        if caller is not None and caller.out is not None:
            caller.out = None
            self._dirty.remove(caller)

    @property
    def are_awaited(self) -> bool:
        """Whether any call has no reply yet, or a reply that was not taken."""
        return bool(self._dirty) or any(turn.caller is not None for turn in self._live.values())

    # --- replies at once

    def columns(self, caller: Caller) -> ReplyColumns:
        """Where replies to this caller are collected."""
        out = caller.out
        if out is None:
            out = caller.out = ReplyColumns()
            self._dirty.append(caller)
        return out

    def reply(self, turn: Turn, type_url: str, payload: bytes) -> None:
        """Ends a turn well; its caller, if there is one, is told now, or by what the turn asks to be done next."""
        if turn.workflow is not None:
            turn.phase, turn.type_url, turn.payload = TurnPhase.HELD, type_url, payload
            self.flowing.append(turn)
            return
        self._live.pop(turn.number, None)
        turn.phase = TurnPhase.DONE
        caller = turn.caller
        if caller is not None:
            turn.caller = None
            del caller.calls[turn.id]
            out = caller.out
            if out is None:
                out = self.columns(caller)
            out.ids.append(turn.id)
            out.type_urls.append(type_url)
            out.payloads.append(payload)

    def fail(self, turn: Turn, code: ErrorCode, outcome: Outcome, message: str) -> None:
        """Ends a turn badly; its caller, if there is one, is told now."""
        self._live.pop(turn.number, None)
        turn.phase = TurnPhase.DONE
        self.tell_failure(turn, code, outcome, message)

    def tell_failure(self, turn: Turn, code: ErrorCode, outcome: Outcome, message: str) -> None:
        """Tells the caller, if there is one; the turn itself may go on."""
        caller = turn.caller
        if caller is not None:
            turn.caller = None
            del caller.calls[turn.id]
            self.columns(caller).failures.append(CallFailure(turn.id, code, outcome, message))

    def refuse(self, caller: Caller, call_id: int, code: ErrorCode, message: str) -> None:
        """Fails a call that never became a turn; nothing was applied."""
        self.columns(caller).failures.append(CallFailure(call_id, code, Outcome.NOT_APPLIED, message))

    # --- replies behind the commit

    def hold(self, turn: Turn, type_url: str, payload: bytes) -> None:
        """Ends a turn well; its caller is told behind the commit of all that it could have seen."""
        turn.phase = TurnPhase.HELD
        turn.type_url = type_url
        turn.payload = payload
        self._open.append(turn)

    def hold_failure(self, turn: Turn, code: ErrorCode, message: str) -> None:
        """Ends a turn that left nothing; the words may show state, so they wait too."""
        turn.phase = TurnPhase.HELD
        turn.failure = CallFailure(turn.id, code, Outcome.NOT_APPLIED, message)
        self._open.append(turn)

    def hold_until_level(
        self, turn: Turn, key: EntryKey, level: Level, type_url: str, payload: bytes, *, now_ns: int
    ) -> None:
        """Ends a turn that wrote; its caller is told when a level has what it wrote."""
        turn.phase = TurnPhase.HELD
        turn.type_url = type_url
        turn.payload = payload
        timeout_ns = max(0, turn.deadline_ns - now_ns)
        self._replica.acknowledge(
            self.ticket(turn),
            key,
            turn.run,
            level=level,
            timeout_ns=timeout_ns,
            now_ns=now_ns,
            others=[other for other, _ in turn.others],
        )

    def hold_seen(self, activation: Activation, turn: Turn, type_url: str, payload: bytes, *, now_ns: int) -> None:
        """Holds a reply behind the level of what the turn wrote, or of an opaque state that it saw."""
        level = turn.write_level or activation.write_level
        if level is not None and not level.is_local:
            if activation.state is StateKind.OPAQUE:
                if turn.run is None:
                    turn.run = activation.unconfirmed
                activation.unconfirmed = turn.run
            if turn.run is not None:
                assert activation.key is not None
                self.hold_until_level(turn, activation.key, level, type_url, payload, now_ns=now_ns)
                return
        self.hold(turn, type_url, payload)

    def ticket(self, turn: Turn) -> Hashable:
        """A ticket of the replica for one turn alone."""
        self._ticket += 1
        ticket = ("runtime", self._ticket)
        self._held[ticket] = [turn]
        return ticket

    def level_timeout(self, ticket: Hashable, acks: int, needed: int) -> None:
        """The level of a ticket was not reached in time; tickets of others are ignored."""
        for turn in self._held.pop(ticket, ()):
            if turn.kind is TurnKind.READ:
                message = f"{needed} voters expected, {acks} answered in time; read at a lower level, or later"
                self.fail(turn, ErrorCode.TIMEOUT, Outcome.NOT_APPLIED, message)
            else:
                message = f"{acks} of {needed} voters have the update so far; it stays, and spreads when they are there"
                self.fail(turn, ErrorCode.TIMEOUT, Outcome.UNKNOWN, message)

    @property
    def are_open(self) -> bool:
        """Whether `seal` has something to do."""
        return bool(self._open)

    def seal(self) -> None:
        """Puts what is open behind one ticket of the replica. Complexity: O(1)."""
        if self._open:
            self._ticket += 1
            ticket = ("runtime", self._ticket)
            self._held[ticket] = self._open
            self._open = []
            self._replica.barrier(ticket)

    def take_held(self, ticket: Hashable) -> list[Turn]:
        """The turns behind a ticket, which are the taker's to end."""
        return self._held.pop(ticket, [])

    def committed(self, ticket: Hashable) -> None:
        """Lets the replies behind a ticket go; tickets of others are ignored."""
        for turn in self._held.pop(ticket, ()):
            activation = turn.activation
            if turn.run is not None and activation is not None and activation.unconfirmed == turn.run:
                activation.unconfirmed = None
            failure = turn.failure
            if failure is None:
                self.reply(turn, turn.type_url, turn.payload)
            else:
                self.fail(turn, failure.code, failure.outcome, failure.message)

    def commit_failed(self, ticket: Hashable, reason: str) -> None:
        """What a ticket waited for will never be on disk; tickets of others are ignored."""
        message = f"the node's disk failed: {reason:.200}"
        for turn in self._held.pop(ticket, ()):
            outcome = Outcome.UNKNOWN if turn.has_written else Outcome.NOT_APPLIED
            if turn.kind is TurnKind.HANDLER and turn.failure is None:
                # The handler ran; what it did outside its state is not ours to deny.
                outcome = Outcome.UNKNOWN
            self.fail(turn, ErrorCode.STORAGE_FAILED, outcome, message)

    # --- out

    def take(self) -> Iterable[tuple[Caller, ReplyColumns]]:
        """Replies by caller, emptied."""
        dirty = self._dirty
        if not dirty:
            return ()
        self._dirty = []
        taken = []
        for caller in dirty:
            out = caller.out
            if out is not None:
                caller.out = None
                taken.append((caller, out))
        return taken
