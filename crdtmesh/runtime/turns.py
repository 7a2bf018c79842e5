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

Driven by `runtime.Runtime`; leaves out where a call goes and when it is too late.
"""

import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from crdtmesh.crdts.errors import CrdtError, InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.errors import IdentityLost, ReplicationError, StorageFailed
from crdtmesh.replication.levels import MAJORITY
from crdtmesh.replication.outputs import EntryKey, ReadAt
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime import opaque
from crdtmesh.runtime.activation import STALE, Activation, Phase
from crdtmesh.runtime.copies import bring_up_to_date, opaque_state
from crdtmesh.runtime.definition import RESOLVE_ACTION, ActorAddress, ActorDefinition, StateKind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.hosts import Host
from crdtmesh.runtime.messages import (
    NO_PAYLOAD,
    NOOP_URL,
    STATE_CHANGED,
    STATE_UNCHANGED,
    STATE_VALUE,
    CallExtra,
    HostId,
    Operations,
    StateUpdate,
    TurnColumns,
    TurnEffects,
)
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.turn import Turn, TurnKind, TurnPhase

__all__ = ["StateEncoder", "Turns"]

StateEncoder = Callable[[str, PlainValue], bytes]
"""`(type name, plain value) -> bytes` of a `crdtmesh.v1.Value`."""

MS_NS: Final = 1_000_000

# Five seconds: a majority that is there answers within a round trip, and calls that wait have a minute.
LOAD_TIMEOUT_NS: Final = 5_000_000_000

# A handler's words are for the caller; an SDK that sends a stack trace is cut here.
HANDLER_MESSAGE_CHARS_MAX: Final = 2_000

# What a read action answers when there is no state.
NOTHING_SHOWN: Final = (NO_PAYLOAD, b"")

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
        loads: activations that wait for their state, by the ticket of the read.
        drained: activations that were to end their turns in flight, and have; the runtime takes them.
        answers_unasked: answers to turns that their host did not have; a broken host, or one that answers twice.
        conflicts: (actor, values) of opaque states that were written at two places and put aside; the runtime takes
            them.
        wall_ms: wall-clock time of the latest input, for the hybrid clock.
    """

    __slots__ = (
        "_dirty",
        "_encode_state",
        "_host_turns_max",
        "_live",
        "_replica",
        "_replies",
        "_timeout_ns",
        "answers_unasked",
        "conflicts",
        "drained",
        "loads",
        "numbers",
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
        self._encode_state = encode_state
        self._dirty: list[Host] = []
        self.loads: dict[Hashable, Activation] = {}
        self.drained: list[Activation] = []
        self.answers_unasked = 0
        self.conflicts: list[tuple[ActorAddress, int]] = []
        self.wall_ms = 0

    # --- loading

    def load(self, activation: Activation, *, now_ns: int) -> bool:
        """Begins to ask a majority for an opaque state; False when it may be taken as it is here."""
        level, definition = activation.write_level, activation.definition
        if activation.key is None or definition.state is not StateKind.OPAQUE or definition.is_available:
            return False
        if level is None or level.is_local:
            return False
        ticket = ("load", next(self.numbers))
        self.loads[ticket] = activation
        self._replica.read_at(activation.key, level=MAJORITY, ticket=ticket, timeout_ns=LOAD_TIMEOUT_NS, now_ns=now_ns)
        return True

    # --- to the host

    def offer(self, activation: Activation, turn: Turn, *, now_ns: int) -> None:
        """Hands out a turn if nothing is before it and the rules allow it; else it waits in the mailbox."""
        turn.activation = activation
        mailbox = activation.mailbox
        if mailbox or turn.kind is not TurnKind.HANDLER or activation.resolves or not self._has_room(activation):
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
                if not self._has_room(activation):
                    break
                if activation.key is None or self._prepare(activation, turn):
                    self._dispatch(activation, turn, now_ns)
            elif turn.kind is TurnKind.UPDATE:
                if in_flight:
                    break
                assert turn.key is not None
                self.update(turn, turn.key, activation, now_ns=now_ns)
            elif in_flight:
                turn.phase = TurnPhase.RIDING
                in_flight.append(turn)
            else:
                self._read_of(activation, turn, now_ns)
            mailbox.popleft()

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
                if not operations or self._remember(activation, turn, operations):
                    replies.reply(turn, type_url, payload)
            elif not operations or self._apply(activation, turn, operations):
                self._hold(activation, turn, type_url, payload, now_ns)
            self._go_on(activation, now_ns)

    def _hold(self, activation: Activation, turn: Turn, type_url: str, payload: bytes, now_ns: int) -> None:
        """Holds a reply behind the level of what the turn wrote, or of an opaque state that it saw."""
        level = turn.write_level or activation.write_level
        if level is not None and not level.is_local:
            if activation.state is StateKind.OPAQUE:
                if turn.run is None:
                    turn.run = activation.unconfirmed
                activation.unconfirmed = turn.run
            if turn.run is not None:
                assert activation.key is not None
                self._replies.hold_until_level(turn, activation.key, level, type_url, payload, now_ns=now_ns)
                return
        self._replies.hold(turn, type_url, payload)

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
                self._refuse(activation, turn, ErrorCode.INVALID_OPERATION, words)
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

    def _apply(self, activation: Activation, turn: Turn, operations: Operations) -> bool:
        """Puts a turn's operations into view and entry; False, and the turn has ended, when they are refused."""
        key = activation.key
        assert key is not None
        if activation.state is StateKind.OPAQUE:
            return self._replace(activation, turn, operations)
        if isinstance(operations, TurnEffects):
            if operations.state is not None:
                address = activation.definition.address
                words = f"actor {address} has a {key.type_name} for its state; change it by mutations"
                self._refuse(activation, turn, ErrorCode.INVALID_OPERATION, words)
                return False
            operations = operations.operations
        try:
            if isinstance(operations, InvalidOperation):
                raise operations
            result = self._replica.update(key, operations, ticket=None, wall_ms=self.wall_ms, view=activation.view)
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self._refuse(activation, turn, code, words)
            return False
        if result.event is not None:
            turn.has_written = True
            turn.run = result.event
            activation.account_own(result.entry.version)
        return True

    def _replace(self, activation: Activation, turn: Turn, did: Operations) -> bool:
        """Puts the opaque state that a turn left into view and entry, and puts aside what it supersedes unseen."""
        key, view, definition = activation.key, activation.view, activation.definition
        assert key is not None
        assert view is not None
        if not isinstance(did, TurnEffects) or did.operations:
            words = f"actor {definition.address} has an opaque state; answer with the state that it leaves"
            self._refuse(activation, turn, ErrorCode.INVALID_OPERATION, words)
            return False
        before = opaque_state(definition, view)
        after = before if did.state is None else before.followed_by(did.state)
        losers = opaque.losers(view.store)
        # A turn that was shown what lost has decided, even if it leaves things as they are.
        if after == before and not (losers and turn.call[2] == RESOLVE_ACTION and turn.is_internal):
            return True
        try:
            if losers:
                aside = key._replace(type_name=opaque.LOSERS_TYPE)
                put = [opaque.set_aside(*loser) for loser in losers]
                self._replica.update(aside, put, ticket=None, wall_ms=self.wall_ms)
                self.conflicts.append((definition.address, len(losers)))
            put = [Operation("set", (opaque.to_plain(after),))]
            result = self._replica.update(key, put, ticket=None, wall_ms=self.wall_ms, view=view)
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self._refuse(activation, turn, code, words)
            return False
        turn.has_written = True
        turn.run = result.event
        activation.account_own(result.entry.version)
        return True

    def _remember(self, activation: Activation, turn: Turn, did: Operations) -> bool:
        """Puts what a turn left into the activation's memory; False, and the turn has ended, when it is refused."""
        if not isinstance(did, TurnEffects) or did.operations:
            message = f"actor {activation.definition.address} has no state to change"
            self._replies.fail(turn, ErrorCode.INVALID_OPERATION, Outcome.NOT_APPLIED, message)
            return False
        if did.state is not None:
            activation.memory = activation.memory.followed_by(did.state)
        return True

    def _refuse(self, activation: Activation, turn: Turn, code: ErrorCode, words: str) -> None:
        """Rule 3: ends a turn, and voids those behind it."""
        replies = self._replies
        replies.fail(turn, code, Outcome.NOT_APPLIED, words)
        activation.forget_copy()
        for later in activation.in_flight:
            if later.phase is TurnPhase.DISPATCHED and not later.is_void:
                later.is_void = True
                words = "a turn before it was refused, so its own was undone; call again"
                replies.tell_failure(later, code, Outcome.NOT_APPLIED, words)

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
            self._read_of(activation, turn, now_ns)

    def _read_of(self, activation: Activation, turn: Turn, now_ns: int) -> None:
        definition, key = activation.definition, activation.key
        if definition.state is StateKind.MERGED:
            assert key is not None
            self.read(turn, key, now_ns=now_ns)
        elif key is None:
            self._replies.reply(turn, activation.memory.type_url, activation.memory.data)
        else:
            entry = self._replica.read(key)
            state = definition.initial if entry is None else opaque_state(definition, entry)
            self._hold(activation, turn, state.type_url, state.data, now_ns)

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

    def read(self, turn: Turn, key: EntryKey, *, now_ns: int) -> None:
        """Answers a read action with a replicated state: as it is here now, or as the level has it that it asks for."""
        level = turn.read_level
        if level is None or level.is_local:
            entry = self._replica.read(key)
            self._replies.hold(turn, *(NOTHING_SHOWN if entry is None else self._shown(key, entry.value())))
        else:
            turn.phase = TurnPhase.HELD
            turn.key = key
            ticket = self._replies.ticket(turn)
            timeout_ns = max(0, turn.deadline_ns - now_ns)
            self._replica.read_at(key, level=level, ticket=ticket, timeout_ns=timeout_ns, now_ns=now_ns)

    def read_done(self, read: ReadAt) -> None:
        """A read at a level has its answer."""
        for turn in self._replies.take_held(read.ticket):
            assert turn.key is not None
            self._replies.reply(turn, *(self._shown(turn.key, read.value) if read.found else NOTHING_SHOWN))

    def _shown(self, key: EntryKey, value: PlainValue) -> tuple[str, bytes]:
        return STATE_VALUE, self._encode_state(key.type_name, value)

    def update(self, turn: Turn, key: EntryKey, activation: Activation | None, *, now_ns: int) -> None:
        """Applies operations from outside a turn; the actor of this entry, if it is in memory, has none in flight."""
        try:
            result = self._replica.update(key, turn.operations, ticket=None, wall_ms=self.wall_ms)
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self._replies.fail(turn, code, Outcome.NOT_APPLIED, words)
            return
        type_url = STATE_UNCHANGED
        if result.event is not None:
            type_url = STATE_CHANGED
            turn.has_written = True
            turn.run = result.event
            if activation is not None:
                activation.account(result.touched, result.entry.version)
        payload = self._encode_state(key.type_name, result.entry.value())
        level = turn.write_level or (activation.write_level if activation is not None else None)
        if level is None or level.is_local:
            self._replies.hold(turn, type_url, payload)
        else:
            self._replies.hold_until_level(turn, key, level, type_url, payload, now_ns=now_ns)


def refusal(error: CrdtError | ReplicationError) -> tuple[ErrorCode, str]:
    """The code and the words for an update that the replica refused."""
    if isinstance(error, StorageFailed | IdentityLost):
        return ErrorCode.STORAGE_FAILED, str(error)
    return ErrorCode.INVALID_OPERATION, str(error)
