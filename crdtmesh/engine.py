"""Drives the cores of one node, replication and actors, under asyncio: glue between them, disk, links and edge.

Every input wakes the engine; it runs once per loop turn, so that all that came in during one turn shares one commit,
one write to each peer and one batch to each stream. It is the only caller of both cores; all of it is on one loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from crdtmesh.engine_ports import CallerSink, Counters, Hooks, HostSink, SubscriberSink
from crdtmesh.engine_reports import Reports
from crdtmesh.engine_sinks import Sinks
from crdtmesh.engine_tickets import Answer, Ticket, TicketEvent, Tickets
from crdtmesh.engine_timer import DeadlineTimer
from crdtmesh.links.frames import Channel
from crdtmesh.observability import logs
from crdtmesh.persistence.base import Record
from crdtmesh.replication.errors import TokenInvalid
from crdtmesh.replication.explaining import Explanation
from crdtmesh.replication.levels import Level
from crdtmesh.replication.outputs import (
    CaughtUp,
    Changed,
    CommitFailed,
    Committed,
    EntryKey,
    LevelTimeout,
    PeerExplained,
    Persist,
    ReadAt,
    Reconciled,
    SendTo,
)
from crdtmesh.replication.replica import Replica
from crdtmesh.replication.watching import Watches, WatchOptions, WatchTicket
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.events import Conflicted
from crdtmesh.runtime.messages import NO_TERMS, CallerId, HostId, ToPeer, UpdateTerms
from crdtmesh.runtime.runtime import Runtime
from crdtmesh.runtime.subscribers import Topic
from crdtmesh.watch_streams import WatchStreams

_LOG: Final = logging.getLogger(__name__)

GATHERED_ABOVE: Final = 8
GATHERING_S: Final = 0.001
"""With more unary calls than GATHERED_ABOVE in flight, inputs are worked off GATHERING_S after the first of them, and
not at the end of its loop turn. Unary calls take about 0.4 ms of the loop each, so a loop turn holds one, and each had
a message to the host, one back and a commit of its own, which cost more than the call itself. Nine of them keep each
other waiting for 3 ms anyway; a single one is never held up."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1_000_000


