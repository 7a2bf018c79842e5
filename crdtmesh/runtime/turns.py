"""Turns: what is handed to hosts, and what their answers do. The rules of one activation.

1. While no turn is in flight there is no view. The first turn opens it, and if the host's copy is not equal to it a
   `StateUpdate` goes before the turn.
2. Up to `window_max` turns may be in flight, as long as nobody else changed the entry. Once somebody did, the view is
   *detached*: turns in flight finish on it, then it is closed, and the next turn sees the news. So a stream of calls
   can't keep remote changes from the host for longer than a window.
3. An answer's operations are computed against the view. The host has already applied them to its copy. If they are
   refused, the copy is wrong from there on: the turns behind it in flight are void, their callers are told
   `not_applied`, and when all were answered the host gets the whole state.
4. A handler that failed leaves nothing, in its host's copy neither.
5. Replies of an actor with a state wait for the commit (`replies`).
6. A host that keeps no state has one turn of an actor at a time, and the whole state goes before each: a replicated one
   as in rule 1, an opaque one from the activation's memory, which its answer replaces.
7. A turn with an operation id is handed out while nothing is in flight, so that what was done under it is applied by
   then, and its own effect is noted in the same event. What was done before is not handed out again.

Driven by `runtime.Runtime`; leaves out where a call goes and when it is too late.
"""

import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from crdtmesh.crdts.errors import CrdtError
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime import opaque
from crdtmesh.runtime.activation import STALE, Activation, Happening, Phase
from crdtmesh.runtime.copies import bring_up_to_date
from crdtmesh.runtime.definition import RESOLVE_ACTION, ActorDefinition
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.hosts import Host
from crdtmesh.runtime.messages import (
    NOOP_URL,
    STATE_CHANGED,
    CallExtra,
    HostId,
    Operations,
    StateUpdate,
    TurnColumns,
    TurnEffects,
)
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.own_work import OwnWork, StateEncoder
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.results import Results, refusal
from crdtmesh.runtime.turn import Turn, TurnKind, TurnPhase

__all__ = ["Turns"]

MS_NS: Final = 1_000_000

# A handler's words are for the caller; an SDK that sends a stack trace is cut here.
HANDLER_MESSAGE_CHARS_MAX: Final = 2_000

# What a failed turn says about its host, and so about its effect.
_HOST_PROBLEMS: Final[Mapping[int, Outcome]] = MappingProxyType(
    {
        ErrorCode.NO_HOST: Outcome.NOT_APPLIED,
        ErrorCode.HOST_LOST: Outcome.UNKNOWN,
        ErrorCode.TIMEOUT: Outcome.UNKNOWN,
    }
)


