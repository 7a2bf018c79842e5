"""Nodes for the tests: the production `Replica` and `Runtime`, driven by hand, and hosts that run real turns.

`Node.flush` does what the engine does in a loop turn. Time stands until `advance`; the disk syncs at each flush unless
`is_disk_held`. Nodes that are `link`ed exchange their messages in `deliver`. A `Host` keeps copies of states as an SDK
does: updates and turns of one actor in order, its own operations applied to its copy.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.levels import Level, voters_key
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import (
    Changed,
    CommitFailed,
    Committed,
    EntryKey,
    LevelTimeout,
    Persist,
    ReadAt,
    SendTo,
)
from crdtmesh.replication.replica import Replica
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.errors import ErrorCode
from crdtmesh.runtime.events import Event
from crdtmesh.runtime.messages import (
    Call,
    CallerId,
    CallExtra,
    CallFailure,
    ChannelMessage,
    HostId,
    StateUpdate,
    ToPeer,
    TurnColumns,
    UpdateTerms,
)
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.runtime import Runtime

MS_NS = 1_000_000
CALLER = CallerId(1)
SYSTEM = "shop"
TYPE_URL = "type.googleapis.com/test.Bytes"

STOCK = ActorAddress(SYSTEM, "stock")
LIST = ActorAddress(SYSTEM, "list")
ECHO = ActorAddress(SYSTEM, "echo")

STOCK_KEY = EntryKey(SYSTEM, "stock", "PNCounter")
LIST_KEY = EntryKey(SYSTEM, "list", "ORSet")

ACTIONS = frozenset({"increment", "add", "remove", "echo", "fail", "break"})


def definition(actor: ActorAddress, type_name: str | None = None, **changes: Any) -> ActorDefinition:
    """An actor with the actions that `Host` has."""
    fields: dict[str, Any] = {
        "address": actor,
        "is_stateful": type_name is not None,
        "state_type": None if type_name is None else f"crdtmesh.v1.{type_name}",
        "actions": ACTIONS,
    }
    return ActorDefinition(**{**fields, **changes})


SHOP = (definition(STOCK, "PNCounter"), definition(LIST, "ORSet"), definition(ECHO))


@dataclass
class Reply:
    """A call that went well."""

    type_url: str
    payload: bytes


@dataclass
class SeenTurn:
    """A turn as the host got it."""

    number: int
    actor: ActorAddress
    action: str
    payload: bytes
    timeout_ms: int


class Node:
    """One node, without sockets and disk."""

    def __init__(self, name: str = "a", **options: Any) -> None:
        self.name = name
        self.now_ns = 1_000 * MS_NS
        self.wall_ms = 1_700_000_000_000
        self.replica = Replica(
            ReplicationOptions(),
            node=name,
            replica_id=name.encode().ljust(16, b"-"),
            rng=random.Random(name),
            now_ns=self.now_ns,
            wall_ms=self.wall_ms,
        )
        self.runtime = Runtime(
            RuntimeOptions(**options),
            placement=Placement(name, b"key"),
            replica=self.replica,
            encode_state=lambda type_name, value: json.dumps([type_name, value]).encode(),
            now_ns=self.now_ns,
        )
        self.is_disk_held = False
        self.unsynced: list[int] = []
        self.outcomes: dict[tuple[CallerId, int], list[Reply | CallFailure]] = {}
        self.turns: dict[HostId, list[TurnColumns]] = {}
        self.calls_to_peers: list[ToPeer] = []
        self.messages: list[tuple[CallerId, ChannelMessage]] = []
        self.pushes: list[SendTo] = []
        self.events: list[Event] = []
        self._hosts = 0
        self.calls = 0

    # --- inputs

    def connect(self, *definitions: ActorDefinition, keeps_state: bool = True) -> "Host":
        """A host that offers these actors, or the three of the shop."""
        self._hosts += 1
        host = HostId(self._hosts)
        self.runtime.host_connected(host, definitions or SHOP, keeps_state=keeps_state, now_ns=self.now_ns)
        self.flush()
        return Host(self, host)

    def lose(self, host: "Host") -> None:
        """The host's stream ends; what was sent to it and not read is gone."""
        self.turns.pop(host.id, None)
        self.runtime.host_lost(host.id, now_ns=self.now_ns)
        self.flush()

    def call(
        self,
        actor: ActorAddress,
        action: str,
        payload: bytes = b"",
        *,
        timeout_ms: int = 0,
        caller: CallerId = CALLER,
        extra: CallExtra | None = None,
    ) -> int:
        """One call; gives its id."""
        self.calls += 1
        call = Call(self.calls, actor, action, TYPE_URL, payload, timeout_ms, extra)
        self.runtime.invoke(caller, [call], now_ns=self.now_ns)
        self.flush()
        return self.calls

    def cancel(self, call: int) -> None:
        """The caller no longer waits."""
        self.runtime.cancel(CALLER, [call], now_ns=self.now_ns)
        self.flush()

    def update(self, key: EntryKey, name: str, *arguments: Any, level: Level | None = None) -> int:
        """`State.Update`; gives its id."""
        self.calls += 1
        operations = [Operation(name, arguments)]
        self.runtime.update_state(
            CALLER,
            self.calls,
            [(key, operations)],
            terms=UpdateTerms(level=level),
            now_ns=self.now_ns,
            wall_ms=self.wall_ms,
        )
        self.flush()
        return self.calls

    def update_all(self, updates: list[tuple[EntryKey, list[Operation]]]) -> int:
        """`State.Update` of several entries; gives its id."""
        self.calls += 1
        self.runtime.update_state(CALLER, self.calls, updates, now_ns=self.now_ns, wall_ms=self.wall_ms)
        self.flush()
        return self.calls

    def advance(self, ms: int) -> None:
        """Lets time pass."""
        self.now_ns += ms * MS_NS
        self.wall_ms += ms
        self.replica.tick(now_ns=self.now_ns, wall_ms=self.wall_ms)
        self._take_replica()
        self.runtime.tick(now_ns=self.now_ns, wall_ms=self.wall_ms)
        self.flush()

    # --- voters

    def enlist(self, *voters: str) -> None:
        """Puts nodes on the voter list."""
        operations = [Operation("add", (name,)) for name in voters]
        self.replica.update(voters_key("_mesh"), operations, ticket=None, wall_ms=self.wall_ms)
        self.flush()

    def meet(self, other: "Node") -> None:
        """Links the replicas of two nodes, and exchanges what they send until nothing moves."""
        self.replica.peer_up(other.name, now_ns=self.now_ns)
        other.replica.peer_up(self.name, now_ns=other.now_ns)
        self.exchange(other)

    def exchange(self, other: "Node") -> None:
        """Delivers what two replicas send to each other until nothing moves."""
        self.flush()
        other.flush()
        while self.pushes or other.pushes:
            for source, target in ((self, other), (other, self)):
                pushes, source.pushes = source.pushes, []
                for push in pushes:
                    target.replica.receive(push.payload, source.name, now_ns=target.now_ns, wall_ms=target.wall_ms)
                target.flush()

    # --- the disk

    def sync(self) -> None:
        """The disk finishes what it was given."""
        for seq in self.unsynced:
            self.replica.persisted(seq, now_ns=self.now_ns)
        self.unsynced.clear()
        self.flush()

    def break_disk(self) -> None:
        """The disk fails under what it was given."""
        self.replica.persist_failed(self.unsynced[0], "no space left")
        self.unsynced.clear()
        self.flush()

    # --- what came out

    def outcome(self, call: int, caller: CallerId = CALLER) -> Reply | CallFailure | None:
        """What the caller was told; None while it waits."""
        told = self.outcomes.get((caller, call), [])
        assert len(told) <= 1, f"call {call} has {len(told)} outcomes: {told}"
        return told[0] if told else None

    def failure(self, call: int) -> CallFailure:
        """How a call failed."""
        outcome = self.outcome(call)
        assert isinstance(outcome, CallFailure), f"call {call}: {outcome}"
        return outcome

    def reply(self, call: int) -> Reply:
        """The reply to a call that went well."""
        return self.reply_to(CALLER, call)

    def reply_to(self, caller: CallerId, call: int) -> Reply:
        """The same, for a caller of its own."""
        outcome = self.outcome(call, caller)
        assert isinstance(outcome, Reply), f"call {call}: {outcome}"
        return outcome

    def value(self, key: EntryKey) -> Any:
        """The state on this node."""
        entry = self.replica.read(key)
        return None if entry is None else entry.value()

    # --- the engine

    def flush(self) -> None:
        """One loop turn, and more until nothing moves."""
        is_moving = True
        while is_moving:
            is_moving = self._take_replica()
            self.runtime.seal()
            is_moving |= self._take_replica()
            is_moving |= self._take_runtime()

    def _take_replica(self) -> bool:
        outgoing = self.replica.take_outgoing()
        for output in outgoing:
            if isinstance(output, SendTo):
                self.pushes.append(output)
            elif isinstance(output, Persist):
                self.unsynced.append(output.seq)
        if not self.is_disk_held:
            for seq in self.unsynced:
                self.replica.persisted(seq, now_ns=self.now_ns)
            self.unsynced.clear()
        events = self.replica.take_events()
        for event in events:
            if isinstance(event, Committed):
                self.runtime.committed(event.ticket)
            elif isinstance(event, CommitFailed):
                self.runtime.commit_failed(event.ticket, event.reason)
            elif isinstance(event, Changed):
                self.runtime.state_changed(event.key, event.touched, event.version)
            elif isinstance(event, LevelTimeout):
                self.runtime.level_timeout(event.ticket, event.acks, event.needed)
            elif isinstance(event, ReadAt):
                self.runtime.read_done(event)
        return bool(outgoing or events)

    def _take_runtime(self) -> bool:
        outgoing = self.runtime.take_outgoing()
        for host, columns in outgoing.hosts:
            self.turns.setdefault(host, []).append(columns)
        for caller, replies in outgoing.callers:
            for call, type_url, payload in zip(replies.ids, replies.type_urls, replies.payloads, strict=True):
                self.outcomes.setdefault((caller, call), []).append(Reply(type_url, payload))
            for failure in replies.failures:
                self.outcomes.setdefault((caller, failure.id), []).append(failure)
        self.calls_to_peers.extend(outgoing.peers)
        self.messages.extend(outgoing.messages)
        self.events.extend(self.runtime.take_events())
        return any(outgoing)


