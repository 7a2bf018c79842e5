"""What a turn asks to be done next, in Spawn's order: side effects, then a broadcast, then a pipe or a forward.

All of it begins when the turn's reply may leave, that is behind the commit of all that the turn could have seen.
Effects and messages are calls that nobody waits for; that one failed is counted. A route is a call whose reply the
caller gets in the place of the first actor's own. The first actor's turn has had its effect whatever becomes of the
route, so a failure of it is `unknown` to the caller.

Timers and schedules make their calls from here too: this is the node as a caller.
"""

from collections.abc import Callable, Mapping
from typing import Final

from crdtmesh.levels import OPERATION_METADATA
from crdtmesh.runtime.channels import DEFAULT_ACTION, Channels
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.instances import Instances
from crdtmesh.runtime.messages import CallExtra, CallFailure, ChannelMessage
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.router import Router
from crdtmesh.runtime.routes import Routes
from crdtmesh.runtime.subscribers import Topic
from crdtmesh.runtime.turn import Caller, Turn
from crdtmesh.runtime.workflow import Broadcast, Invocation, Route, RouteKind

__all__ = ["HOPS_MAX", "Done", "Flows"]

HOPS_MAX: Final = 32
"""Pipes and forwards in a row. A chain of stages is shorter; a cycle would go on until the caller's deadline."""

MS_NS: Final = 1_000_000

_ROUTE_FAILED: Final = " ran, and the call that it routed to failed: "

Done = Callable[[CallFailure | str], None]
"""Is told how a call of the node ended: how it failed, or the type URL of its reply."""


