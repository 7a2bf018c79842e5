"""From a call to its place: which host, which peer, or which error.

A call is admitted once (its number, its deadline, the bounds) and then placed; it is placed again when its place goes
away before it was handed out: a host lost, a link down, a definition changed. What was handed out is never placed
again, except when a peer says that it has no host and did nothing.
"""

from collections.abc import Callable, Iterable
from typing import Final

from crdtmesh.levels import OPERATION_METADATA, LevelInvalid
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.levels import READ_LEVEL_METADATA, WRITE_LEVEL_METADATA, Level, parse_level
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.repeats import check_operation_id
from crdtmesh.runtime.activation import Activation
from crdtmesh.runtime.deadlines import Deadlines
from crdtmesh.runtime.definition import (
    READ_ACTIONS,
    STATE_TYPE_PREFIX,
    ActorAddress,
    ActorDefinition,
    StateKind,
    state_key,
)
from crdtmesh.runtime.directory import nearest_name
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.instances import Instances
from crdtmesh.runtime.lives import Lives
from crdtmesh.runtime.messages import COMMANDS, RESTORE, CallExtra
from crdtmesh.runtime.moves import Moves
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import LOCAL, NOWHERE, Place, Placement, Site
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.routes import Routes
from crdtmesh.runtime.turn import Caller, CallTuple, Turn, TurnKind, TurnPhase
from crdtmesh.runtime.turns import Turns

__all__ = ["Router"]

MS_NS: Final = 1_000_000

# Answers to "which known name did you mean" that are kept, so that a client that calls a wrong name in a loop costs a
# dictionary look-up each time: 256 messages of at most 1 kB.
UNKNOWN_MESSAGES_MAX: Final = 256