@dataclass
class Host:
    """A host of a node, with a copy of each actor's state that it was sent.

    Attributes:
        copies: plain values: an integer, or a set.
        queue: states and turns that were read and not worked off.
        updates: all state updates that it got.
        released, cancelled: what it was told.
    """

    node: Node
    id: HostId
    copies: dict[ActorAddress, Any] = field(default_factory=dict)
    queue: list[SeenTurn | StateUpdate] = field(default_factory=list)
    updates: list[StateUpdate] = field(default_factory=list)
    released: list[ActorAddress] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)

    def take(self) -> list[SeenTurn]:
        """Reads what was sent, and gives the turns in it; they wait in `queue` until `run`."""
        new: list[SeenTurn] = []
        for columns in self.node.turns.pop(self.id, []):
            self.released.extend(columns.released)
            self.updates.extend(columns.states)
            self.cancelled.extend(columns.cancelled)
            turns = zip(
                columns.turns, columns.actors, columns.actions, columns.payloads, columns.timeouts_ms, strict=True
            )
            seen = [SeenTurn(*turn) for turn in turns]
            assert len(columns.type_urls) == len(seen)
            self.queue += [*columns.states, *seen]
            new += seen
        return new

    def run(self, count: int | None = None) -> None:
        """Works off the next `count` turns, or all, and answers them in one batch."""
        self.take()
        answers: list[tuple[int, str, bytes, Any]] = []
        failures: list[tuple[int, str, int]] = []
        while self.queue and (count is None or len(answers) + len(failures) < count):
            item = self.queue.pop(0)
            if isinstance(item, StateUpdate):
                self._update(item)
            elif item.action == "fail":
                failures.append((item.number, "it broke", ErrorCode.HANDLER_ERROR))
            else:
                answers.append((item.number, TYPE_URL, self._see(item.actor), self._handle(item)))
        self.answer(answers, failures)

    def run_all(self) -> None:
        """Works until the node has no more turns for it."""
        while self.queue or self.node.turns.get(self.id):
            self.run()

    def answer(self, answers: list[tuple[int, str, bytes, Any]], failures: list[tuple[int, str, int]]) -> None:
        """Answers turns."""
        node = self.node
        node.runtime.host_answered(self.id, answers, failures, now_ns=node.now_ns, wall_ms=node.wall_ms)
        node.flush()

    def _update(self, update: StateUpdate) -> None:
        if update.is_whole:
            value: Any = update.value
            self.copies[update.actor] = set(value) if update.type_name == "ORSet" else value
        else:
            self.copies[update.actor] |= set(update.added)
            self.copies[update.actor] -= set(update.removed)

    def _see(self, actor: ActorAddress) -> bytes:
        """What the handler sees, as the reply's payload."""
        value = self.copies.get(actor)
        return json.dumps(sorted(value) if isinstance(value, set) else value).encode()

    def _handle(self, turn: SeenTurn) -> tuple[Operation, ...]:
        """The turn's operations, applied to the copy."""
        text = turn.payload.decode()
        if turn.action == "increment":
            self.copies[turn.actor] += int(text or 1)
            return (Operation("increment", (int(text or 1),)),)
        if turn.action == "add":
            self.copies[turn.actor] |= {text}
            return (Operation("add", (text,)),)
        if turn.action == "remove":
            self.copies[turn.actor] -= {text}
            return (Operation("remove", (text,)),)
        if turn.action == "break":
            self.copies[turn.actor] = {"nonsense"}
            return (Operation("explode"),)
        return ()


