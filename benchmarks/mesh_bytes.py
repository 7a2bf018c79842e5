"""Bytes that 15 replicas send for small updates, against full states, plain deltas, and deltas with BP and RR.

The micro-workloads of the ICDE 2019 paper on synchronising state-based types: each replica does one update in each of
100 rounds, adding an element of its own to a set, incrementing a counter, or changing its share of 10, 30, 60 or 100 %
of a map's 1,000 keys; then rounds follow until all agree. The bases send to their neighbours once a round, in a tree or
a mesh of four neighbours. The production core pushes to every peer, as it does in every cluster of this size, and its
digests, vectors and audits are counted too. The cases `linked` give it the links of the bases and no others: then what
is not a neighbour's own comes by repair. All sides use the same codec and framing. Figures are bytes for each update;
less is better. Nothing is random: one run is the result.

Source: Enes, Almeida, Baquero, Leitao, ICDE 2019, section on micro-benchmarks; BP leaves out what came from the
receiver, RR keeps of a received delta only what was news.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.harness import Options, progress
from benchmarks.load import verify
from benchmarks.measures import Line, Sample, compare
from benchmarks.processes import Children
from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.operations import Operation
from crdtmesh.replication import wire
from crdtmesh.replication.events import AnyType, EntryName, Event, KeyDelta
from crdtmesh.replication.options import SECOND_NS, SHARDS_DEFAULT, ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, Persist, SendTo
from crdtmesh.replication.own_dots import OwnDots
from crdtmesh.replication.parts import WHOLE, split
from crdtmesh.replication.replica import Replica

NODES: Final = 15
ROUNDS: Final = 100
MAP_KEYS: Final = 1_000
SYSTEM: Final = "shop"
KEY: Final = "stock"
WALL_MS: Final = 1_750_000_000_000

_Run = tuple[int, Any]
"""Bytes until all agreed, and what they agreed on."""

Share = Callable[[int, int], list[Operation]]
"""The operations of one update, by node and round."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is updated, and how."""

    type_name: str
    share: Share


