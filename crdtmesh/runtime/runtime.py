"""The actors of one node: calls come in as values, turns and replies go out as values. A core, without I/O.

The face of the package: where a call goes and when an actor is in memory is decided in `router`, what happens within a
turn in `turns`. Each call gets exactly one reply, unless its caller is lost or cancels it.

Driven by the node's engine, in this order on every loop turn: inputs (`invoke`, `host_answered`, `peer_message`, and
the replica's events as soon as they are there: `state_changed`, `committed`, `commit_failed`), then `seal`, then the
replica's outputs and events, then `take_outgoing` and `take_events`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from crdtmesh.crdts import registry
from crdtmesh.crdts.base import Touched
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.levels import Level
from crdtmesh.replication.outputs import EntryKey, ReadAt
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.agenda import Agenda
from crdtmesh.runtime.channels import Channels
from crdtmesh.runtime.definition import (
    MESH_SYSTEM,
    ActorAddress,
    ActorDefinition,
    address_of,
    check_definitions,
    check_name,
)
from crdtmesh.runtime.directory import Directory
from crdtmesh.runtime.errors import ErrorCode, RegistrationRefused, SpawnRefused
from crdtmesh.runtime.flows import Flows
from crdtmesh.runtime.hosts import Hosts
from crdtmesh.runtime.instances import Instances
from crdtmesh.runtime.messages import CallerId, HostId, Offers, Operations, Outgoing, ToPeer
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.own_work import StateEncoder
from crdtmesh.runtime.peer_codec import Calls, Malformed, decode
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.router import Router
from crdtmesh.runtime.routes import Routes, reply_messages
from crdtmesh.runtime.schedules import Schedules
from crdtmesh.runtime.turn import CallTuple, Turn, TurnKind
from crdtmesh.runtime.turns import Turns

__all__ = ["Event", "OffersChanged", "PeerRejected", "Runtime", "StateConflict"]


class OffersChanged(NamedTuple):
    """`Runtime.offers` gives something else now: publish it."""


class PeerRejected(NamedTuple):
    """A peer's message was not understood; nothing was changed."""

    peer: str
    reason: str


class StateConflict(NamedTuple):
    """An opaque state had been written at two places at once; the values that were not kept were put aside.

    Attributes:
        actor: whose state.
        losers: how many values were put aside.
    """

    actor: ActorAddress
    losers: int