class Turns:
    """Hands turns to hosts and applies their answers.

    Attributes:
        numbers: of turns, of this node's own choice.
        drained: activations that were to end their turns in flight, and have; the runtime takes them.
        answers_unasked: answers to turns that their host did not have; a broken host, or one that answers twice.
        results: applies what hosts answer.
        own_work: what the node does with states itself.
        wall_ms: wall-clock time of the latest input, for the hybrid clock.
    """

    __slots__ = (
        "_dirty",
        "_host_turns_max",
        "_live",
        "_replica",
        "_replies",
        "_timeout_ns",
        "answers_unasked",
        "drained",
        "numbers",
        "own_work",
        "results",
        "wall_ms",
    )

    def __init__(
        self,
        options: RuntimeOptions,
        *,
        replica: Replica,
        replies: Replies,
        live: dict[int, Turn],
        encode_state: StateEncoder,
    ) -> None:
        self._host_turns_max = options.host_turns_max
        self._timeout_ns = options.timeout_default_ms * MS_NS
        self.numbers = itertools.count(1)
        self._replica = replica
        self._replies = replies
        self._live = live
        self.results = Results(replica, replies)
        self.own_work = OwnWork(replica, replies, encode_state)
        self._dirty: list[Host] = []
        self.drained: list[Activation] = []
        self.answers_unasked = 0
        self.wall_ms = 0

    # --- to the host

    def offer(self, activation: Activation, turn: Turn, *, now_ns: int) -> None:
        """Hands out a turn if nothing is before it and the rules allow it; else it waits in the mailbox."""
        turn.activation = activation
        mailbox = activation.mailbox
        is_plain = turn.kind is TurnKind.HANDLER and not turn.operation_id
        if mailbox or not is_plain or activation.resolves or not self._has_room(activation):
            mailbox.append(turn)
            self.pump(activation, now_ns=now_ns)
        elif activation.key is None or self._prepare(activation, turn):
            self._dispatch(activation, turn, now_ns)

    def pump(self, activation: Activation, *, now_ns: int) -> None:
        """Hands out as many turns of the mailbox as the rules allow now."""
        mailbox, in_flight = activation.mailbox, activation.in_flight
        if activation.resolves and mailbox and not in_flight:
            self._show_losers(activation, now_ns)
        while mailbox and activation.phase is Phase.ACTIVE:
            turn = mailbox[0]
            if turn.deadline_ns <= now_ns:
                message = "the deadline passed before the call reached a host"
                self._replies.fail(turn, ErrorCode.TIMEOUT, Outcome.NOT_APPLIED, message)
            elif turn.kind is TurnKind.HANDLER:
                if not self._hand_out(activation, turn, now_ns):
                    break
            elif turn.kind is TurnKind.UPDATE:
                if in_flight:
                    break
                assert turn.key is not None
                self.own_work.update(turn, turn.key, activation, now_ns=now_ns, wall_ms=self.wall_ms)
            elif turn.kind is TurnKind.STOP or turn.kind is TurnKind.RESTORE:
                if in_flight:
                    break
                self._stop(activation, turn, now_ns)
            elif in_flight:
                turn.phase = TurnPhase.RIDING
                in_flight.append(turn)
            else:
                self.own_work.read_of(activation, turn, now_ns=now_ns)
            mailbox.popleft()

    def _hand_out(self, activation: Activation, turn: Turn, now_ns: int) -> bool:
        """Hands a handler's turn out, or ends it, if the rules allow it now; False when it is to wait."""
        if not self._has_room(activation):
            return False
        if turn.operation_id:
            if activation.in_flight:
                return False
            if self.own_work.has_done(activation, turn, now_ns=now_ns, wall_ms=self.wall_ms):
                return True
        if activation.key is None or self._prepare(activation, turn):
            self._dispatch(activation, turn, now_ns)
        return True

    def _stop(self, activation: Activation, turn: Turn, now_ns: int) -> None:
        """Ends an activation without turns in flight: with its state as it is, or as one of its revisions was."""
        if turn.kind is TurnKind.STOP:
            self._replies.reply(turn, STATE_CHANGED, b"")
        elif not self.own_work.restore(turn, activation, now_ns=now_ns, wall_ms=self.wall_ms):
            return
        activation.happen(Happening.REDEFINED)
        self.drained.append(activation)

    def _show_losers(self, activation: Activation, now_ns: int) -> None:
        """Puts a turn of the action `resolve` before the mailbox for each value that lost and was not shown yet."""
        assert activation.key is not None
        entry = self._replica.read(activation.key)
        if entry is None or entry.version == activation.resolved_version:
            return
        activation.resolved_version = entry.version
        view = self._replica.snapshot(activation.key)
        lost = opaque.losers(view.store)
        view.close()
        for _, loser in lost:
            turn = self.internal(activation.definition, RESOLVE_ACTION, loser, now_ns=now_ns)
            turn.activation = activation
            activation.mailbox.appendleft(turn)

    def internal(self, definition: ActorDefinition, action: str, payload: OpaqueState, *, now_ns: int) -> Turn:
        """A call by the node itself, on behalf of the actor; nobody waits for it."""
        number = next(self.numbers)
        extra = CallExtra({}, definition.address)
        call = (number, definition.address, action, payload.type_url or NOOP_URL, payload.data, 0, extra)
        turn = Turn(number, None, call, now_ns + self._timeout_ns)
        turn.is_internal = True
        self._live[number] = turn
        return turn

    def _has_room(self, activation: Activation) -> bool:
        """Whether one more turn may be in flight (rules 2 and 3)."""
        if activation.phase is not Phase.ACTIVE or len(activation.in_flight) >= activation.host.window_max:
            return False
        host = activation.host
        if host.turn_count >= self._host_turns_max:
            if not activation.is_blocked:
                activation.is_blocked = True
                host.blocked.append(activation)
            return False
        view = activation.view
        return view is None or (not view.is_detached and activation.copy_version != STALE)

    def _prepare(self, activation: Activation, turn: Turn) -> bool:
        """Sees to an open view that equals the host's copy; False, and the turn has ended, when that can't be."""
        if activation.view is not None:
            return True
        assert activation.key is not None
        try:
            view = activation.view = self._replica.snapshot(activation.key)
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self._replies.fail(turn, code, Outcome.NOT_APPLIED, words)
            return False
        if activation.copy_version != view.version:
            update = bring_up_to_date(activation, view)
            if update is not None:
                self.columns(activation.host).states.append(update)
        return True

    def _dispatch(self, activation: Activation, turn: Turn, now_ns: int) -> None:
        host = activation.host
        turn.phase = TurnPhase.DISPATCHED
        activation.in_flight.append(turn)
        host.turn_count += 1
        out = host.out
        if out is None:
            out = self.columns(host)
        _, address, action, type_url, payload, _, extra = turn.call
        out.turns.append(turn.number)
        out.actors.append(address)
        out.actions.append(action)
        out.type_urls.append(type_url)
        out.payloads.append(payload)
        out.timeouts_ms.append((turn.deadline_ns - now_ns) // MS_NS or 1)
        if extra is not None:
            out.extras.append((turn.number, extra))
        if activation.key is None and not host.keeps_state:
            out.states.append(StateUpdate(address, "", True, None, opaque=activation.memory))

    def columns(self, host: Host) -> TurnColumns:
        """Where what goes to this host is collected."""
        out = host.out
        if out is None:
            out = host.out = TurnColumns()
            self._dirty.append(host)
        return out

    def take(self) -> list[tuple[HostId, TurnColumns]]:
        """What is to be sent, by host, emptied."""
        dirty = self._dirty
        if not dirty:
            return []
        self._dirty = []
        taken = []
        for host in dirty:
            out = host.out
            if out is not None:
                host.out = None
                taken.append((host.id, out))
        return taken

    def drop(self, host: Host) -> None:
        """The host is gone, and so is what was for it."""
        if host.out is not None:
            host.out = None
            self._dirty.remove(host)

    # --- from the host

    def answered(self, host: Host, answers: Iterable[tuple[int, str, bytes, Operations]], *, now_ns: int) -> None:
        """Takes answers, in the host's order."""
        live, replies = self._live, self._replies
        for number, type_url, payload, operations in answers:
            turn = live.get(number)
            if turn is None or turn.phase is not TurnPhase.DISPATCHED:
                self.answers_unasked += 1
                continue
            activation = turn.activation
            if activation is None or activation.host is not host:
                self.answers_unasked += 1
                continue
            self._leave(activation, turn)
            if turn.is_void:
                self._end(turn)
                self._go_on(activation, now_ns)
                continue
            if isinstance(operations, TurnEffects) and not turn.is_internal:
                turn.workflow = operations.workflow
            if activation.key is None:
                if not operations or self.results.remember(activation, turn, operations):
                    replies.reply(turn, type_url, payload)
            elif not (operations or turn.operation_id) or self.results.apply(
                activation, turn, operations, wall_ms=self.wall_ms
            ):
                replies.hold_seen(activation, turn, type_url, payload, now_ns=now_ns)
            self._go_on(activation, now_ns)

    def failed(self, host: Host, failures: Iterable[tuple[int, str, int]], *, now_ns: int) -> None:
        """Takes turns that left nothing."""
        for number, message, code in failures:
            turn = self._live.get(number)
            activation = None if turn is None else turn.activation
            if (
                turn is None
                or activation is None
                or turn.phase is not TurnPhase.DISPATCHED
                or activation.host is not host
            ):
                self.answers_unasked += 1
                continue
            self._leave(activation, turn)
            words = message[:HANDLER_MESSAGE_CHARS_MAX]
            if turn.is_void:
                self._end(turn)
            elif code in _HOST_PROBLEMS:
                self._replies.fail(turn, ErrorCode(code), _HOST_PROBLEMS[code], words)
            elif code == ErrorCode.INVALID_OPERATION and activation.key is not None:
                self.results.refuse(activation, turn, ErrorCode.INVALID_OPERATION, words)
            elif code == ErrorCode.UNKNOWN_ACTION:
                self._replies.fail(turn, ErrorCode.UNKNOWN_ACTION, Outcome.NOT_APPLIED, words)
            elif activation.key is None:
                self._replies.fail(turn, ErrorCode.HANDLER_ERROR, Outcome.NOT_APPLIED, words)
            else:
                self._replies.hold_failure(turn, ErrorCode.HANDLER_ERROR, words)
            self._go_on(activation, now_ns)

    def _leave(self, activation: Activation, turn: Turn) -> None:
        """The host has answered: the turn is in flight no more."""
        in_flight = activation.in_flight
        if in_flight[0] is turn:
            in_flight.popleft()
        else:
            in_flight.remove(turn)
        activation.host.turn_count -= 1

    def _end(self, turn: Turn) -> None:
        """Ends a turn that nobody waits for."""
        assert turn.caller is None
        turn.phase = TurnPhase.DONE
        del self._live[turn.number]

    def _go_on(self, activation: Activation, now_ns: int) -> None:
        """After an answer: reads that rode behind it, then the next turns."""
        activation.used_ns = now_ns
        in_flight = activation.in_flight
        while in_flight and in_flight[0].phase is TurnPhase.RIDING:
            self._answer_rider(activation, in_flight.popleft(), now_ns)
        if not in_flight:
            if activation.view is not None:
                self.close_view(activation)
            if activation.phase is Phase.DRAINING:
                self.drained.append(activation)
        if activation.mailbox:
            self.pump(activation, now_ns=now_ns)

    def unblock(self, host: Host, *, now_ns: int) -> None:
        """Lets activations go on that waited for the host to have room."""
        blocked = host.blocked
        for _ in range(len(blocked)):
            if host.turn_count >= self._host_turns_max:
                break
            activation = blocked.popleft()
            activation.is_blocked = False
            if activation.host is host and activation.phase is Phase.ACTIVE:
                self.pump(activation, now_ns=now_ns)

    # --- by the node itself

    def _answer_rider(self, activation: Activation, turn: Turn, now_ns: int) -> None:
        if turn.caller is None:
            self._end(turn)
        else:
            self.own_work.read_of(activation, turn, now_ns=now_ns)

    def close_view(self, activation: Activation) -> None:
        """Ends the view, if one is open; the host's copy stays as it was in it."""
        view = activation.view
        if view is not None:
            activation.view = None
            if activation.copy_version != STALE:
                activation.copy_version = STALE if view.is_detached else view.version
            view.close()
            if not activation.host.keeps_state:
                activation.forget_copy()