def _map_share(percent: int) -> Share:
    """Each node has its own part of so many percent of the keys, which it changes in each round."""
    keys = [f"key-{number:03}" for number in range(MAP_KEYS * percent // 100)]
    return lambda node, _: [Operation("increment", (key, 1)) for key in keys[node::NODES]]


WORKLOADS: Final[Mapping[str, Workload]] = {
    "gset": Workload("GSet", lambda node, turn: [Operation("add", (f"element-{node:02}-{turn:03}",))]),
    "gcounter": Workload("GCounter", lambda node, turn: [Operation("increment", (1,))]),
    **{f"gmap{percent}": Workload("PNCounterMap", _map_share(percent)) for percent in (10, 30, 60, 100)},
}
_AROUND: Final = [((node - 1) // 2, 2 * node + 1, 2 * node + 2) for node in range(NODES)]
TREE: Final = [[other for other in _AROUND[node] if 0 <= other < NODES and other != node] for node in range(NODES)]
MESH: Final = [[(node + step) % NODES for step in (-2, -1, 1, 2)] for node in range(NODES)]
ALL: Final = [[other for other in range(NODES) if other != node] for node in range(NODES)]
TOPOLOGIES: Final = {"tree": TREE, "mesh": MESH}

# What spreads by repair waits for rounds and graces; they are met this closely.
_STEPS: Final = 4
CASES: Final = tuple(
    f"{workload}_{topology}_{suffix}"
    for workload in WORKLOADS
    for topology in TOPOLOGIES
    for suffix in ("bytes", "linked_bytes")
)


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases; one run of the production core with all links serves both topologies of a workload."""
    for name, workload in WORKLOADS.items():
        pushed: _Run | None = None
        for topology, links in TOPOLOGIES.items():
            ours: dict[str, _Run] = {}
            if options.wants(case := f"{name}_{topology}_bytes"):
                pushed = pushed or _production(workload, ALL)
                ours[case] = pushed
            if options.wants(case := f"{name}_{topology}_linked_bytes"):
                ours[case] = _production(workload, links, steps=_STEPS)
            if ours:
                yield from _compared(workload, links, ours)


def _compared(workload: Workload, topology: Sequence[Sequence[int]], ours: Mapping[str, _Run]) -> Iterator[Line]:
    """The production core, by case, against each base over a topology."""
    for label, side in (("full states", FullState), ("plain deltas", PlainDelta), ("delta + BP + RR", BpRr)):
        theirs, base_value = _baseline(side, workload, topology)
        for case, (size, value) in ours.items():
            verify(value, base_value)
            progress(f"mesh_bytes {case}: {size:,} bytes, {theirs:,} by {label}")
            yield compare(
                bench="mesh_bytes",
                case=case,
                concurrency=NODES,
                base=(label, [Sample(rate=theirs / NODES / ROUNDS)]),
                subject=("Replica", [Sample(rate=size / NODES / ROUNDS)]),
            )


# --- the production core


def _production(workload: Workload, links: Sequence[Sequence[int]], *, steps: int = 1) -> _Run:
    """Bytes until all agree, and what they agree on.

    Args:
        workload: what they update, once a second.
        links: the peers of each replica.
        steps: how often in a second all replicas look at the clock. Once has all rounds of repair meet all updates.
    """
    names = [f"node-{number:02}" for number in range(NODES)]
    replicas = [
        Replica(
            ReplicationOptions(),
            node=name,
            replica_id=random.Random(number).randbytes(16),
            rng=random.Random(number),
            now_ns=0,
            wall_ms=WALL_MS,
        )
        for number, name in enumerate(names)
    ]
    for number, replica in enumerate(replicas):
        for peer in links[number]:
            replica.peer_up(names[peer], now_ns=0)
    key = EntryKey(SYSTEM, KEY, workload.type_name)
    sent: Counter[str] = Counter()
    turn = now_ns = 0
    while turn < steps * ROUNDS or len({replica.digest(SYSTEM) for replica in replicas}) > 1:
        for number, replica in enumerate(replicas):
            if turn < steps * ROUNDS and turn % steps == 0:
                replica.update(key, workload.share(number, turn // steps), ticket=None, wall_ms=WALL_MS)
            replica.tick(now_ns=now_ns, wall_ms=WALL_MS)
        sent += _deliver(replicas, names, now_ns)
        turn += 1
        now_ns += SECOND_NS // steps
    entry = replicas[0].read(key)
    assert entry is not None
    shares = ", ".join(f"{kind} {size / NODES / ROUNDS:.0f}" for kind, size in sent.most_common())
    progress(f"mesh_bytes {workload.type_name}: bytes for each update by message: {shares}")
    return sent.total(), entry.value()


def _deliver(replicas: Sequence[Replica], names: Sequence[str], now_ns: int) -> Counter[str]:
    """Delivers until nothing is sent; the number of bytes by kind of message."""
    by_name = dict(zip(names, replicas, strict=True))
    sent: Counter[str] = Counter()
    is_moving = True
    while is_moving:
        is_moving = False
        for name, replica in by_name.items():
            for output in _taken(replica, now_ns):
                is_moving = True
                kind = wire.Kind(output.payload[1]).name if output.payload.startswith(WHOLE) else "parts"
                sent[kind] += len(output.payload)
                by_name[output.peer].receive(output.payload, name, now_ns=now_ns, wall_ms=WALL_MS)
    return sent


def _taken(replica: Replica, now_ns: int) -> list[SendTo]:
    sent: list[SendTo] = []
    is_persisting = True
    while is_persisting:
        is_persisting = False
        for output in replica.take_outgoing():
            if isinstance(output, Persist):
                replica.persisted(output.seq, now_ns=now_ns)
                is_persisting = True
            else:
                sent.append(output)
    replica.take_events()
    return sent


# --- the bases


class FullState:
    """A replica that sends all it has, as long as something changed."""

    def __init__(self, data_type: AnyType, table: ReplicaTable, number: int) -> None:
        self.data_type = data_type
        self.state: Delta[Any] = Delta(data_type.bottom(), CausalContext(table))
        clock = HybridClock(random.Random(number).randbytes(16))
        self.mutation = OwnDots(table, clock)
        self.is_changed = False

    def update(self, operations: Sequence[Operation]) -> None:
        """One event: the joined delta of its operations."""
        event: Delta[Any] = Delta(self.data_type.bottom(), CausalContext(self.state.context.table))
        for operation in operations:
            delta = self.data_type.mutate(self.state.store, operation, self.mutation)
            if delta is not None:
                self.join(delta)
                event = deltas.join(self.data_type, event, delta)
        self.keep(event, None)

    def join(self, delta: Delta[Any]) -> None:
        """Takes a delta into the state."""
        store, _ = self.data_type.absorb(self.state.store, self.state.context, delta)
        self.state.context.update(delta.context)
        self.state = Delta(store, self.state.context)

    def keep(self, delta: Delta[Any], source: int | None) -> None:
        """Remembers what to send."""
        self.is_changed = True

    def receive(self, delta: Delta[Any], source: int) -> None:
        """Takes what a neighbour sent."""
        if deltas.difference(self.data_type, delta, self.state).context:
            self.is_changed = True
        self.join(delta)

    def message(self, neighbour: int) -> Delta[Any] | None:
        """What to send to a neighbour in this round."""
        copy = Delta(self.data_type.copy(self.state.store), self.state.context.copy())
        return copy if self.is_changed else None

    def sent(self) -> None:
        """The round's messages are out."""
        self.is_changed = False


class PlainDelta(FullState):
    """A replica that sends what it got since the last round, joined."""

    def __init__(self, data_type: AnyType, table: ReplicaTable, number: int) -> None:
        super().__init__(data_type, table, number)
        self.buffer: list[tuple[Delta[Any], int | None]] = []

    def keep(self, delta: Delta[Any], source: int | None) -> None:
        """Remembers a delta, and where it came from."""
        self.buffer.append((delta, source))

    def receive(self, delta: Delta[Any], source: int) -> None:
        """Keeps all of a delta that has any news."""
        if deltas.difference(self.data_type, delta, self.state).context:
            self.keep(delta, source)
        self.join(delta)

    def message(self, neighbour: int) -> Delta[Any] | None:
        """The join of what was kept."""
        return self._joined([delta for delta, _ in self.buffer])

    def sent(self) -> None:
        """What was kept is out."""
        self.buffer = []

    def _joined(self, kept: Sequence[Delta[Any]]) -> Delta[Any] | None:
        if not kept:
            return None
        group: Delta[Any] = Delta(self.data_type.bottom(), CausalContext(self.state.context.table))
        for delta in kept:
            group = deltas.join(self.data_type, group, delta)
        return group


class BpRr(PlainDelta):
    """A replica that keeps of a delta only what was news (RR), and does not send it back (BP)."""

    def receive(self, delta: Delta[Any], source: int) -> None:
        """Keeps the news."""
        news = deltas.difference(self.data_type, delta, self.state)
        if news.context:
            self.keep(news, source)
            self.join(news)

    def message(self, neighbour: int) -> Delta[Any] | None:
        """The join of what did not come from that neighbour."""
        return self._joined([delta for delta, source in self.buffer if source != neighbour])


def _baseline(side: type[FullState], workload: Workload, topology: Sequence[Sequence[int]]) -> _Run:
    """Bytes until nobody has anything to send, and what all read then."""
    table = ReplicaTable()
    data_type = registry.get(workload.type_name)
    nodes = [side(data_type, table, number) for number in range(NODES)]
    size = turn = 0
    is_moving = True
    while turn < ROUNDS or is_moving:
        if turn < ROUNDS:
            for number, node in enumerate(nodes):
                node.update(workload.share(number, turn))
        outgoing = [(number, each, nodes[number].message(each)) for number in range(NODES) for each in topology[number]]
        for node in nodes:
            node.sent()
        is_moving = False
        for source, destination, message in outgoing:
            if message is not None:
                is_moving = True
                size += _size_of(workload, table, message)
                nodes[destination].receive(message, source)
        turn += 1
    values = [data_type.value(node.state.store) for node in nodes]
    verify([values[0]] * NODES, values)
    return size, values[0]


def _size_of(workload: Workload, table: ReplicaTable, message: Delta[Any]) -> int:
    """The payloads of a message as the production core would send it."""
    first = message.context.bounds[0]
    part = KeyDelta(EntryName(KEY, workload.type_name), registry.get(workload.type_name), message)
    body = wire.encode_push(table, WALL_MS << 16, [(0, [Event(first, first, (part,))])])
    return sum(map(len, split(wire.header(wire.Kind.PUSH, SHARDS_DEFAULT, SYSTEM) + body, 0)))