class Engine:
    """The driver of a `Replica` and a `Runtime`.

    Args:
        replica: loaded, not yet used.
        runtime: of the same node.
        write: gives a group of records to the store; its completion must reach `persisted` on this loop.
        send: gives a message to a peer's link; False when it would not be taken.
        clock_ns: monotonic time.
        wall_ms: wall-clock time, for the hybrid clock.

    Attributes:
        single_calls: calls that came one by one and wait for their replies; counted by who takes them.
    """

    def __init__(
        self,
        replica: Replica,
        runtime: Runtime,
        *,
        write: Callable[[int, Sequence[Record]], None],
        send: Callable[[str, Channel, bytes], bool],
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.replica = replica
        self.runtime = runtime
        self.hooks = Hooks()
        self.counters = Counters()
        self.watches = WatchStreams(
            Watches(replica, WatchOptions(), run=replica.replica_id.hex()),
            barrier=replica.barrier,
            wake=self.wake,
            clock_ns=clock_ns,
        )
        self._write = write
        self._send = send
        self._clock_ns = clock_ns
        self._wall_ms = wall_ms
        self._sinks = Sinks(self.counters)
        self._tickets = Tickets()
        self._loop = asyncio.get_running_loop()
        self._is_awake = False
        self._timer = DeadlineTimer(self._loop, self.wake)
        self._gathering: asyncio.TimerHandle | None = None
        self.single_calls = 0
        self._flushed: list[asyncio.Future[None]] = []
        self._drained = asyncio.Event()
        self._reports = Reports(self.hooks, self.counters)

    # --- callers and hosts

    def register(self, definitions: Sequence[ActorDefinition]) -> None:
        """Declares actors without a host.

        Raises:
            RegistrationRefused: a definition can't be used; none was taken.
        """
        self.runtime.register(definitions)
        self.wake()

    def spawn(self, instances: Sequence[ActorAddress]) -> None:
        """Remembers instances of templates; see `Runtime.spawn`. On disk after `committed`.

        Raises:
            RuntimeRefusal, ReplicationError: none was remembered.
        """
        self.runtime.spawn(instances, wall_ms=self._wall_ms())
        self.wake()

    def forget(self, actor: ActorAddress) -> bool:
        """Forgets an instance of a template; see `Runtime.forget`. On disk after `committed`.

        Raises:
            ReplicationError: nothing was changed.
        """
        found = self.runtime.forget(actor, wall_ms=self._wall_ms())
        self.wake()
        return found

    def open_caller(self, sink: CallerSink) -> CallerId:
        """Introduces a caller; its replies go to the sink."""
        caller = CallerId(self._sinks.new_id())
        self._sinks.callers[caller] = sink
        return caller

    def close_caller(self, caller: CallerId) -> None:
        """Forgets a caller and cancels its calls."""
        if self._sinks.callers.pop(caller, None) is not None:
            self.runtime.caller_lost(caller, now_ns=self._clock_ns())
            self.wake()

    def invoke(self, caller: CallerId, calls: Iterable[tuple[Any, ...]]) -> None:
        """Takes calls; see `Runtime.invoke`."""
        self.runtime.invoke(caller, calls, now_ns=self._clock_ns())
        self.wake()

    def stop(self, caller: CallerId, call: int, actor: ActorAddress) -> None:
        """Takes an actor out of memory wherever it is; see `Runtime.stop`."""
        self.runtime.stop(caller, call, actor, now_ns=self._clock_ns())
        self.wake()

    def restore(self, caller: CallerId, call: int, actor: ActorAddress, revision: int) -> None:
        """Starts an actor from one of its revisions; see `Runtime.restore`."""
        self.runtime.restore(caller, call, actor, revision, now_ns=self._clock_ns())
        self.wake()

    def open_subscriber(self, sink: SubscriberSink, topic: Topic) -> CallerId:
        """Introduces a listener to a channel. Announced on disk after `committed`.

        Raises:
            RuntimeRefusal: the topic can't be one, or there are too many listeners; it was not taken.
        """
        subscriber = CallerId(self._sinks.new_id())
        self.runtime.subscribe(subscriber, topic)
        self._sinks.subscribers[subscriber] = sink
        self._runtime_events()
        return subscriber

    def close_subscriber(self, subscriber: CallerId) -> None:
        """A listener has gone."""
        if self._sinks.subscribers.pop(subscriber, None) is not None:
            self.runtime.unsubscribe(subscriber)
            self.wake()

    def cancel(self, caller: CallerId, ids: Iterable[int]) -> None:
        """The caller no longer waits for these."""
        self.runtime.cancel(caller, ids, now_ns=self._clock_ns())
        self.wake()

    def update_state(
        self,
        caller: CallerId,
        update: int,
        key: EntryKey,
        operations: Sequence[Any],
        *,
        others: Sequence[tuple[EntryKey, Sequence[Any]]] = (),
        terms: UpdateTerms = NO_TERMS,
    ) -> None:
        """Changes an entry directly, or several as one event; see `Runtime.update_state`."""
        self.runtime.update_state(
            caller,
            update,
            [(key, operations), *others],
            terms=terms,
            now_ns=self._clock_ns(),
            wall_ms=self._wall_ms(),
        )
        self.wake()

    def open_host(self, sink: HostSink, definitions: Sequence[ActorDefinition], *, keeps_state: bool = True) -> HostId:
        """Introduces a host; `keeps_state` as in `Runtime.host_connected`.

        Raises:
            RegistrationRefused: a definition can't be used; the host was not taken.
        """
        host = HostId(self._sinks.new_id())
        self.wake()  # a refusal is told to others, too
        self.runtime.host_connected(host, definitions, keeps_state=keeps_state, now_ns=self._clock_ns())
        self._sinks.hosts[host] = sink
        self.wake()
        return host

    def extend_host(self, host: HostId, definitions: Sequence[ActorDefinition]) -> None:
        """A host offers these actors besides; those that it offers already are declared anew.

        Raises:
            RegistrationRefused: a definition can't be used; none was taken.
        """
        self.runtime.host_connected(host, definitions, now_ns=self._clock_ns())
        self.wake()

    def host_answered(
        self, host: HostId, answers: Iterable[tuple[Any, ...]], failures: Iterable[tuple[Any, ...]]
    ) -> None:
        """Takes a host's answers; see `Runtime.host_answered`."""
        self.runtime.host_answered(host, answers, failures, now_ns=self._clock_ns(), wall_ms=self._wall_ms())
        self.wake()

    def close_host(self, host: HostId) -> None:
        """The host's stream has ended."""
        if self._sinks.hosts.pop(host, None) is not None:
            self.runtime.host_lost(host, now_ns=self._clock_ns())
            self.wake()

    def client_rejected(self, reason: str, detail: str) -> None:
        """Counts something from a client or host that broke the rules, and logs it at a bounded rate.

        Args:
            reason: from a closed set.
            detail: for people.
        """
        self._reports.client_rejected(reason, detail)

    def relieve(self) -> int:
        """Puts some idle actors out of memory; see `Runtime.relieve`."""
        self.wake()
        return self.runtime.relieve(now_ns=self._clock_ns())

    @property
    def hosts(self) -> int:
        """How many hosts are connected."""
        return len(self._sinks.hosts)

    # --- peers and the disk

    def peer_up(self, peer: str) -> None:
        """A link is up."""
        self.replica.peer_up(peer, now_ns=self._clock_ns())
        self.runtime.peer_up(peer)
        self.wake()

    def peer_down(self, peer: str) -> None:
        """A link is down."""
        now_ns = self._clock_ns()
        self.replica.peer_down(peer, now_ns=now_ns)
        self.runtime.peer_down(peer, now_ns=now_ns)
        self.wake()

    def peer_message(self, peer: str, channel: Channel, payload: bytes) -> None:
        """A message came over a link."""
        if channel is Channel.INVOKE:
            self.runtime.peer_message(peer, payload, now_ns=self._clock_ns())
        else:
            self.replica.receive(payload, peer, now_ns=self._clock_ns(), wall_ms=self._wall_ms())
        self.wake()

    def persisted(self, seq: int, error: str | None) -> None:
        """The store has finished a group, or failed."""
        if error is None:
            self.replica.persisted(seq, now_ns=self._clock_ns())
        else:
            self.replica.persist_failed(seq, error)
        self.wake()

    # --- waiting

    async def committed(self) -> None:
        """Waits until all that could have been seen so far is on disk.

        Raises:
            CommitLost: it never will be.
        """
        ticket = self._tickets.new()
        self.replica.barrier(ticket)
        await self._ticket(ticket)

    async def read_at(self, key: EntryKey, level: Level, *, timeout_ns: int) -> ReadAt:
        """Reads an entry as so many voters have it, and repairs it at them first; see `Replica.read_at`.

        Raises:
            CommitLost: this node's disk failed.
            LevelUnreached: too few voters answered in time; nothing was changed.
        """
        ticket = self._tickets.new()
        self.replica.read_at(key, level=level, ticket=ticket, timeout_ns=timeout_ns, now_ns=self._clock_ns())
        read = await self._ticket(ticket)
        assert isinstance(read, ReadAt)
        return read

    async def read_range_at(self, system: str, prefix: str, level: Level, *, timeout_ns: int) -> None:
        """Has `replica.entries` show what so many voters have, as `read_at` does for one entry."""
        now_ns, new = self._clock_ns(), self._tickets.new
        tickets = self.replica.read_range_at(system, prefix, new, level=level, timeout_ns=timeout_ns, now_ns=now_ns)
        self.wake()
        await self._tickets.wait_for_all(tickets)

    async def explain_at(self, peer: str, key: EntryKey, *, timeout_ns: int) -> Explanation | None:
        """What a peer knows of an entry; None when it has no link or does not answer in time."""
        ticket = self._tickets.new()
        self.replica.explain_at(peer, key, ticket=ticket, timeout_ns=timeout_ns, now_ns=self._clock_ns())
        found = await self._ticket(ticket)
        assert not isinstance(found, ReadAt)
        return found

    async def await_token(self, token: bytes, *, timeout_ns: int) -> None:
        """Waits until this node has what a session token holds; see `Replica.await_token`.

        Raises:
            TokenInvalid: it is none of this cluster's.
            CommitLost: this node's disk failed.
            LevelUnreached: what the token holds did not come in time.
        """
        ticket = self._tickets.new()
        try:
            self.replica.await_token(token, ticket=ticket, timeout_ns=timeout_ns, now_ns=self._clock_ns())
        except TokenInvalid:
            self._tickets.drop(ticket)
            raise
        await self._ticket(ticket)

    async def _ticket(self, ticket: Ticket) -> Answer:
        """Waits for the event of a ticket of ours."""
        self.wake()
        return await self._tickets.wait(ticket)

    async def flushed(self) -> None:
        """Waits until the inputs given so far have been worked off."""
        future = self._loop.create_future()
        self._flushed.append(future)
        self.wake()
        await future

    async def drain(self) -> None:
        """Refuses new calls, ends all watches, and waits until the calls in flight have their replies."""
        self.watches.close()
        self.runtime.drain()
        self.wake()
        await self._drained.wait()

    # --- the loop turn

    def wake(self) -> None:
        """Works off inputs and outputs at the end of this loop turn; of one shortly after it, see GATHERED_ABOVE."""
        if self._is_awake:
            return
        self._is_awake = True
        if self.single_calls > GATHERED_ABOVE:
            self._gathering = self._loop.call_later(GATHERING_S, self._turn)
        else:
            self._loop.call_soon(self._turn)

    def settle(self) -> None:
        """Before `close`: gives the store what was left to be written later."""
        self.replica.settle()
        for output in self.replica.take_outgoing():
            if isinstance(output, Persist):
                self._write(output.seq, output.records)

    def close(self) -> None:
        """Stops the timers; the cores are not driven any more."""
        self._is_awake = True
        self._timer.cancel()
        if self._gathering is not None:
            self._gathering.cancel()

    def _turn(self) -> None:
        try:
            self._work()
        except Exception:
            # Cores that are in the middle of something can't be driven on: what they would acknowledge is unknown.
            self.close()
            logs.event(_LOG, logging.CRITICAL, "engine.failed", exc_info=True)
            self.hooks.failed()

    def _work(self) -> None:
        self._is_awake = False
        now_ns = self._clock_ns()
        replica, runtime = self.replica, self.runtime
        replica.tick(now_ns=now_ns, wall_ms=self._wall_ms())
        # Before the runtime's own deadlines: who waited for a level until then is told how far it got.
        self._replica_events()
        runtime.tick(now_ns=now_ns, wall_ms=self._wall_ms())
        runtime.seal()
        self.watches.work(now_ns)
        for output in replica.take_outgoing():
            if isinstance(output, SendTo):
                self._send_to(output)
            elif isinstance(output, Persist):
                self._write(output.seq, output.records)
        self._replica_events()
        self.watches.deliver()
        outgoing = runtime.take_outgoing()
        self._sinks.deliver(outgoing)
        for message in outgoing.peers:
            self._to_peer(message)
        self._runtime_events()
        self._arm(now_ns)
        if runtime.is_drained:
            self._drained.set()
        if self._flushed:
            done, self._flushed = self._flushed, []
            for future in done:
                if not future.done():
                    future.set_result(None)

    def _to_peer(self, message: ToPeer) -> None:
        if not self._send(message.peer, Channel.INVOKE, message.payload):
            self.runtime.peer_refused(message, now_ns=self._clock_ns())
            self.wake()

    def _send_to(self, output: SendTo) -> None:
        channel = Channel.REPAIR if output.is_repair else Channel.REPLICATION
        if not self._send(output.peer, channel, output.payload):
            self.replica.refused(output.peer, now_ns=self._clock_ns())

    def _replica_events(self) -> None:
        for event in self.replica.take_events():
            if isinstance(event, Changed):
                self.runtime.state_changed(event.key, event.touched, event.version)
                self.watches.changed(event.key, is_expired=event.is_expired)
                self.hooks.changed(event.key)
            elif isinstance(event, PeerExplained):
                self._tickets.take(event)
            elif isinstance(event, Committed | CommitFailed | LevelTimeout | ReadAt):
                self._ticket_event(event)
            else:
                self._reports.replica_event(event)
                if isinstance(event, CaughtUp | Reconciled):
                    self.wake()

    def _ticket_event(self, event: TicketEvent) -> None:
        if isinstance(event.ticket, WatchTicket):
            self._watch_ticket(event.ticket, event)
        elif not self._tickets.take(event):
            self._runtime_ticket(event)

    def _watch_ticket(self, ticket: WatchTicket, event: TicketEvent) -> None:
        if isinstance(event, CommitFailed):
            self.watches.watches.commit_failed(ticket, event.reason)
        else:
            self.watches.watches.committed(ticket)

    def _runtime_ticket(self, event: TicketEvent) -> None:
        runtime = self.runtime
        if isinstance(event, Committed):
            runtime.committed(event.ticket)
        elif isinstance(event, CommitFailed):
            runtime.commit_failed(event.ticket, event.reason)
        elif isinstance(event, LevelTimeout):
            runtime.level_timeout(event.ticket, event.acks, event.needed)
        else:
            runtime.read_done(event)

    def _runtime_events(self) -> None:
        for event in self.runtime.take_events():
            self._reports.runtime_event(event)
            if isinstance(event, Conflicted):
                self._sinks.notice(event.hosts, event.message)

    def _arm(self, now_ns: int) -> None:
        wanted = (core.next_deadline_ns() for core in (self.replica, self.runtime, self.watches.watches))
        due_ns = min((each for each in wanted if each is not None), default=None)
        self._timer.arm(due_ns, now_ns=now_ns)
