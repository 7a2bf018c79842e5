"""Replicas wired by hand: a network that delivers what it is told to, and disks that sync when they are told to."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.persistence.base import StoreImage
from crdtmesh.replication.levels import parse_level, voters_key
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import (
    Alarm,
    CommitFailed,
    Committed,
    EntryKey,
    Event,
    Persist,
    Rejected,
    SendTo,
)
from crdtmesh.replication.replica import Replica
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.trimming import prefixes
from crdtmesh.replication.updating import UpdateResult

E = TypeVar("E", bound=Event)

LEVEL_TIMEOUT_NS = 5 * SECOND_NS

STOCK = EntryKey("shop", "stock", "PNCounter")
LIST = EntryKey("shop", "list", "ORSet")
PRICE = EntryKey("shop", "price", "LWWRegister")


def add(element: PlainValue) -> Operation:
    return Operation("add", (element,))


def remove(element: PlainValue) -> Operation:
    return Operation("remove", (element,))


def increment(amount: int = 1) -> Operation:
    return Operation("increment", (amount,))


@dataclass
class Node:
    """One replica with its disk. `unsynced` are the groups that a crash forgets."""

    name: str
    replica: Replica
    disk: StoreImage = field(default_factory=StoreImage)
    unsynced: list[Persist] = field(default_factory=list)
    sent: list[SendTo] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def flush(self) -> None:
        """Takes outputs and events."""
        for output in self.replica.take_outgoing():
            if isinstance(output, Persist):
                self.unsynced.append(output)
            else:
                self.sent.append(output)
        self.events += self.replica.take_events()

    def sync(self, *, now_ns: int = 0) -> None:
        """Writes all groups to the disk, until there are no more."""
        self.flush()
        while self.unsynced:
            for group in self.unsynced:
                self.disk.apply(group.records)
            seq = self.unsynced[-1].seq
            self.unsynced.clear()
            self.replica.persisted(seq, now_ns=now_ns)
            self.flush()

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind that came so far."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def committed(self) -> list[Hashable]:
        return [event.ticket for event in self.of(Committed)]

    @property
    def failed(self) -> list[Hashable]:
        return [event.ticket for event in self.of(CommitFailed)]


class Mesh:
    """Replicas by name. Links are up between all of them unless cut."""

    def __init__(self, names: Iterable[str], *, seed: int = 1, options: ReplicationOptions | None = None) -> None:
        self.options = options or ReplicationOptions()
        self.rng = random.Random(seed)
        self.now_ns = 0
        self.nodes: dict[str, Node] = {}
        for name in names:
            self.nodes[name] = Node(name, self.new_replica(name))

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @property
    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.now_ns // 1_000_000

    def new_replica(self, name: str) -> Replica:
        return Replica(
            self.options,
            node=name,
            replica_id=self.rng.randbytes(16),
            rng=random.Random(self.rng.random()),
            now_ns=self.now_ns,
            wall_ms=self.wall_ms,
        )

    def shard(self, name: str, key: EntryKey) -> Shard:
        """The shard of a key at a node, which has something in it."""
        shard = self[name].replica._systems.find_for(key)
        assert shard is not None
        return shard

    def forget_all(self, name: str) -> None:
        """Has a node forget all that its index may, also what others lack, as if a limit was hit."""
        replica = self[name].replica
        for shard in replica._systems:
            if not replica._outlet.checkpoints.is_running and not replica._receiver.holds(shard):
                shard.trim(prefixes(shard.applied))
                replica._repairer.trimmed(shard)

    def connect(self, a: str, b: str) -> None:
        self[a].replica.peer_up(b, now_ns=self.now_ns)
        self[b].replica.peer_up(a, now_ns=self.now_ns)

    def connect_all(self) -> None:
        names = list(self.nodes)
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                self.connect(a, b)

    def disconnect(self, a: str, b: str) -> None:
        self[a].replica.peer_down(b, now_ns=self.now_ns)
        self[b].replica.peer_down(a, now_ns=self.now_ns)

    def update(self, name: str, key: EntryKey, *operations: Operation, ticket: Hashable | None = None) -> UpdateResult:
        return self[name].replica.update(key, operations, ticket=ticket, wall_ms=self.wall_ms)

    def value(self, name: str, key: EntryKey) -> PlainValue:
        entry = self[name].replica.read(key)
        return None if entry is None else entry.value()

    def values(self, key: EntryKey) -> list[PlainValue]:
        return [self.value(name, key) for name in self.nodes]

    def deliver(self, source: str, message: SendTo) -> None:
        self[message.peer].replica.receive(message.payload, source, now_ns=self.now_ns, wall_ms=self.wall_ms)

    def take_sent(self, name: str) -> list[SendTo]:
        node = self[name]
        sent, node.sent = node.sent, []
        return sent

    def drain(self) -> int:
        """Syncs every disk and delivers everything, until nothing moves; returns the number of payloads."""
        count = 0
        moved = True
        while moved:
            moved = False
            for name, node in self.nodes.items():
                node.sync(now_ns=self.now_ns)
                for message in self.take_sent(name):
                    moved = True
                    count += 1
                    self.deliver(name, message)
        return count

    def advance(self, seconds: float = 2.0) -> None:
        """Lets time pass and has every replica tick."""
        self.now_ns += int(seconds * SECOND_NS)
        for node in self.nodes.values():
            node.replica.tick(now_ns=self.now_ns, wall_ms=self.wall_ms)

    def settle(self, rounds: int = 40) -> None:
        """Rounds of anti-entropy until all agree; fails when they don't."""
        for _ in range(rounds):
            self.drain()
            if self.agree():
                return
            self.advance()
        self.drain()
        assert self.agree(), {name: self.digests(name) for name in self.nodes}

    def digests(self, name: str) -> dict[str, str]:
        replica = self[name].replica
        return {system: replica.digest(system).hex() for system in replica.systems()}

    def agree(self) -> bool:
        """All nodes hold equal entries."""
        systems = {system for node in self.nodes.values() for system in node.replica.systems()}
        return all(len({node.replica.digest(system) for node in self.nodes.values()}) == 1 for system in systems)

    def restart(self, name: str, *, keep_disk: bool = True) -> None:
        """Crashes a node: what was not synced is gone, its links are down, its replica id is a new one."""
        for other in self.nodes:
            if other != name:
                self[other].replica.peer_down(name, now_ns=self.now_ns)
        disk = self[name].disk if keep_disk else StoreImage()
        replica = self.new_replica(name)
        replica.load(disk.load())
        self.nodes[name] = Node(name, replica, disk)

    def acknowledge(self, name: str, key: EntryKey, *operations: Operation, level: str, ticket: Hashable) -> None:
        """An update whose ticket waits for a level, for LEVEL_TIMEOUT_NS."""
        result = self.update(name, key, *operations)
        self[name].replica.acknowledge(
            ticket, key, result.event, level=parse_level(level), timeout_ns=LEVEL_TIMEOUT_NS, now_ns=self.now_ns
        )

    def read_at(self, name: str, key: EntryKey, *, level: str, ticket: Hashable) -> None:
        """A read whose ticket waits for a level, for LEVEL_TIMEOUT_NS."""
        self[name].replica.read_at(
            key, level=parse_level(level), ticket=ticket, timeout_ns=LEVEL_TIMEOUT_NS, now_ns=self.now_ns
        )

    def enlist(self, *names: str, system: str = "_mesh") -> None:
        """Puts nodes on a voter list, and lets it settle."""
        self.update(names[0], voters_key(system), *map(add, names))
        self.settle()
        self.advance()
        self.drain()

    def alarms(self, name: str) -> list[str]:
        return [alarm.kind for alarm in self[name].of(Alarm)]

    def rejections(self, name: str) -> list[str]:
        return [event.reason for event in self[name].of(Rejected)]
