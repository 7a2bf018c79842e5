"""Worlds: three replicas of one state that operate, and exchange deltas with loss, repetition and reordering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crdtmesh.crdts import deltas
from crdtmesh.crdts.base import DataType, Delta
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.state import State

__all__ = ["REPLICA_IDS", "Step", "World"]

REPLICA_IDS: Final = tuple(bytes([byte]) * 16 for byte in (7, 200, 42))
"""Not in order of interning: whoever orders by the interned integer instead of these bytes is caught."""


@dataclass(frozen=True)
class Step:
    """One step of a world.

    Attributes:
        at: which replica takes it.
        operation: what it does; None to take in what `source` names.
        source: draws a delta or a replica.
        now_ms: its wall clock.
    """

    at: int
    operation: Operation | None
    source: int
    now_ms: int


@dataclass
class World:
    """Three replicas of one state after some steps, with every delta that was made on the way.

    Attributes:
        data_type: the type of the state.
        table: the replica table that all share.
        replicas: the replicas, under `REPLICA_IDS`.
        deltas: what their operations made.
        snapshots: whole states of theirs, of earlier times.
    """

    data_type: DataType[Any]
    table: ReplicaTable = field(default_factory=ReplicaTable)
    replicas: list[State[Any]] = field(default_factory=list)
    deltas: list[Delta[Any]] = field(default_factory=list)
    snapshots: list[Delta[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Makes the replicas."""
        self.replicas = [State(self.data_type, self.table, replica_id=each) for each in REPLICA_IDS]

    def take(self, step: Step) -> None:
        """Carry out a step; a source below 9 is one of the deltas so far, others are a replica's whole state."""
        replica = self.replicas[step.at]
        if step.operation is not None:
            delta = self.apply(step)
            if delta is not None:
                self.deltas.append(delta)
        elif step.source < 9 and self.deltas:
            replica.join(self.deltas[step.source % len(self.deltas)])
        else:
            replica.join(self.replicas[step.source % 3])
        if step.source % 4 == 0:
            self.snapshots.append(replica.delta())

    def apply(self, step: Step) -> Delta[Any] | None:
        """Carry out the operation of a step; None where it has no effect or is refused, as beyond one's rights."""
        assert step.operation is not None
        try:
            return self.replicas[step.at].apply(step.operation, now_ms=step.now_ms)
        except InvalidOperation:
            return None

    def bottom(self) -> Delta[Any]:
        """The least state."""
        return Delta(self.data_type.bottom(), CausalContext(self.table))

    def join(self, parts: Sequence[Delta[Any]]) -> Delta[Any]:
        """The join of many states, by the pure join."""
        joined = self.bottom()
        for part in parts:
            joined = deltas.join(self.data_type, joined, part)
        return joined

    def everything(self) -> Delta[Any]:
        """The join of all replicas."""
        return self.join([replica.delta() for replica in self.replicas])

    def encode(self, state: Delta[Any]) -> bytes:
        """The canonical bytes of a state."""
        return deltas.encode_delta(self.data_type, state)