Event = OffersChanged | PeerRejected | StateConflict


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
        live: dict[int, Turn] = {}
        self._replies = Replies(replica, live)
        self._turns = Turns(options, replica=replica, replies=self._replies, live=live, encode_state=encode_state)
        self._routes = Routes(options, self._replies)
        self._hosts = Hosts(options.definitions_max, options.window_max)
        self._directory = Directory()
        self._instances = Instances(replica, self._hosts, self._directory)
        self._router = Router(
            options,
            placement=placement,
            live=live,
            replies=self._replies,
            turns=self._turns,
            routes=self._routes,
            instances=self._instances,
        )
        self._channels = Channels(replica, self._instances)
        self._flows = Flows(self._replies, self._router, self._channels, self._instances)
        schedules = Schedules(replica, replica.replica_id.hex())
        self._agenda = Agenda(schedules, flows=self._flows, router=self._router, replies=self._replies)
        self._router.on_activated = self._activated
        self._router.on_scheduled = lambda turn, now_ns: self._agenda.schedule(turn, now_ns=now_ns)
        self._events: list[Event] = []

    # --- hosts

    def register(self, definitions: Sequence[ActorDefinition]) -> None:
        """Declares actors without a host, as `Actors.Register` does; known ones are overwritten.

        Raises:
            RegistrationRefused: one of them can't run here, or there are too many; none was registered.
        """
        check_definitions(definitions)
        _check_types(definitions)
        self._hosts.declare(definitions)
        self._names_changed()

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
        """
        self.register(definitions)
        self._hosts.connect(host, definitions, keeps_state=keeps_state)
        self._now_ns = now_ns
        for definition in definitions:
            self._router.redefine(definition, now_ns=now_ns)
            self._router.activate_eagerly(definition, now_ns=now_ns)
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
        record = self._hosts.get(host)
        if record is None:
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
            self._router.settle_drained(now_ns=now_ns)

    def host_lost(self, host: HostId, *, now_ns: int) -> None:
        """The host's stream has ended: what it had is `host_lost`, what waited for it is placed again."""
        record = self._hosts.lose(host)
        if record is None:
            return
        self._now_ns = now_ns
        self._router.host_lost(record, now_ns=now_ns)
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
        found = self._instances.forget(actor, wall_ms=wall_ms)
        if found:
            self._channels.unsubscribe(actor, wall_ms=wall_ms)
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
        level: Level | None = None,
        operation_id: str = "",
        timeout_ms: int = 0,
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
        call = (update, address_of(key.system, key.key), "", "", b"", timeout_ms, None)
        turn = self._router.admit(self._replies.caller(caller), call, now_ns=now_ns)
        if turn is not None:
            turn.kind = TurnKind.UPDATE
            turn.key = key
            turn.others = others
            turn.operation_id = operation_id
            turn.write_level = level
            turn.operations = operations
            self._router.update(turn, key, now_ns=now_ns)

    def cancel(self, caller: CallerId, ids: Iterable[int], *, now_ns: int) -> None:
        """The caller no longer waits for these: they get no reply, and what was not dispatched is dropped."""
        self._now_ns = now_ns
        record = self._replies.known(caller)
        if record is not None:
            self._router.cancel(record, ids)

    def caller_lost(self, caller: CallerId, *, now_ns: int) -> None:
        """Cancels all calls of this caller and forgets it."""
        self._now_ns = now_ns
        record = self._replies.known(caller)
        if record is not None:
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

    def directory_changed(self, offers: Mapping[str, Offers]) -> None:
        """What the *other* live nodes offer, by node name; replaces what was known."""
        self._directory.replace(offers)
        self._names_changed()
        self._router.owners_changed()

    def offers(self) -> Offers:
        """What this node has hosts for, sorted; changes are announced by the event `OffersChanged`."""
        return self._hosts.offers()

    def _names_changed(self) -> None:
        self._router.names_changed()
        self._channels.names_changed()

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
        activation = self._router.by_key.get(key)
        if activation is not None:
            activation.account(touched, version)

    def _forgotten(self, key: EntryKey) -> None:
        """An entry of the system `_mesh` changed: perhaps an instance was deleted, here or on another node."""
        gone = self._instances.forgotten(key)
        if gone is None:
            return
        for address in [item for item in self._router.activations if (item.system, item.name) == gone and item.parent]:
            self._agenda.forget(address)
            self._router.put_out_idle(address)

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
        return len(self._router.activations)

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
        activation = self._turns.own_work.loads.pop(ticket, None)
        if activation is not None:
            self._router.loaded(activation, problem, now_ns=self._now_ns)

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
        self._now_ns = now_ns
        self._turns.wall_ms = wall_ms
        self._router.expire(now_ns=now_ns)
        self._router.move(now_ns=now_ns)
        self._router.passivate(now_ns=now_ns)
        self._agenda.tick(now_ns=now_ns, wall_ms=wall_ms)

    def next_deadline_ns(self) -> int | None:
        """When `tick` is wanted; may be early."""
        if self._replies.are_open:
            return self._now_ns
        times = (self._router.next_deadline_ns(), self._agenda.next_deadline_ns())
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
        return Outgoing(hosts, callers, peers)

    def take_events(self) -> list[Event]:
        """What happened, emptied."""
        events, self._events = self._events, []
        results = self._turns.results
        conflicts, results.conflicts = results.conflicts, []
        events += [StateConflict(actor, count) for actor, count in conflicts]
        return events


def _check_types(definitions: Sequence[ActorDefinition]) -> None:
    for definition in definitions:
        if definition.type_name is not None:
            try:
                registry.get(definition.type_name)
            except UnknownType as error:
                raise RegistrationRefused(f"actor {definition.address}: {error}") from error
