"""What a node does by the clock: the timers of its actors, and the calls that were made for later."""

from typing import Final

from crdtmesh.crdts.errors import CrdtError
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.flows import Flows
from crdtmesh.runtime.hosts import Hosts
from crdtmesh.runtime.messages import NO_PAYLOAD, NOOP_URL, CallExtra, CallFailure
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.results import refusal
from crdtmesh.runtime.router import Router
from crdtmesh.runtime.schedules import Schedule, Schedules
from crdtmesh.runtime.timed import Timed
from crdtmesh.runtime.timers import Timers
from crdtmesh.runtime.turn import Turn

__all__ = ["Agenda"]

MS_NS: Final = 1_000_000

# Nothing has run, and another try may find what this one did not.
_TRY_AGAIN: Final = frozenset(
    {ErrorCode.NO_HOST, ErrorCode.UNKNOWN_ACTOR, ErrorCode.MAILBOX_FULL, ErrorCode.DRAINING, ErrorCode.TIMEOUT}
)


# Whether it has run is not known: who was to run it went away with it. At least once means to make it again.
_PERHAPS: Final = frozenset({ErrorCode.HOST_LOST, ErrorCode.PEER_LOST, ErrorCode.STORAGE_FAILED})

# How often a call for later that may have run is made again by one node. A host that dies of the call itself would be
# killed by it for ever; one that merely restarts takes a few tries at most.
PERHAPS_MAX: Final = 8


