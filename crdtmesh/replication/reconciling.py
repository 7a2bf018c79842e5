"""When a node may count in quorums again after a start: once it has what the others had when it came.

A start may bring an empty disk under a name that is on the voter lists. What such a node had confirmed is gone, so
until it has caught up its word is worth nothing: it neither confirms nor is asked. How much catching up it takes:

- A node whose disk has reconciled before, or one that was no voter before: what *one* other had.
- A node that is on the lists with a disk that has not, so was empty not long ago: what `N - N // 2` other voters had.
  Together with itself they meet every majority that its lost copy may have been part of.
- One that is alone on the lists: nothing.

For it each peer is asked once for its E of every shard (TELL); these are the marks to reach. The data itself comes by
anti-entropy.
"""

from typing import Final

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.persistence.base import StateRecord
from crdtmesh.replication import level_wire as lw
from crdtmesh.replication import wire
from crdtmesh.replication.checkpoint import RECONCILED_KEY
from crdtmesh.replication.ground import Ground, VoterLists
from crdtmesh.replication.outputs import Reconciled
from crdtmesh.replication.shard import Shard
from crdtmesh.replication.systems import System


class _Marks:
    """What one peer had when it was asked."""

    __slots__ = ("by_system", "is_complete")

    def __init__(self) -> None:
        self.by_system: dict[str, list[tuple[Shard, CausalContext]]] = {}
        self.is_complete = False

    @property
    def are_reached(self) -> bool:
        """Whether this node has all of it."""
        marks = (mark for found in self.by_system.values() for mark in found)
        return self.is_complete and all(applied.issubset(shard.applied) for shard, applied in marks)


class Reconciler:
    """Decides whether this node counts.

    Args:
        ground: the replica.
        voters: the voter lists.
        number: random; names the questions of this run.
    """

    def __init__(self, ground: Ground, voters: VoterLists, *, number: int) -> None:
        self._ground = ground
        self._voters = voters
        self._number: Final = number
        # Set by what was loaded: this node has all that it ever confirmed. Data alone does not say so: a node that
        # crashes while it catches up on an empty disk comes back with a part.
        self.has_history = False
        self._is_reconciled = False
        self._was_voter = False
        self._marks: dict[str, _Marks] = {}
        self._reached: set[str] = set()
        self._next_ns = 0

    @property
    def is_reconciled(self) -> bool:
        """Whether this node's copy may be counted."""
        if not self._is_reconciled:
            others = self._voters.everyone(self._ground.systems) - {self._ground.node}
            if not others:
                # Alone so far. Not for good: the others' lists may come yet.
                return bool(self._reached) or not self._ground.peers()
            if len(self._reached & others) >= self._required(len(others) + 1):
                self._is_reconciled = True
                self._ground.keep(StateRecord(RECONCILED_KEY, self._ground.node.encode()))
        return self._is_reconciled

    def _required(self, voters: int) -> int:
        return voters - voters // 2 if self._was_voter and not self.has_history else 1

    def counts(self, system: str) -> bool:
        """Whether this node is a voter of a system, and may be counted."""
        return self._ground.node in self._voters.of(system) and self.is_reconciled

    # --- asking

    def peer_up(self, peer: str) -> None:
        """Asks a peer for its marks."""
        if not self._is_reconciled and peer not in self._reached:
            self._marks.setdefault(peer, _Marks())
            self._ground.send(peer, self._ground.header(wire.Kind.TELL) + _number_body(self._number))

    def peer_down(self, peer: str) -> None:
        """What was not told by now will not come."""
        if peer in self._marks and not self._marks[peer].is_complete:
            del self._marks[peer]

    def on_mark(self, peer: str, system: System, mark: lw.Mark) -> None:
        """Takes the marks of one system; those of an earlier answer to the same question are as good."""
        marks = self._marks.get(peer)
        if marks is not None and mark.number == self._number:
            marks.by_system[system.name] = [(system.shard(shard), applied) for shard, applied in mark.applied]

    def on_told(self, peer: str, told: lw.Told) -> None:
        """All marks of a peer should be here; if one was lost the peer is asked again by `tick`."""
        marks = self._marks.get(peer)
        if marks is not None and told.number == self._number:
            marks.is_complete = told.marks <= len(marks.by_system)

    def flush(self) -> None:
        """Looks which marks are reached. Complexity: O(1) once this node is reconciled."""
        if self._is_reconciled:
            return
        for peer, marks in list(self._marks.items()):
            if marks.are_reached:
                del self._marks[peer]
                self._reach(peer)
        if self._reached and self.is_reconciled:
            self._marks.clear()

    def _reach(self, peer: str) -> None:
        if not self._reached:
            # Judged by what a peer knew, before this node puts itself on the lists.
            self._was_voter = self._ground.node in self._voters.everyone(self._ground.systems)
            self._ground.emit(Reconciled())
        self._reached.add(peer)

    def tick(self, *, now_ns: int) -> None:
        """Asks those again that did not answer in full."""
        if self._is_reconciled or now_ns < self._next_ns:
            return
        self._next_ns = now_ns + self._ground.options.repair_interval_ns
        for peer in self._ground.peers():
            if peer not in self._marks or not self._marks[peer].is_complete:
                self.peer_up(peer)

    # --- answering

    def on_tell(self, peer: str, number: int) -> None:
        """Tells a peer what is applied here, shard by shard."""
        systems = self._ground.systems
        marks = 0
        for name in systems.names:
            system = systems.get(name)
            assert system is not None
            applied = tuple((shard.number, shard.applied) for shard in system if shard.applied)
            if applied:
                marks += 1
                body = lw.body(system.table, lw.write_mark, lw.Mark(number, applied))
                self._ground.send(peer, self._ground.header(wire.Kind.MARK, name) + body)
        body = lw.body(ReplicaTable(), lw.write_told, lw.Told(number, marks))
        self._ground.send(peer, self._ground.header(wire.Kind.TOLD) + body)


def _number_body(number: int) -> bytes:
    return lw.body(ReplicaTable(), lw.write_number, number)
