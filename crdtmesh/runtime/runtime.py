"""The actors of one node: calls come in as values, turns and replies go out as values. A core, without I/O.

The face of the package: where a call goes is decided in `router`, when an actor is in memory in `lives`, what happens
within a turn in `turns`. Each call gets exactly one reply, unless its caller is lost or cancels it.

Driven by the node's engine, in this order on every loop turn: inputs (`invoke`, `host_answered`, `peer_message`, and
the replica's events as soon as they are there: `state_changed`, `committed`, `commit_failed`), then `seal`, then the
replica's outputs and events, then `take_outgoing` and `take_events`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from crdtmesh.crdts.base import Touched
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.outputs import EntryKey, ReadAt
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import (
    MESH_SYSTEM,
    ActorAddress,
    ActorDefinition,
    address_of,
    check_definitions,
    check_name,
)
from crdtmesh.runtime.errors import DefinitionConflict, ErrorCode, SpawnRefused
from crdtmesh.runtime.events import Conflicted, Event, OffersChanged, PeerRejected, StateConflict
from crdtmesh.runtime.hosts import check_types
from crdtmesh.runtime.messages import (
    NO_TERMS,
    CallerId,
    HostId,
    Offers,
    Operations,
    Outgoing,
    ToPeer,
    UpdateTerms,
)
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.own_work import StateEncoder
from crdtmesh.runtime.parts import Parts
from crdtmesh.runtime.peer_codec import Calls, Malformed, decode
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.routes import reply_messages
from crdtmesh.runtime.subscribers import Topic
from crdtmesh.runtime.turn import CallTuple, TurnKind

__all__ = ["Runtime"]

# Actors put out at one relief: a tenth of those in memory, so that a few seconds of pressure cost no more than needed.
RELIEF_PARTS: Final = 10


class Runtime:
    """Hosts, activations, calls and routes of one node.

    Args of the constructor:
        options: bounds and times.
        placement: where actors run, as this node sees it.
        replica: the replicated state; the runtime updates it, reads it and asks it for barriers, its driver does the
            rest.
        encode_state: `(type name, plain value) -> bytes` of a `crdtmesh.v1.Value`, for what the node answers itself.
        now_ns: monotonic time.
    """

    def __init__(
        self,
        options: RuntimeOptions,
        *,
        placement: Placement,
        replica: Replica,
        encode_state: StateEncoder,
        now_ns: int,
    ) -> None:
        self._now_ns = now_ns
        parts = Parts(options, placement=placement, replica=replica, encode_state=encode_state)
        self._replies = parts.replies
        self._turns = parts.turns
        self._routes = parts.routes
        self._hosts = parts.hosts
        self._directory = parts.directory
        self._instances = parts.instances
        self._lives = parts.lives
        self._router = parts.router
        self._channels = parts.channels
        self._flows = parts.flows
        self._agenda = parts.agenda
        self._subscribers = parts.subscribers
        self._commands = parts.commands
        self._conflicts = parts.conflicts
        self._type_rules = parts.type_rules
        self._commands.on_conflict = self._conflicted
        self._lives.on_activated = self._activated
        self._events: list[Event] = []

    # --- hosts

    def register(self, definitions: Sequence[ActorDefinition]) -> None:
        """Declares actors without a host, as `Actors.Register` does; known ones are overwritten.

        Raises:
            RegistrationRefused: one of them can't run here, contradicts a host that is there, or there are too many;
                none was registered.
        """
        self._register(None, self._type_rules.applied(definitions))

    def _register(self, host: HostId | None, definitions: Sequence[ActorDefinition]) -> None:
        check_definitions(definitions)
        check_types(definitions)
        try:
            self._conflicts.check(host, definitions)
        except DefinitionConflict as conflict:
            self._conflicted(conflict.actor, str(conflict))
            self._commands.tell_conflict(conflict, now_ns=self._now_ns)
            raise
        self._hosts.declare(definitions)
        self._router.names_changed()
        self._channels.names_changed()

    def _conflicted(self, actor: ActorAddress, message: str) -> None:
        hosts = tuple(host for host, _ in self._hosts.declared(actor))
        self._events.append(Conflicted(actor, hosts, message))

    def host_connected(
        self, host: HostId, definitions: Sequence[ActorDefinition], *, keeps_state: bool = True, now_ns: int
    ) -> None:
        """A host offers these actors; one that is already connected offers them besides.

        Activations that run on a host with another definition end their turns in flight and move.

        Args:
            host: the edge's number of it.
            definitions: what it offers.
            keeps_state: whether it keeps copies of states; said at its first connection.
            now_ns: monotonic time.

        Raises:
            RegistrationRefused: one of them can't run here, or there are too many; none was registered.
            DefinitionConflict: another host declares one as something else, and stays; none was registered.
        """
        definitions = self._type_rules.applied(definitions)
        self._register(host, definitions)
        self._hosts.connect(host, definitions, keeps_state=keeps_state)
        self._now_ns = now_ns
        for definition in definitions:
            self._lives.redefine(definition, now_ns=now_ns)
            if not self._router.is_draining:
                self._lives.activate_eagerly(definition, now_ns=now_ns)
        self._agenda.owners_changed()
        self._events.append(OffersChanged())

    def host_answered(
        self,
        host: HostId,
        answers: Iterable[tuple[int, str, bytes, Operations]],
        failures: Iterable[tuple[int, str, int]] = (),
        *,
        now_ns: int,
        wall_ms: int,
    ) -> None:
        """Takes answers to turns, in the host's order; those that nobody asked for are counted and ignored.

        Args:
            host: whose answers.
            answers: `TurnAnswer`s, or any such tuples.
            failures: `TurnFailure`s, or any such tuples; taken after the answers.
            now_ns: monotonic time.
            wall_ms: wall-clock time, for the hybrid clock.
        """
        if (record := self._hosts.get(host)) is None:
            return
        self._now_ns = now_ns
        turns = self._turns
        turns.wall_ms = wall_ms
        turns.answered(record, answers, now_ns=now_ns)
        if failures:
            turns.failed(record, failures, now_ns=now_ns)
        if record.blocked:
            turns.unblock(record, now_ns=now_ns)
        if turns.drained:
            self._lives.settle_drained(now_ns=now_ns)

    def host_lost(self, host: HostId, *, now_ns: int) -> None:
        """The host's stream has ended: what it had is `host_lost`, what waited for it is placed again."""
        if (record := self._hosts.lose(host)) is None:
            return
        self._now_ns = now_ns
        self._lives.host_lost(record, now_ns=now_ns)
        self._events.append(OffersChanged())

    def spawn(self, instances: Sequence[ActorAddress], *, wall_ms: int) -> None:
        """Remembers instances of templates, on every node; nothing is activated.

        An address without parent is left alone, and so is an instance that is known already.

        Raises:
            SpawnRefused: the template of one of them is not known; none was remembered.
            ReplicationError: the node is read-only; none was remembered.
        """
        spawned = [address for address in instances if address.parent]
        for address in spawned:
            check_name("actor", address.name)
            if not self._instances.is_template(ActorAddress(address.system, address.parent)):
                raise SpawnRefused(
                    f"actor {address}: parent {address.parent[:256]!r} expected to be an UNNAMED actor of this system, "
                    f"none is known; register it first"
                )
        for address in spawned:
            self._instances.remember(address, wall_ms=wall_ms)

    def forget(self, actor: ActorAddress, *, wall_ms: int) -> bool:
        """Forgets that an instance was spawned and what it listens to, on every node; its state is an entry, and stays.

        Activations without calls end with it, and so do its timers.

        Args:
            actor: as `resolve` gives it.
            wall_ms: wall clock, milliseconds since 1970.

        Returns:
            Whether it was remembered.

        Raises:
            ReplicationError: the node is read-only; nothing was changed.
        """
        if found := self._instances.forget(actor, wall_ms=wall_ms):
            self._channels.unsubscribe(actor, wall_ms=wall_ms)
            self._agenda.stop(actor)
        return found

    def resolve(self, actor: ActorAddress) -> ActorAddress:
        """The address that an actor runs under, however it was named."""
        return self._instances.resolve(actor)

    def instance(self, actor: ActorAddress, templates: Sequence[str]) -> ActorAddress:
        """The address of an actor that is to be spawned from the first of these templates that is known."""
        return self._instances.spawned(actor, templates)

    # --- callers

    def invoke(self, caller: CallerId, calls: Iterable[CallTuple], *, now_ns: int) -> None:
        """Takes calls; the replies come out of `take_outgoing` under the same ids, exactly one for each.

        Args:
            caller: a caller needs no introduction.
            calls: `Call`s, or any such tuples.
            now_ns: monotonic time.
        """
        self._now_ns = now_ns
        self._router.take(self._replies.caller(caller), calls, now_ns=now_ns)

    def update_state(
        self,
        caller: CallerId,
        update: int,
        updates: Sequence[tuple[EntryKey, Sequence[Operation]]],
        *,
        terms: UpdateTerms = NO_TERMS,
        now_ns: int,
        wall_ms: int,
    ) -> None:
        """`State.Update` of an entry, in the queue of the actor that has this state; of several as one event.

        The reply is one as to a call with the id `update`: type URL `STATE_CHANGED` or `STATE_UNCHANGED`, payload the
        encoded state after it.
        """
        (key, operations), *others = updates
        self._now_ns = now_ns
        self._turns.wall_ms = wall_ms
        call = (update, address_of(key.system, key.key), "", "", b"", terms.timeout_ms, None)
        turn = self._router.admit(self._replies.caller(caller), call, now_ns=now_ns)
        if turn is not None:
            turn.kind = TurnKind.UPDATE
            turn.key = key
            turn.others = others
            turn.operation_id = terms.operation_id
            turn.ttl_ms = terms.ttl_ms
            turn.write_level = terms.level
            turn.operations = operations
            self._router.update(turn, key, now_ns=now_ns)

    def stop(self, caller: CallerId, call_id: int, actor: ActorAddress, *, now_ns: int) -> None:
        """Takes an actor out of memory wherever it is, behind the calls that wait for it; its timers rest with it.

        The reply's type URL is `STATE_CHANGED` when it was in memory somewhere, else `STATE_UNCHANGED`.
        """
        self._now_ns = now_ns
        self._commands.stop_everywhere(self._replies.caller(caller), call_id, actor, now_ns=now_ns)

    def restore(self, caller: CallerId, call_id: int, actor: ActorAddress, revision: int, *, now_ns: int) -> None:
        """Starts an actor from one of its revisions instead of its newest state; the reply is that it has."""
        self._now_ns = now_ns
        self._commands.restore(self._replies.caller(caller), call_id, actor, revision, now_ns=now_ns)

    def subscribe(self, subscriber: CallerId, topic: Topic) -> None:
        """A client listens to a channel; what is published there comes out of `take_outgoing` as messages.

        Raises:
            RuntimeRefusal: the name can't be a topic's, or there are too many subscribers; nothing was changed.
        """
        if self._subscribers.add(subscriber, topic):
            self._events.append(OffersChanged())

    def unsubscribe(self, subscriber: CallerId) -> None:
        """A client listens no more."""
        if self._subscribers.remove(subscriber):
            self._events.append(OffersChanged())

    def topics(self) -> Sequence[Topic]:
        """What clients of this node listen to, sorted; changes are announced by the event `OffersChanged`."""
        return self._subscribers.topics()

    def cancel(self, caller: CallerId, ids: Iterable[int], *, now_ns: int) -> None:
        """The caller no longer waits for these: they get no reply, and what was not dispatched is dropped."""
        self._now_ns = now_ns
        if (record := self._replies.known(caller)) is not None:
            self._router.cancel(record, ids)

    def caller_lost(self, caller: CallerId, *, now_ns: int) -> None:
        """Cancels all calls of this caller and forgets it."""
        self._now_ns = now_ns
        if (record := self._replies.known(caller)) is not None:
            self._router.cancel(record, list(record.calls))
            self._replies.forget(caller)

    # --- peers

    def peer_up(self, peer: str) -> None:
        """A link to this node is up."""
        self._routes.up(peer)

    def peer_down(self, peer: str, *, now_ns: int) -> None:
        """The link to this node is down: what was sent is `peer_lost`, what was not is placed again."""
        self._now_ns = now_ns
        caller, unsent = self._routes.down(peer)
        if caller is not None:
            self._router.cancel(caller, list(caller.calls))
            caller.out = None
        self._router.place_again(unsent, now_ns=now_ns)

    def peer_message(self, peer: str, payload: bytes, *, now_ns: int) -> None:
        """A message of the INVOKE channel. Never raises for what it holds."""
        self._now_ns = now_ns
        try:
            message = decode(payload)
        except Malformed as error:
            self._events.append(PeerRejected(peer, str(error)))
            return
        record = self._routes.peer(peer)
        if isinstance(message, Calls):
            self._router.cancel(record.caller, message.cancelled)
            self._router.take(record.caller, message.calls, now_ns=now_ns)
        else:
            self._router.place_again(self._routes.answered(record, message), now_ns=now_ns)

    def peer_refused(self, message: ToPeer, *, now_ns: int) -> None:
        """The link would not take a message of `take_outgoing`; its calls were not applied."""
        self._now_ns = now_ns
        self._routes.refused(message)

    def directory_changed(
        self, offers: Mapping[str, Offers], topics: Mapping[str, Sequence[Topic]] = MappingProxyType({})
    ) -> None:
        """What the *other* live nodes offer, and listen to, by node name; replaces what was known."""
        self._subscribers.directory_changed(topics)
        self._directory.replace(offers)
        for actor, _, words in self._conflicts.found(offers):
            self._conflicted(actor, words)
        self._router.names_changed()
        self._channels.names_changed()
        self._lives.owners_changed()
        self._agenda.owners_changed()

    def offers(self) -> Offers:
        """What this node has hosts for, sorted; changes are announced by the event `OffersChanged`."""
        return self._hosts.offers()

    def _activated(self, definition: ActorDefinition, now_ns: int) -> None:
        self._agenda.activated(definition, now_ns=now_ns)
        if definition.channels:
            try:
                self._channels.subscribe(definition, wall_ms=self._turns.wall_ms)
            except ReplicationError:
                # A node that is read-only says so in the reply to the call itself.
                return

    # --- the replica's events

    def state_changed(self, key: EntryKey, touched: Touched, version: int) -> None:
        """`Changed` of the replica, whoever changed it. Give it on before other inputs."""
        if key.system == MESH_SYSTEM:
            self._agenda.changed(key)
            self._forgotten(key)
            return
        if (activation := self._lives.by_key.get(key)) is not None:
            activation.account(touched, version)

    def _forgotten(self, key: EntryKey) -> None:
        """An entry of the system `_mesh` changed: perhaps an instance was deleted, here or on another node."""
        if (gone := self._instances.forgotten(key)) is None:
            return
        for address in [item for item in self._lives.activations if (item.system, item.name) == gone and item.parent]:
            self._agenda.end(address)
            self._lives.put_out_idle(address)

    def committed(self, ticket: Hashable) -> None:
        """`Committed` of the replica; tickets of others are ignored."""
        self._replies.committed(ticket)

    def commit_failed(self, ticket: Hashable, reason: str) -> None:
        """`CommitFailed` of the replica; tickets of others are ignored."""
        self._loaded(ticket, (ErrorCode.STORAGE_FAILED, f"the node's disk failed: {reason:.200}"))
        self._replies.commit_failed(ticket, reason)

    @property
    def active(self) -> int:
        """How many actors are in memory."""
        return len(self._lives.activations)

    @property
    def put_out_early(self) -> int:
        """How many were put out of memory before their time, to make room."""
        return self._lives.put_out_early

    def relieve(self, *, now_ns: int) -> int:
        """Puts a tenth of the actors out of memory, the longest idle ones first; how many it found."""
        self._now_ns = now_ns
        return self._lives.make_room(-(-self.active // RELIEF_PARTS), now_ns=now_ns)

    def level_timeout(self, ticket: Hashable, acks: int, needed: int) -> None:
        """`LevelTimeout` of the replica; tickets of others are ignored."""
        words = f"{needed} voters are asked for the state before an actor's first turn, {acks} answered; call later"
        self._loaded(ticket, (ErrorCode.TIMEOUT, words))
        self._replies.level_timeout(ticket, acks, needed)

    def read_done(self, read: ReadAt) -> None:
        """`ReadAt` of the replica; tickets of others are ignored."""
        self._loaded(read.ticket, None)
        self._turns.own_work.read_done(read)

    def _loaded(self, ticket: Hashable, problem: tuple[ErrorCode, str] | None) -> None:
        if (activation := self._turns.own_work.loads.pop(ticket, None)) is not None:
            self._lives.loaded(activation, problem, now_ns=self._now_ns)

    # --- shutting down

    def drain(self) -> None:
        """Refuses new calls from here on; those that are here go on to their end."""
        self._router.is_draining = True

    @property
    def is_drained(self) -> bool:
        """Draining, and every call has its reply, taken."""
        return self._router.is_draining and not self._replies.are_awaited

    # --- verbs

    def seal(self) -> None:
        """Asks the replica to say when all that the finished turns could have seen is on disk."""
        self._flows.run(now_ns=self._now_ns)
        self._replies.seal()

    def tick(self, *, now_ns: int, wall_ms: int) -> None:
        """Ends what is too late, moves what is at the wrong place, and puts idle actors out of memory."""
        self._now_ns, self._turns.wall_ms = now_ns, wall_ms
        self._router.expire(now_ns=now_ns)
        self._router.retry(now_ns=now_ns)
        self._lives.move(now_ns=now_ns)
        self._lives.passivate(now_ns=now_ns)
        self._agenda.tick(now_ns=now_ns, wall_ms=wall_ms)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; may be early."""
        if self._replies.are_open:
            return self._now_ns
        times = [part.next_deadline_ns() for part in (self._router, self._lives, self._agenda)]
        return min((time_ns for time_ns in times if time_ns is not None), default=None)

    def take_outgoing(self) -> Outgoing:
        """What is to be sent, emptied; the columns are the receiver's to keep."""
        self._flows.run(now_ns=self._now_ns)
        hosts = self._turns.take()
        peers = self._routes.take_calls(self._now_ns)
        callers = []
        for caller, columns in self._replies.take():
            if caller.id is not None:
                callers.append((caller.id, columns))
            elif caller.peer is not None:
                peers.extend(reply_messages(caller.peer, columns))
        return Outgoing(hosts, callers, peers, self._subscribers.take())

    def take_events(self) -> list[Event]:
        """What happened, emptied."""
        events, self._events = self._events, []
        results = self._turns.results
        conflicts, results.conflicts = results.conflicts, []
        events += [StateConflict(actor, count) for actor, count in conflicts]
        return events
