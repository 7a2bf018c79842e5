"""Any history of updates, losses, repeats, reorderings, trimmings, partial syncs and crashes ends in equal replicas.

Checked at the end of each history, after repair: all digests are equal, every acknowledged update is there, and no
update counts twice. At every step: E is part of C, every live dot is in C, and the index has every dot of C.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.options import SECOND_NS, ReplicationOptions
from crdtmesh.replication.outputs import EntryKey, SendTo
from tests.unit.crdtmesh.replication.mesh import Mesh

NAMES = "abc"
names = st.sampled_from(NAMES)
elements = st.integers(0, 3)
SETS = [EntryKey("shop", f"set{number}", "ORSet") for number in range(3)]
LEDGER = EntryKey("shop", "ledger", "ORSet")
COUNTER = EntryKey("shop", "stock", "PNCounter")
PRICE = EntryKey("shop", "price", "LWWRegister")

set_operations = st.one_of(
    elements.map(lambda element: Operation("add", (element,))),
    elements.map(lambda element: Operation("remove", (element,))),
    st.just(Operation("clear")),
)


class MeshMachine(RuleBasedStateMachine):
    """Three replicas; Hypothesis is the network, the disks and the users."""

    def __init__(self) -> None:
        super().__init__()
        options = ReplicationOptions(
            shards=2, checkpoint_log_rows=4, checkpoint_slice_entries=1, trim_runs_min=1, trim_interval_ns=SECOND_NS
        )
        self.mesh = Mesh(NAMES, options=options)
        self.in_flight: list[tuple[str, SendTo]] = []
        self.written = 0
        self.counted = 0
        # By node, since its last crash: what each ticket wrote. Acknowledged ones move to `promised`.
        self.open: dict[str, dict[int, tuple[str, int]]] = {name: {} for name in NAMES}
        self.promised: list[tuple[str, int]] = []

    @initialize()
    def connect(self) -> None:
        self.mesh.connect_all()

    # --- users

    @rule(name=names, key=st.sampled_from(SETS), operations=st.lists(set_operations, min_size=1, max_size=3))
    def change_set(self, name: str, key: EntryKey, operations: list[Operation]) -> None:
        self.mesh.update(name, key, *operations)

    @rule(name=names)
    def write_ledger(self, name: str) -> None:
        """Adds an element that nobody removes: it must never be lost once acknowledged."""
        self.written += 1
        self.open[name][self.written] = ("ledger", self.written)
        self.mesh.update(name, LEDGER, Operation("add", (self.written,)), ticket=self.written)

    @rule(name=names, amount=st.integers(1, 5))
    def count(self, name: str, amount: int) -> None:
        self.written += 1
        self.counted += amount
        self.open[name][self.written] = ("count", amount)
        self.mesh.update(name, COUNTER, Operation("increment", (amount,)), ticket=self.written)

    @rule(name=names, value=elements)
    def set_price(self, name: str, value: int) -> None:
        self.mesh.update(name, PRICE, Operation("set", (value,)))

    # --- disks

    @rule(name=names)
    def sync(self, name: str) -> None:
        self.mesh[name].sync(now_ns=self.mesh.now_ns)
        self.collect(name)

    @rule(name=names)
    def sync_one_group(self, name: str) -> None:
        node = self.mesh[name]
        node.flush()
        if node.unsynced:
            group = node.unsynced.pop(0)
            node.disk.apply(group.records)
            node.replica.persisted(group.seq, now_ns=self.mesh.now_ns)
        self.collect(name)

    @rule(name=names)
    def crash(self, name: str) -> None:
        self.collect(name)
        self.open[name].clear()
        self.mesh.restart(name)
        for other in NAMES:
            if other != name:
                self.mesh.connect(name, other)

    def collect(self, name: str) -> None:
        node = self.mesh[name]
        node.flush()
        self.in_flight += [(name, message) for message in self.mesh.take_sent(name)]
        for ticket in node.committed:
            if isinstance(ticket, int) and ticket in self.open[name]:
                self.promised.append(self.open[name].pop(ticket))

    # --- network

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), keep=st.booleans())
    def deliver(self, data: st.DataObject, keep: bool) -> None:
        at = data.draw(st.integers(0, len(self.in_flight) - 1))
        source, message = self.in_flight[at] if keep else self.in_flight.pop(at)
        self.mesh.deliver(source, message)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.mesh.advance(seconds)

    @rule(name=names)
    def forget_all(self, name: str) -> None:
        """Hits a limit of the index: it forgets also what others lack."""
        self.mesh.forget_all(name)

    @rule(name=names, other=names)
    def cut(self, name: str, other: str) -> None:
        if name != other:
            self.mesh.disconnect(name, other)
            self.mesh.connect(name, other)

    # --- checks

    @invariant()
    def contexts_hold(self) -> None:
        for node in self.mesh.nodes.values():
            for shard in node.replica._systems:
                assert shard.applied.issubset(shard.known)
                for entry in shard.entries.sorted():
                    assert all(dot in shard.known for dot in entry.data_type.dots(entry.store))
                assert shard.low.issubset(shard.applied)
                for first, last in shard.known.difference(shard.low).intervals():
                    covered = sum(high - low + 1 for low, high, _ in shard.owners_within(first, last))
                    assert last - first + 1 == covered

    def teardown(self) -> None:
        for name in NAMES:
            self.collect(name)
        self.mesh.settle()
        for name in NAMES:
            self.collect(name)
            ledger = self.mesh.value(name, LEDGER) or ()
            assert isinstance(ledger, tuple)
            assert {value for kind, value in self.promised if kind == "ledger"} <= set(ledger)
            counted = self.mesh.value(name, COUNTER) or 0
            assert isinstance(counted, int)
            assert sum(value for kind, value in self.promised if kind == "count") <= counted <= self.counted
            assert [] == self.mesh.alarms(name)
            assert {"stale_repair", "stale_offer", "stale_vectors"} >= set(self.mesh.rejections(name))


TestMesh = MeshMachine.TestCase
TestMesh.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