class Router:
    """Admits calls, places them, and ends them when it is too late.

    Attributes:
        is_draining: no call is admitted any more, but those of the node itself.
        on_scheduled: takes a call that is to be made later.
        on_command: takes what another node, or this one, asks for beside calls.
        unroute: takes a turn whose reply nobody waits for, and that piped or forwarded to another actor.
    """

    __slots__ = (
        "_deadlines",
        "_directory",
        "_hosts",
        "_instances",
        "_live",
        "_lives",
        "_moves",
        "_numbers",
        "_options",
        "_placement",
        "_replies",
        "_routes",
        "_turns",
        "_unknown_messages",
        "is_draining",
        "on_command",
        "on_scheduled",
        "unroute",
    )

    def __init__(
        self,
        options: RuntimeOptions,
        *,
        placement: Placement,
        live: dict[int, Turn],
        replies: Replies,
        turns: Turns,
        routes: Routes,
        lives: Lives,
        instances: Instances,
    ) -> None:
        self._options = options
        self._placement = placement
        self._instances = instances
        self._moves = Moves(live)
        self._live = live
        self._replies = replies
        self._turns = turns
        self._routes = routes
        self._hosts = instances.hosts
        self._directory = instances.directory
        self._deadlines = Deadlines(live)
        self._numbers = turns.numbers
        self._lives = lives
        self._unknown_messages: dict[ActorAddress, str] = {}
        self.is_draining = False
        self.on_command: Callable[[Turn, int], None] = lambda turn, now_ns: None
        self.on_scheduled: Callable[[Turn, int], None] = lambda turn, now_ns: None
        self.unroute: Callable[[Turn], None] = lambda turn: None

    # --- in

    def take(self, caller: Caller, calls: Iterable[CallTuple], *, now_ns: int) -> None:
        """Takes calls of a caller, in order."""
        activations = self._lives.activations
        for call in calls:
            turn = self.admit(caller, call, now_ns=now_ns)
            if turn is None:
                continue
            activation = activations.get(call[1])
            is_known = activation is not None and call[2] in activation.definition.actions
            if activation is not None and is_known and (call[6] is None or not call[6].scheduled_ms):
                self.enqueue(activation, turn, now_ns=now_ns)
            else:
                self._place(turn, now_ns)

    def admit(self, caller: Caller, call: CallTuple, *, now_ns: int) -> Turn | None:
        """Makes a turn of a call; None when it was refused."""
        options = self._options
        call_id = call[0]
        is_refused = self.is_draining and not caller.is_node
        if call_id in caller.calls or is_refused or len(self._live) >= options.calls_max:
            self._refuse(caller, call_id)
            return None
        if (extra := call[6]) is not None and (problem := _problem(extra)) is not None:
            self._replies.refuse(caller, call_id, ErrorCode.INVALID_REQUEST, problem)
            return None
        timeout_ms = call[5] or options.timeout_default_ms
        if timeout_ms > options.timeout_max_ms:  # noqa: PLR1730 - `min` costs as much as half of this function
            timeout_ms = options.timeout_max_ms
        number = next(self._numbers)
        turn = Turn(number, caller, call, now_ns + timeout_ms * MS_NS)
        if extra is not None:
            turn.write_level = _level(extra, WRITE_LEVEL_METADATA)
            turn.read_level = _level(extra, READ_LEVEL_METADATA)
            turn.operation_id = extra.metadata.get(OPERATION_METADATA, "")
        caller.calls[call_id] = self._live[number] = turn
        self._deadlines.add(turn.deadline_ns, number)
        return turn

    def _refuse(self, caller: Caller, call_id: int) -> None:
        if self.is_draining:
            self._replies.refuse(caller, call_id, ErrorCode.DRAINING, f"node {self._placement.node} is shutting down")
        elif call_id in caller.calls:
            message = f"call id {call_id} is in flight already; ids are unique among a caller's calls in flight"
            self._replies.refuse(caller, call_id, ErrorCode.INVALID_REQUEST, message)
        else:
            message = f"node {self._placement.node} has {self._options.calls_max} calls in flight (calls_max)"
            self._replies.refuse(caller, call_id, ErrorCode.MAILBOX_FULL, message)

    def enqueue(self, activation: Activation, turn: Turn, *, now_ns: int) -> None:
        """Puts a turn into an actor's mailbox, and hands out what can go."""
        if len(activation.mailbox) >= self._options.mailbox_max:
            address = activation.definition.address
            message = f"{self._options.mailbox_max} calls wait for actor {address} (mailbox_max); call later"
            self._replies.fail(turn, ErrorCode.MAILBOX_FULL, Outcome.NOT_APPLIED, message)
            return
        activation.used_ns = now_ns
        self._turns.offer(activation, turn, now_ns=now_ns)

    def update(self, turn: Turn, key: EntryKey, *, now_ns: int) -> None:
        """Applies operations from outside: in the queue of the actor that has this state, or at once."""
        activation = self._lives.by_key.get(key)
        for other, _ in turn.others:
            busy = self._lives.by_key.get(other)
            if busy is not None and busy.in_flight:
                activation = busy
        if activation is None:
            self._turns.own_work.update(turn, key, None, now_ns=now_ns, wall_ms=self._turns.wall_ms)
        else:
            self.enqueue(activation, turn, now_ns=now_ns)

    # --- places

    def _place(self, turn: Turn, now_ns: int) -> None:
        """Finds the place of a turn that has none: here, at a peer, or nowhere."""
        if turn.call[2] in COMMANDS and turn.caller is not None and turn.caller.id is None:
            self.on_command(turn, now_ns)
            return
        address = self._instances.resolve(turn.call[1])
        if address is not turn.call[1]:
            turn.call = (turn.call[0], address, *turn.call[2:])
        if self.refuses_unknown(turn, address):
            return
        definition = self._hosts.definition(address)
        if turn.call[6] is not None and turn.call[6].scheduled_ms:
            self._schedule(turn, definition, now_ns)
            return
        activation = self._lives.activations.get(address)
        host = self._hosts.choose(address) if activation is None else activation.host
        place = self._where(turn, definition, has_local_host=host is not None, is_active=activation is not None)
        if place.site is Site.PEER:
            self._routes.route(turn, self._routes.peer(place.peer))
        elif place.site is Site.NOWHERE or host is None:
            if not (place.peer and turn.caller is not None and self._moves.wait(turn, now_ns)):
                self._place_nowhere(turn, definition, now_ns)
        elif self._decide_kind(turn, host.definition(address) if activation is None else activation.definition):
            if activation is None:
                activation = self._lives.activate(host.definition(address), host, now_ns=now_ns)
            if activation is None:
                self._refuse_activation(turn)
            else:
                self.enqueue(activation, turn, now_ns=now_ns)
                if turn.kind is TurnKind.RESTORE:
                    self._lives.settle_drained(now_ns=now_ns)

    def refuses_unknown(self, turn: Turn, address: ActorAddress) -> bool:
        """Ends a turn of an actor that nobody knows; whether it did."""
        is_known = self._hosts.definition(address) is not None or self._directory.offer(address) is not None
        if not is_known:
            self._replies.fail(turn, ErrorCode.UNKNOWN_ACTOR, Outcome.NOT_APPLIED, self._unknown(address))
        return not is_known

    def _refuse_activation(self, turn: Turn) -> None:
        count = self._options.activations_max
        message = f"node {self._placement.node} has {count} actors in memory, all busy (activations_max); call later"
        self._replies.fail(turn, ErrorCode.LIMIT_REACHED, Outcome.NOT_APPLIED, message)

    def _schedule(self, turn: Turn, definition: ActorDefinition | None, now_ns: int) -> None:
        """Passes on a call that is to be made later, if the actor has such an action at all."""
        offer = definition or self._directory.offer(turn.call[1])
        assert offer is not None
        if turn.call[2] in offer.actions or turn.call[2] in READ_ACTIONS:
            self.on_scheduled(turn, now_ns)
        else:
            self._refuse_action(turn, offer.actions)

    def owns(self, address: ActorAddress) -> bool:
        """Whether this node has a host for an actor and is its owner."""
        return self._hosts.has_host(address) and self._placement.owns(address, self._directory.nodes(address))

    def _where(self, turn: Turn, definition: ActorDefinition | None, *, has_local_host: bool, is_active: bool) -> Place:
        """Decides the place; a call from a peer is run here or refused, since its view may be old, and so may ours."""
        address = turn.call[1]
        offering = self._directory.nodes(address)
        offer = definition or self._directory.offer(address)
        state = StateKind.NONE if offer is None else offer.state
        is_routed = turn.caller is not None and turn.caller.peer is not None
        if is_routed and (state is StateKind.MERGED or is_active or not has_local_host):
            return LOCAL if has_local_host else NOWHERE
        if state is StateKind.OPAQUE and turn.tried:
            # Who should run it says that it is another one's: the views differ, and will agree in a moment.
            return Place(Site.NOWHERE, turn.tried[-1])
        place = self._placement.where(
            address,
            state=state,
            is_available=offer is not None and offer.is_available,
            has_local_host=has_local_host,
            offering=[name for name in offering if name not in turn.tried] if turn.tried else offering,
            reachable=self._routes.reachable,
        )
        return NOWHERE if is_routed and place.site is Site.PEER else place

    def _decide_kind(self, turn: Turn, definition: ActorDefinition) -> bool:
        """Whether the node or the handler does it; False, and the turn has ended, when nobody does."""
        action = turn.call[2]
        if action in definition.actions:
            turn.kind = TurnKind.HANDLER
        elif action in READ_ACTIONS and not definition.answers_reads:
            turn.kind = TurnKind.READ
        elif action == RESTORE and turn.caller is not None and turn.caller.id is None:
            # Nodes only: a client's call by this name is one of an action that there is none of.
            turn.kind = TurnKind.RESTORE
        else:
            self._refuse_action(turn, definition.actions)
            return False
        return True

    def _refuse_action(self, turn: Turn, actions: Iterable[str]) -> None:
        # Spawn's words, which its SDKs' users know, and a hint.
        action = turn.call[2]
        shown = action[:256] if action.isprintable() else ascii(action[:256])[1:-1]
        message = f"Action [{shown}] not found for Actor [{turn.call[1].name}]"
        nearest = nearest_name(action, sorted(actions))
        message += f"; did you mean {nearest!r}?" if nearest else ""
        self._replies.fail(turn, ErrorCode.UNKNOWN_ACTION, Outcome.NOT_APPLIED, message)

    def _place_nowhere(self, turn: Turn, definition: ActorDefinition | None, now_ns: int) -> None:
        """No host within reach. The state is here all the same, so a read of it is answered."""
        address, action = turn.call[1], turn.call[2]
        type_name: str | None = None
        has_own_reads = False
        offer = self._directory.offer(address)
        if definition is not None:
            type_name, has_own_reads = definition.type_name, definition.answers_reads
        elif offer is not None and offer.state_type.startswith(STATE_TYPE_PREFIX):
            type_name = offer.state_type.removeprefix(STATE_TYPE_PREFIX)
            has_own_reads = not READ_ACTIONS.isdisjoint(offer.actions)
        if type_name is not None and action in READ_ACTIONS and not has_own_reads:
            turn.kind = TurnKind.READ
            self._turns.own_work.read(turn, EntryKey(address.system, state_key(address), type_name), now_ns=now_ns)
            return
        nodes = ", ".join(self._directory.nodes(address)[:8])
        where_else = f"; offered by {nodes}, out of reach" if nodes else ""
        message = f"no host of actor {address} is connected to node {self._placement.node}{where_else}"
        self._replies.fail(turn, ErrorCode.NO_HOST, Outcome.NOT_APPLIED, message)

    def place_again(self, turns: Iterable[Turn], *, now_ns: int) -> None:
        """Places turns whose place went away before they were handed out."""
        for turn in turns:
            turn.phase = TurnPhase.QUEUED
            turn.activation = None
            turn.peer = None
            if turn.caller is None:
                turn.phase = TurnPhase.DONE
                self._live.pop(turn.number, None)
            elif turn.key is not None:
                self.update(turn, turn.key, now_ns=now_ns)
            else:
                self._place(turn, now_ns)

    def _unknown(self, address: ActorAddress) -> str:
        message = self._unknown_messages.get(address)
        if message is None:
            # Spawn's words, and a hint.
            message = f"Actor {address.name[:256]!r} not found on ActorSystem {address.system[:256]!r}"
            message += self._hint(address)
            if len(self._unknown_messages) >= UNKNOWN_MESSAGES_MAX:
                self._unknown_messages.clear()
            self._unknown_messages[address] = message
        return message

    def _hint(self, address: ActorAddress) -> str:
        """What may have been meant by a name that nobody has."""
        known = [*self._hosts.names(address.system), *self._directory.names(address.system)]
        if known:
            nearest = nearest_name(address.name, known)
            return f"; did you mean {nearest!r}?" if nearest else ""
        nearest = nearest_name(address.system, sorted({*self._hosts.systems(), *self._directory.systems()}))
        return "; no actor of that system is known" + (f", did you mean system {nearest!r}?" if nearest else "")

    def names_changed(self) -> None:
        """Other actors are known than before."""
        self._unknown_messages.clear()

    def retry(self, *, now_ns: int) -> None:
        """Tries calls that wait for a place."""
        self.place_again(self._moves.due(now_ns), now_ns=now_ns)

    # --- too late

    def expire(self, *, now_ns: int) -> None:
        """Tells callers whose deadline has passed."""
        for turn in self._deadlines.due(now_ns):
            if turn.caller is None:
                continue
            if turn.phase is TurnPhase.QUEUED:
                self._take_out(turn)
                message = "the deadline passed before the call reached a host"
                self._replies.fail(turn, ErrorCode.TIMEOUT, Outcome.NOT_APPLIED, message)
            elif turn.phase is TurnPhase.RIDING or turn.kind is TurnKind.READ:
                message = "the deadline passed before the state could be read"
                self._replies.tell_failure(turn, ErrorCode.TIMEOUT, Outcome.NOT_APPLIED, message)
            else:
                message = "the deadline passed; the call may have had its effect, or still get it"
                self._replies.tell_failure(turn, ErrorCode.TIMEOUT, Outcome.UNKNOWN, message)
                self._abandon(turn)

    def cancel(self, caller: Caller, ids: Iterable[int]) -> None:
        """The caller no longer waits for these; ids that it has not in flight are ignored."""
        for call_id in ids:
            turn = caller.calls.pop(call_id, None)
            if turn is None:
                continue
            turn.caller = None
            if turn.phase is TurnPhase.QUEUED:
                self._take_out(turn)
                turn.phase = TurnPhase.DONE
                del self._live[turn.number]
            else:
                self._abandon(turn)

    def _take_out(self, turn: Turn) -> None:
        """Takes a queued turn out of its mailbox; what is queued for a peer is skipped when it is sent."""
        if turn.activation is not None:
            turn.activation.mailbox.remove(turn)

    def _abandon(self, turn: Turn) -> None:
        """Nobody waits any more: says so to who works on it. A host's answer is applied all the same."""
        if turn.routed_as:
            self.unroute(turn)
        if turn.phase is not TurnPhase.DISPATCHED:
            return
        if turn.activation is not None:
            self._turns.columns(turn.activation.host).cancelled.append(turn.number)
        else:
            self._routes.cancel(turn)
            turn.phase = TurnPhase.DONE
            del self._live[turn.number]

    def next_deadline_ns(self) -> int | None:
        """When `expire` or `retry` has something to do; may be early."""
        times = [self._deadlines.next_ns(), self._moves.next_ns()]
        return min((time_ns for time_ns in times if time_ns is not None), default=None)


def _level(extra: CallExtra, name: str) -> Level | None:
    """The level that a call asks for, if it says."""
    asked = extra.metadata.get(name)
    return None if asked is None else parse_level(asked)


def _problem(extra: CallExtra) -> str | None:
    """Why a level or an operation id in a call is none; silence would promise what it says."""
    for name in (WRITE_LEVEL_METADATA, READ_LEVEL_METADATA):
        try:
            _level(extra, name)
        except LevelInvalid as error:
            return f"{name}: {error}"
    if OPERATION_METADATA in extra.metadata:
        try:
            check_operation_id(extra.metadata[OPERATION_METADATA])
        except LimitExceeded as error:
            return f"{OPERATION_METADATA}: {error}"
    return None
