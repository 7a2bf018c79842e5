"""What nodes ask of each other beside calls: to stop an actor, to pass a channel's message on.

They travel as calls with names that no action can have, so they share the calls' queues, deadlines and replies, and a
node that does not know one refuses it as an unknown action. Only nodes are taken at their word: a client that calls
such a name is told that there is no such action.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from crdtmesh.runtime.agenda import Agenda
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import DefinitionConflict, ErrorCode, Outcome
from crdtmesh.runtime.flows import Flows
from crdtmesh.runtime.instances import Instances
from crdtmesh.runtime.lives import Lives
from crdtmesh.runtime.messages import (
    CONFLICT,
    MESSAGE,
    RESTORE,
    STATE_CHANGED,
    STATE_UNCHANGED,
    STOP,
    CallExtra,
    CallFailure,
    ChannelMessage,
)
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.router import Router
from crdtmesh.runtime.routes import Routes
from crdtmesh.runtime.subscribers import Subscribers, Topic
from crdtmesh.runtime.turn import Caller, Turn, TurnKind, TurnPhase

__all__ = ["Commands"]


# What another node says of a conflict; its own words are far shorter.
CONFLICT_CHARS_MAX: Final = 1_000


class Commands:
    """Gives commands to other nodes, and does what they ask.

    Attributes:
        on_conflict: is told that a host of another node declares an actor of ours as something else.
    """

    __slots__ = (
        "_agenda",
        "_flows",
        "_instances",
        "_lives",
        "_replies",
        "_router",
        "_routes",
        "_subscribers",
        "on_conflict",
    )

    def __init__(
        self,
        *,
        flows: Flows,
        routes: Routes,
        lives: Lives,
        replies: Replies,
        agenda: Agenda,
        instances: Instances,
        subscribers: Subscribers,
        router: Router,
    ) -> None:
        self._flows = flows
        self._routes = routes
        self._lives = lives
        self._replies = replies
        self._agenda = agenda
        self._instances = instances
        self._subscribers = subscribers
        self._router = router
        self.on_conflict: Callable[[ActorAddress, str], None] = lambda actor, message: None

    def take(self, turn: Turn, now_ns: int) -> None:
        """Does what a node asks, this one or another."""
        if turn.call[2] == STOP:
            self._stop_here(turn, turn.call[1], now_ns)
        elif turn.call[2] == MESSAGE:
            self._message_came(turn)
        else:
            self.on_conflict(turn.call[1], turn.call[4].decode(errors="replace")[:CONFLICT_CHARS_MAX])
            self._replies.reply(turn, "", b"")

    # --- stopping

    def stop_everywhere(self, caller: Caller, call_id: int, actor: ActorAddress, *, now_ns: int) -> None:
        """Stops an actor on this node and on all others that offer it; the reply says whether it ran anywhere."""
        turn = self._router.admit(caller, (call_id, actor, STOP, "", b"", 0, None), now_ns=now_ns)
        address = self._instances.resolve(actor)
        if turn is None or self._router.refuses_unknown(turn, address):
            return
        turn.phase = TurnPhase.HELD
        self._agenda.stop(address)
        offering = self._instances.directory.nodes(address)
        nodes = [name for name in offering if name in self._routes.reachable]
        failures = [f"{name} is out of reach" for name in offering if name not in self._routes.reachable]
        awaited = len(nodes) + 1
        has_stopped = False

        def told(node: str, answer: CallFailure | str) -> None:
            nonlocal awaited, has_stopped
            awaited -= 1
            if isinstance(answer, CallFailure):
                failures.append(f"{node}: {answer.message}")
            else:
                has_stopped = has_stopped or answer == STATE_CHANGED
            if not awaited:
                self._stopped(turn, failures, has_stopped=has_stopped)

        for name in nodes:
            self._flows.ask(name, address, STOP, now_ns=now_ns, done=partial(told, name))
        here = partial(told, "this node")
        self._flows.call(address, STOP, "", b"", CallExtra({}, None), now_ns=now_ns, done=here)

    def _stopped(self, turn: Turn, failures: list[str], *, has_stopped: bool) -> None:
        if turn.caller is None:
            self._replies.reply(turn, "", b"")
        elif failures:
            self._replies.fail(turn, ErrorCode.PEER_LOST, Outcome.UNKNOWN, "; ".join(failures))
        else:
            # Behind the commit: that its timers are to rest is on disk.
            self._replies.hold(turn, STATE_CHANGED if has_stopped else STATE_UNCHANGED, b"")

    def _stop_here(self, turn: Turn, address: ActorAddress, now_ns: int) -> None:
        """Stops an actor on this node, behind the calls that wait for it already."""
        if address not in self._lives.activations:
            self._replies.reply(turn, STATE_UNCHANGED, b"")
            return
        turn.kind = TurnKind.STOP
        self._router.enqueue(self._lives.activations[address], turn, now_ns=now_ns)
        self._lives.settle_drained(now_ns=now_ns)

    def restore(self, caller: Caller, call_id: int, actor: ActorAddress, revision: int, *, now_ns: int) -> None:
        """Starts an actor from one of its revisions, once: where it runs, behind the calls that wait for it."""
        turn = self._router.admit(caller, (call_id, actor, RESTORE, "", b"", 0, None), now_ns=now_ns)
        if turn is None:
            return
        turn.phase = TurnPhase.HELD

        def told(answer: CallFailure | str) -> None:
            if isinstance(answer, CallFailure):
                self._replies.fail(turn, answer.code, answer.outcome, answer.message)
            else:
                self._replies.reply(turn, answer, b"")

        extra = CallExtra({}, None)
        self._flows.call(actor, RESTORE, "", str(revision).encode(), extra, now_ns=now_ns, done=told)

    # --- channels

    def publish(self, topic: Topic, message: ChannelMessage, *, now_ns: int) -> None:
        """Passes a message to all clients that listen, on this node and on others. Complexity: O(listeners)."""
        self._subscribers.deliver(topic, message)
        for node in self._subscribers.nodes(topic):
            if node in self._routes.reachable:
                extra = CallExtra({}, message.publisher)
                address = ActorAddress(*topic)
                self._flows.ask(node, address, MESSAGE, message.type_url, message.payload, extra=extra, now_ns=now_ns)

    def _message_came(self, turn: Turn) -> None:
        """Another node's actor has published."""
        _, (system, name, _), _, type_url, payload, _, extra = turn.call
        publisher = None if extra is None else extra.caller
        self._subscribers.deliver(Topic(system, name), ChannelMessage(type_url, payload, publisher))
        self._replies.reply(turn, "", b"")

    # --- definitions

    def tell_conflict(self, conflict: DefinitionConflict, *, now_ns: int) -> None:
        """Tells the nodes that offer an actor already that somebody meant another one by its name."""
        for node in conflict.nodes:
            if node in self._routes.reachable:
                words = f"{conflict} (tried at another node)".encode()
                self._flows.ask(node, conflict.actor, CONFLICT, payload=words, now_ns=now_ns)