class Agenda:
    """Timers and schedules of one node."""

    __slots__ = (
        "_beats",
        "_flows",
        "_hosts",
        "_making",
        "_now_ns",
        "_perhaps",
        "_replies",
        "_router",
        "_schedules",
        "_timed",
        "_timers",
        "_wall_ms",
    )

    def __init__(
        self, schedules: Schedules, timed: Timed, *, hosts: Hosts, flows: Flows, router: Router, replies: Replies
    ) -> None:
        self._schedules = schedules
        self._timed = timed
        self._timers = Timers()
        self._hosts = hosts
        self._flows = flows
        self._router = router
        self._replies = replies
        # The latest call of each timer.
        self._beats: dict[tuple[ActorAddress, str], int] = {}
        # Calls for later that are being made.
        self._making: set[str] = set()
        # How often each call for later may have run.
        self._perhaps: dict[str, int] = {}
        self._now_ns = 0
        self._wall_ms = 0

    def activated(self, definition: ActorDefinition, *, now_ns: int) -> None:
        """An actor was activated here: its timers run from now on."""
        self._timers.activated(definition, now_ns=now_ns)
        if definition.timers:
            self._timed.remember(definition.address, wall_ms=self._wall_ms)

    def owners_changed(self) -> None:
        """Who offers which actors has changed: timers of others may be this node's to run now."""
        self._timed.owners_changed()

    def stop(self, actor: ActorAddress) -> None:
        """An actor was stopped or deleted: its timers end, wherever they run, until it is activated again."""
        self._timed.forget(actor, wall_ms=self._wall_ms)

    def end(self, actor: ActorAddress) -> None:
        """The timers of an actor end here."""
        self._timers.stop(actor)
        for beat in [beat for beat in self._beats if beat[0] == actor]:
            del self._beats[beat]

    def changed(self, key: EntryKey) -> None:
        """An entry of the system `_mesh` changed."""
        self._schedules.changed(key)
        ended = self._timed.changed(key)
        if ended is not None:
            self.end(ended)

    def schedule(self, turn: Turn, *, now_ns: int) -> None:
        """Keeps a call for later, and tells its caller so; one whose time is past is made as soon as it is kept."""
        _, actor, action, type_url, payload, _, extra = turn.call
        assert extra is not None
        try:
            self._schedules.add(
                extra.scheduled_ms,
                actor,
                action,
                type_url=type_url,
                payload=payload,
                metadata=dict(extra.metadata),
                caller=extra.caller,
                wall_ms=self._wall_ms,
            )
        except (CrdtError, ReplicationError) as error:
            code, words = refusal(error)
            self._replies.fail(turn, code, Outcome.NOT_APPLIED, words)
            return
        turn.has_written = True
        self._replies.hold(turn, NO_PAYLOAD, b"")

    def tick(self, *, now_ns: int, wall_ms: int) -> None:
        """Makes the calls that are due."""
        self._now_ns, self._wall_ms = now_ns, wall_ms
        if self._router.is_draining:
            return
        self._take_over()
        for actor, action in self._timers.due(now_ns=now_ns):
            self._beat(actor, action)
        for schedule in self._schedules.due(now_ns=now_ns, wall_ms=wall_ms):
            if schedule.key.key in self._making:
                # Its entry came again, by a repair say.
                continue
            if self._router.owns(schedule.actor):
                self._make(schedule)
            else:
                self._schedules.again(schedule.key, now_ns=now_ns)

    def _take_over(self) -> None:
        """Begins with the timers of actors whose owner this node has become."""
        for actor in self._timed.take_suspects():
            definition = self._hosts.definition(actor)
            if definition is not None and definition.timers and self._router.owns(actor):
                self._timers.activated(definition, now_ns=self._now_ns)

    def _beat(self, actor: ActorAddress, action: str) -> None:
        before = self._beats.get((actor, action))
        if before is not None and self._flows.is_under_way(before):
            return
        if not self._router.owns(actor):
            # This call wakes the actor at its owner, whose timers go on from there.
            self._timers.stop(actor)
            self._beats.pop((actor, action), None)
            self._flows.call(actor, action, NOOP_URL, b"", CallExtra({}, actor), now_ns=self._now_ns)
            return
        extra = CallExtra({}, actor)
        self._beats[actor, action] = self._flows.call(actor, action, NOOP_URL, b"", extra, now_ns=self._now_ns)

    def _make(self, schedule: Schedule) -> None:
        self._making.add(schedule.key.key)
        self._flows.call(
            schedule.actor,
            schedule.action,
            schedule.type_url,
            schedule.payload,
            CallExtra(schedule.metadata, schedule.caller),
            now_ns=self._now_ns,
            done=lambda answer: self._made(schedule, answer),
        )

    def _made(self, schedule: Schedule, answer: CallFailure | str) -> None:
        self._making.discard(schedule.key.key)
        if isinstance(answer, CallFailure) and self._is_due_again(schedule, answer):
            self._schedules.again(schedule.key, now_ns=self._now_ns)
            return
        self._perhaps.pop(schedule.key.key, None)
        try:
            self._schedules.clear(schedule.key, wall_ms=self._wall_ms)
        except ReplicationError:
            # Read-only: whoever owns the actor next makes the call again, as at-least-once allows.
            return

    def _is_due_again(self, schedule: Schedule, failure: CallFailure) -> bool:
        """Whether a call has to be made once more, by whoever is the actor's owner then."""
        if failure.outcome is Outcome.NOT_APPLIED:
            return failure.code in _TRY_AGAIN
        if failure.code is ErrorCode.TIMEOUT:
            # Its own host had it all the time. On its way to another node it may have been lost.
            return not self._router.owns(schedule.actor)
        count = self._perhaps.get(schedule.key.key, 0) + 1
        self._perhaps[schedule.key.key] = count
        return failure.code in _PERHAPS and count <= PERHAPS_MAX

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; may be early. A jump of the wall clock is noticed with the next tick."""
        if self._timed.has_suspects:
            return self._now_ns
        at_ms = self._schedules.next_ms()
        times = [self._timers.next_ns(), self._schedules.next_ns()]
        if at_ms is not None:
            times.append(self._now_ns + max(0, at_ms - self._wall_ms) * MS_NS)
        return min((time_ns for time_ns in times if time_ns is not None), default=None)
