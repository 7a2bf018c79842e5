"""Replicas wired by hand: a scenario says itself which payload goes where, and when."""

import random

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.options import ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist, SendTo
from crdtmesh.replication.replica import Replica
from crdtmesh.replication.trimming import prefixes
from crdtmesh.replication.wire import Kind
from simulations.scheduler import SECOND_NS

SYSTEM = "shop"
WALL_MS = 1_750_000_000_000


class Hand:
    """Some replicas, all linked to each other; nothing travels unless `deliver` says so.

    Every group is on disk at once. Time stands still but for `ask`, and where a scenario moves the wall clock on.

    Args:
        names: of the replicas.
        options: of all of them.
    """

    def __init__(self, *names: str, options: ReplicationOptions | None = None) -> None:
        self.now_ns = 0
        self.wall_ms = WALL_MS
        self.replicas = {
            name: Replica(
                options or ReplicationOptions(),
                node=name,
                replica_id=name.encode().ljust(16, b"."),
                rng=random.Random(number),
                now_ns=0,
                wall_ms=WALL_MS,
            )
            for number, name in enumerate(names)
        }
        self._waiting: dict[tuple[str, str], list[bytes]] = {}
        for name, replica in self.replicas.items():
            for peer in names:
                if peer != name:
                    replica.peer_up(peer, now_ns=0)
            self._flush(name)
        self._waiting.clear()

    def update(
        self, name: str, key: str, type_name: str, operation: str, *arguments: PlainValue, ttl_ms: int | None = None
    ) -> None:
        """One update at one replica; its pushes wait for delivery."""
        self.replicas[name].update(
            EntryKey(SYSTEM, key, type_name),
            [Operation(operation, arguments)],
            ticket=None,
            wall_ms=self.wall_ms,
            ttl_ms=ttl_ms,
        )
        self._flush(name)

    def waiting(self, source: str, destination: str) -> int:
        """How many payloads are on their way."""
        return len(self._waiting.get((source, destination), ()))

    def deliver(self, source: str, destination: str, count: int | None = None) -> None:
        """Delivers the oldest payloads on a path, all that are there now by default."""
        payloads = self._waiting.get((source, destination), [])
        taken = payloads[:count]
        del payloads[: len(taken)]
        for payload in taken:
            self.replicas[destination].receive(payload, source, now_ns=self.now_ns, wall_ms=self.wall_ms)
            self._flush(destination)

    def lose(self, source: str, destination: str) -> None:
        """Loses what is on its way on a path."""
        self._waiting.pop((source, destination), None)

    def ask(self, name: str, peer: str) -> None:
        """Has one replica ask one peer for a repair in full, as when its link took no pushes."""
        replica = self.replicas[name]
        replica.refused(peer, now_ns=self.now_ns)
        while not self.waiting(name, peer):
            self.now_ns += SECOND_NS
            replica.tick(now_ns=self.now_ns, wall_ms=self.wall_ms)
            self._flush(name)

    def tick(self, name: str) -> None:
        """Has one replica do what is due."""
        self.replicas[name].tick(now_ns=self.now_ns, wall_ms=self.wall_ms)
        self._flush(name)

    def forget(self, name: str) -> None:
        """Has one replica forget to which entries events belong, as if a limit was hit."""
        replica = self.replicas[name]
        for shard in replica._systems:
            shard.trim(prefixes(shard.applied))
            replica._repairer.trimmed(shard)

    def value(self, name: str, key: str, type_name: str) -> PlainValue:
        """What an entry reads as; None without state."""
        view = self.replicas[name].read(EntryKey(SYSTEM, key, type_name))
        return None if view is None else view.value()

    def settle(self) -> None:
        """Repairs every pair, both ways, until nothing travels any more."""
        for name in self.replicas:
            for peer in self.replicas:
                if name != peer:
                    self.ask(name, peer)
                    while self.waiting(name, peer) or self.waiting(peer, name):
                        self.deliver(name, peer)
                        self.deliver(peer, name)

    def _flush(self, name: str) -> None:
        replica = self.replicas[name]
        persisted = True
        while persisted:
            persisted = False
            for output in replica.take_outgoing():
                if isinstance(output, Persist):
                    replica.persisted(output.seq, now_ns=self.now_ns)
                    persisted = True
                else:
                    assert isinstance(output, SendTo)
                    if output.payload[1] >= Kind.CONFIRM:
                        continue  # what levels ask has no part in what is told here
                    self._waiting.setdefault((name, output.peer), []).append(output.payload)
        replica.take_events()