def link(a: Node, b: Node) -> None:
    """The two have a link, and know what the other offers."""
    for node, other in ((a, b), (b, a)):
        node.replica.peer_up(other.name, now_ns=node.now_ns)
        node.runtime.peer_up(other.name)
        node.runtime.directory_changed({other.name: other.runtime.offers()})
    deliver(a, b)


def unlink(a: Node, b: Node) -> None:
    """The link is down; what was under way is gone."""
    for node, other in ((a, b), (b, a)):
        node.pushes.clear()
        node.calls_to_peers.clear()
        node.replica.peer_down(other.name, now_ns=node.now_ns)
        node.runtime.peer_down(other.name, now_ns=node.now_ns)
        node.flush()


def deliver(a: Node, b: Node) -> None:
    """Carries all messages between two linked nodes until there are none."""
    a.flush()
    b.flush()
    while any((a.pushes, b.pushes, a.calls_to_peers, b.calls_to_peers)):
        for node, other in ((a, b), (b, a)):
            pushes, node.pushes = node.pushes, []
            for push in pushes:
                other.replica.receive(push.payload, node.name, now_ns=other.now_ns, wall_ms=other.wall_ms)
            messages, node.calls_to_peers = node.calls_to_peers, []
            for message in messages:
                other.runtime.peer_message(node.name, message.payload, now_ns=other.now_ns)
            other.flush()