class Flows:
    """The node as a caller of actors.

    Attributes:
        failures: calls that nobody waited for and that failed.
        on_publish: takes what actors publish, for listeners that are none.
    """

    __slots__ = (
        "_caller",
        "_channels",
        "_done",
        "_instances",
        "_last",
        "_replies",
        "_routed",
        "_router",
        "_routes",
        "failures",
        "on_publish",
    )

    def __init__(
        self, replies: Replies, router: Router, routes: Routes, *, channels: Channels, instances: Instances
    ) -> None:
        self._replies = replies
        self._routes = routes
        self._router = router
        self._channels = channels
        self._instances = instances
        self._caller = Caller(None, None)
        self._last = 0
        self._done: dict[int, Done] = {}
        self._routed: dict[int, Turn] = {}
        self.failures = 0
        router.unroute = self._unroute
        self.on_publish: Callable[[Topic, ChannelMessage, int], None] = lambda topic, message, now_ns: None

    def run(self, *, now_ns: int) -> None:
        """Does what finished turns ask for, and takes the replies to its own calls, until nothing is left."""
        while self._replies.flowing or self._caller.out is not None:
            turns, self._replies.flowing = self._replies.flowing, []
            for turn in turns:
                self._run(turn, now_ns)
            self._settle()

    def call(
        self,
        actor: ActorAddress,
        action: str,
        type_url: str,
        payload: bytes,
        extra: CallExtra,
        *,
        now_ns: int,
        done: Done | None = None,
        timeout_ms: int = 0,
    ) -> int:
        """A call by the node itself; gives its number."""
        self._last = number = self._last + 1
        if done is not None:
            self._done[number] = done
        call = (number, actor, action, type_url, payload, timeout_ms, extra)
        self._router.take(self._caller, (call,), now_ns=now_ns)
        return number

    def ask(
        self,
        node: str,
        actor: ActorAddress,
        command: str,
        type_url: str = "",
        payload: bytes = b"",
        *,
        extra: CallExtra | None = None,
        now_ns: int,
        done: Done | None = None,
    ) -> None:
        """A command to another node, which is within reach; see `commands`."""
        self._last = number = self._last + 1
        if done is not None:
            self._done[number] = done
        call = (number, actor, command, type_url, payload, 0, extra)
        turn = self._router.admit(self._caller, call, now_ns=now_ns)
        if turn is not None:
            self._routes.route(turn, self._routes.peer(node))

    def is_under_way(self, number: int) -> bool:
        """Whether a call of the node has no reply yet."""
        return number in self._caller.calls

    def _run(self, turn: Turn, now_ns: int) -> None:
        workflow, turn.workflow = turn.workflow, None
        assert workflow is not None
        extra = turn.call[6]
        metadata: Mapping[str, str] = {} if extra is None else extra.metadata
        if OPERATION_METADATA in metadata:
            # It was this turn's; two effects on one actor are two operations.
            metadata = {name: text for name, text in metadata.items() if name != OPERATION_METADATA}
        for effect in workflow.effects:
            self._start(effect, turn.call[1], metadata, now_ns)
        if workflow.broadcast is not None:
            self.publish(workflow.broadcast, turn.call[1], now_ns=now_ns)
        if workflow.route is None:
            self._replies.reply(turn, turn.type_url, turn.payload)
        else:
            self._route(turn, workflow.route, metadata, now_ns)

    def _start(self, effect: Invocation, source: ActorAddress, metadata: Mapping[str, str], now_ns: int) -> None:
        named = effect.actor if effect.actor.system else effect.actor._replace(system=source.system)
        actor = self._instances.spawned(named, effect.templates)
        extra = CallExtra({**metadata, **effect.metadata}, effect.caller or source, scheduled_ms=effect.scheduled_ms)
        self.call(actor, effect.action, effect.type_url, effect.payload, extra, now_ns=now_ns)

    def publish(self, broadcast: Broadcast, source: ActorAddress, *, now_ns: int) -> None:
        """Sends a message to all actors that listen to its topic. Complexity: O(subscribers)."""
        extra = CallExtra({}, source)
        for actor, own in list(self._channels.subscribers(source.system, broadcast.channel)):
            action = broadcast.action or own or DEFAULT_ACTION
            self.call(actor, action, broadcast.type_url, broadcast.payload, extra, now_ns=now_ns)
        message = ChannelMessage(broadcast.type_url, broadcast.payload, source)
        self.on_publish(Topic(source.system, broadcast.channel), message, now_ns)

    def _route(self, turn: Turn, route: Route, metadata: Mapping[str, str], now_ns: int) -> None:
        _, source, _, type_url, payload, _, extra = turn.call
        hops = 1 if extra is None else extra.hops + 1
        if hops > HOPS_MAX:
            message = f"at most {HOPS_MAX} pipes and forwards in a row expected; actor {source} asks for one more"
            self._replies.fail(turn, ErrorCode.INVALID_REQUEST, Outcome.UNKNOWN, message)
            return
        if route.kind is RouteKind.PIPE:
            type_url, payload = turn.type_url, turn.payload
        actor = self._instances.spawned(ActorAddress(source.system, route.actor), route.templates)
        timeout_ms = max(1, (turn.deadline_ns - now_ns) // MS_NS)
        turn.routed_as = self._last + 1
        self._routed[turn.routed_as] = turn
        self.call(
            actor,
            route.action,
            type_url,
            payload,
            CallExtra(dict(metadata), source, hops=hops),
            now_ns=now_ns,
            timeout_ms=timeout_ms,
        )

    def _unroute(self, turn: Turn) -> None:
        """Nobody waits for the reply to a routed call, so nobody is to work on it."""
        if self._routed.pop(turn.routed_as, None) is not None:
            self._replies.reply(turn, "", b"")
            self._router.cancel(self._caller, (turn.routed_as,))

    def _settle(self) -> None:
        """Takes the replies to calls of the node."""
        out, self._caller.out = self._caller.out, None
        if out is None:
            return
        for number, type_url, payload in zip(out.ids, out.type_urls, out.payloads, strict=True):
            routed = self._routed.pop(number, None)
            if routed is not None:
                self._replies.reply(routed, type_url, payload)
            self._tell(number, type_url)
        for failure in out.failures:
            routed = self._routed.pop(failure.id, None)
            if routed is not None:
                message = failure.message
                if _ROUTE_FAILED not in message:
                    # Of a chain of routes the last one that ran says it for all before it.
                    message = f"actor {routed.call[1]}{_ROUTE_FAILED}{message}"
                self._replies.fail(routed, failure.code, Outcome.UNKNOWN, message)
            else:
                self.failures += 1
            self._tell(failure.id, failure)

    def _tell(self, number: int, answer: CallFailure | str) -> None:
        done = self._done.pop(number, None)
        if done is not None:
            done(answer)
