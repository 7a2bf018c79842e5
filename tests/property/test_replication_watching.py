"""Watches under random interleavings of updates, peers, disks, slow readers, broken streams and time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.watch import Selection, Watch
from crdtmesh.replication.watching import WatchOptions
from tests.unit.crdtmesh.replication.mesh import Mesh
from tests.unit.crdtmesh.replication.watchers import Desk, Reader

KEYS = [
    EntryKey("shop", "list", "ORSet"),
    EntryKey("shop", "lamp", "ORSet"),
    EntryKey("shop", "list", "GCounter"),
    EntryKey("shop", "stock", "PNCounter"),
    EntryKey("shop", "settings", "LWWMap"),
    EntryKey("shop", "price", "LWWRegister"),
]

SELECTIONS = [
    Selection(system="shop"),
    Selection(system="shop", prefix="l"),
    Selection(system="shop", key="list"),
    Selection(system="shop", type_name="ORSet"),
]


def operation(key: EntryKey, rng: random.Random) -> Operation:
    number = rng.randrange(3)
    if key.type_name == "ORSet":
        return Operation(rng.choice(["add", "remove"]), (number,))
    if key.type_name == "LWWMap":
        return rng.choice([Operation("put", (f"k{number}", rng.randrange(2))), Operation("remove", (f"k{number}",))])
    if key.type_name == "LWWRegister":
        return Operation("set", (number,))
    return Operation("increment", (1,))


class Party:
    """One node that is watched, another one that writes too, and readers that come and go."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.mesh = Mesh("ab", seed=rng.randrange(1_000))
        self.mesh.connect_all()
        self.desk = Desk(mesh=self.mesh, options=WatchOptions(parked_ns_max=rng.choice([10**8, 10**12])))
        self.readers = [Reader() for _ in range(3)]
        self.selections = [rng.choice(SELECTIONS) for _ in self.readers]
        self.watches: list[Watch | None] = [None] * len(self.readers)

    def step(self) -> None:
        rng, desk = self.rng, self.desk
        number = rng.randrange(len(self.readers))
        watch, reader = self.watches[number], self.readers[number]
        kind = rng.randrange(9)
        if kind <= 1:
            key = rng.choice(KEYS)
            self.mesh.update(rng.choice("ab"), key, operation(key, rng))
        elif kind == 2:
            desk.turn()
        elif kind == 3:
            desk.sync()
        elif kind == 4:
            self.mesh.drain()
        elif kind == 5:
            desk.advance_ms(rng.choice([1, 30, 200]))
        elif watch is None:
            self.open(number)
        elif kind == 6:
            desk.watches.park(watch, now_ns=self.mesh.now_ns)
            self.watches[number] = None
        elif kind == 7 and watch.queue and rng.random() < 0.5:
            if rng.random() < 0.5:
                desk.watches.advance(watch)  # written, and lost on the way: its reader comes back without it
            else:
                batch = watch.queue[0]  # it came, and the connection broke before the write returned
                reader.receive(batch, desk.watches.token(watch, batch))
            desk.watches.park(watch, now_ns=self.mesh.now_ns)
            self.watches[number] = None
        else:
            desk.read(watch, reader)

    def open(self, number: int) -> Watch:
        watch = self.desk.open(
            self.selections[number], interval_ms=self.rng.choice([0, 50]), token=self.readers[number].token
        )
        self.watches[number] = watch
        return watch

    def end(self) -> None:
        """All read to the end; what they know is what there is."""
        self.mesh.drain()
        for number, reader in enumerate(self.readers):
            watch = self.watches[number] or self.open(number)
            self.desk.read_all(watch, reader)
            self.desk.advance_ms(100)
            self.desk.read_all(watch, reader)
            assert reader.is_complete
            assert self.desk.state(self.selections[number]) == reader.shown


@given(st.integers(0, 2**32), st.integers(1, 120))
def test_readers_miss_nothing_see_nothing_twice_and_end_with_the_state(seed: int, steps: int) -> None:
    party = Party(random.Random(seed))
    for _ in range(steps):
        party.step()
    party.end()
    for watch in party.watches:
        assert watch is not None
        party.desk.watches.park(watch, now_ns=party.mesh.now_ns)
    party.desk.advance_ms(10**7)
    party.desk.sync()
    assert (0, 0) == (len(party.desk.watches), party.desk.watches.held_bytes)
