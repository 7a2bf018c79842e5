"""A state to hold in the hand: one store, its context and its own replica id. The library's face without a mesh.

    table = ReplicaTable()
    milk = State(OR_SET, table, replica_id=bytes(16))
    delta = milk.apply(Operation("add", ("milk",)))
    other.join(delta)

In a mesh a shard holds many stores under one context, and uses the data types directly.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar, cast

from crdtmesh.crdts import deltas
from crdtmesh.crdts.base import DataType, Delta, Touched
from crdtmesh.crdts.clock import HybridClock
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import DataTypeMismatch, InvalidOperation, shorten
from crdtmesh.crdts.mutation import LocalMutation
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.values import PlainValue

S = TypeVar("S")


class State(Generic[S]):
    """A replicated value of one type, as one replica holds it.

    Args:
        data_type: the type, such as `registry.get("ORSet")`.
        table: the table that packs the dots; states that are joined share one.
        replica_id: 16 bytes that no other state, and no earlier run of this one, has used. Two states under one
            replica id lose each other's updates without a word.
        clock: for types with stamps; a new one of this replica id by default.
    """

    __slots__ = ("_clock", "_context", "_has_joined", "_mutation", "_store", "data_type", "table")
    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __init__(
        self, data_type: DataType[S], table: ReplicaTable, *, replica_id: bytes, clock: HybridClock | None = None
    ) -> None:
        self.data_type: Final = data_type
        self.table: Final = table
        self._clock = HybridClock(replica_id) if clock is None else clock
        self._store = data_type.bottom()
        self._context = CausalContext(table)
        self._mutation = LocalMutation(table, table.intern(replica_id), last_n=0, clock=self._clock, now_ms=0)
        # Whether what came from elsewhere may hold dots of this replica id, such as a state that it saved.
        self._has_joined = False

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same store and know the same dots; who holds them does not matter."""
        if not isinstance(other, State):
            return NotImplemented
        return self.data_type is other.data_type and self._store == other._store and self._context == other._context

    def __repr__(self) -> str:
        return f"<State of {self.data_type.name}: {self.value!r:.200}>"

    @property
    def value(self) -> PlainValue:
        """What the state reads as: fresh plain data."""
        return self.data_type.value(self._store)

    @property
    def context(self) -> CausalContext:
        """The dots that this state knows, as a copy."""
        return self._context.copy()

    def apply(self, operation: Operation, *, now_ms: int = 0) -> Delta[S] | None:
        """Carry out an operation here.

        Args:
            operation: what to do.
            now_ms: wall clock, in milliseconds since 1970, for types with stamps. Left at 0, their writes are ordered
                by the logical part of the clock alone.

        Returns:
            The delta to send to the other replicas; None if the operation had no effect.

        Raises:
            InvalidOperation: the type has no such operation, or its arguments don't fit; nothing was changed.
        """
        if not isinstance(operation, Operation):
            raise InvalidOperation(f"expected an Operation, as Operation('add', ('milk',)), got {shorten(operation)}")
        mutation = self._mutation
        if self._has_joined:
            self._has_joined = False
            mutation.last_n = max(mutation.last_n, self._context.greatest(mutation.replica))
        before = mutation.last_n
        mutation.now_ms = now_ms
        try:
            delta = self.data_type.mutate(self._store, operation, mutation)
        except BaseException:
            mutation.last_n = before  # nobody has seen these dots
            raise
        if delta is not None:
            self._absorb(delta, now_ms)
        return delta

    def resolve(self, choose: Callable[[Any], PlainValue], *, now_ms: int = 0) -> Delta[S] | None:
        """Settle a conflict in a register that keeps concurrent values, such as `register.resolve(max)`.

        Args:
            choose: what is to hold, of the values; asked only where there are several, in the order of their bytes.
            now_ms: as in `apply`.

        Returns:
            The delta to send to the other replicas; None where there is no conflict.

        Raises:
            InvalidOperation: the type has no `resolve`, or can't hold what was chosen; nothing was changed.
        """
        require_operation(self.data_type.name, Operation("resolve", (None,)), self.data_type.operations)
        found = cast("Sequence[PlainValue]", self.value)
        return self.apply(Operation("resolve", (choose(found),)), now_ms=now_ms) if len(found) > 1 else None

    def join(self, other: "Delta[S] | State[S]", *, now_ms: int = 0) -> Touched:
        """Take in a delta, or all that another state holds, in any order and any number of times.

        Args:
            other: what to take in; it stays as it is. A delta does not name its type: see that it is of this one.
            now_ms: wall clock, in milliseconds since 1970. Stamps no further ahead of it than the clock's drift guard
                advance the clock, so that later writes here are ordered after them on other keys too.

        Returns:
            What became different.

        Raises:
            ReplicaTableMismatch: it belongs to another table; nothing was changed.
            DataTypeMismatch: it is a state of another type, or neither a state nor a delta; nothing was changed.
        """
        delta = other._as_delta() if isinstance(other, State) else other
        is_other = isinstance(other, State) and other.data_type is not self.data_type
        if is_other or not isinstance(delta, Delta) or type(delta.store) is not type(self._store):
            raise DataTypeMismatch(
                f"expected a state or delta of {self.data_type.name}, got {shorten(other)}; join_encoded takes bytes"
            )
        self._has_joined = True
        return self._absorb(delta, now_ms)

    def _absorb(self, delta: Delta[S], now_ms: int) -> Touched:
        self._store, touched = self.data_type.absorb(self._store, self._context, delta)
        self._context.update(delta.context)
        stamp = self.data_type.stamp(delta.store)
        if stamp is not None:
            self._clock.observe(stamp.time, now_ms=now_ms)
        return touched

    def delta(self) -> Delta[S]:
        """The whole state as a delta, independent of what happens here later."""
        return Delta(self.data_type.copy(self._store), self._context.copy())

    def delta_since(self, other: "Delta[S] | State[S]") -> Delta[S]:
        """The least delta that brings another state up to this one joined with it."""
        return deltas.difference(
            self.data_type, self._as_delta(), other._as_delta() if isinstance(other, State) else other
        )

    def decompose(self) -> Iterator[Delta[S]]:
        """The join-irreducible parts of this state, one for each dot."""
        return deltas.decompose(self.data_type, self.delta())

    def encode(self) -> bytes:
        """The canonical bytes of the state with its context."""
        return deltas.encode_delta(self.data_type, self._as_delta())

    def join_encoded(self, data: bytes, *, now_ms: int = 0) -> Touched:
        """Take in a delta or state as another process encoded it.

        Raises:
            CodecError: the bytes are not a delta of this type; nothing was changed.
        """
        return self.join(deltas.decode_delta(self.data_type, data, self.table), now_ms=now_ms)

    def _as_delta(self) -> Delta[S]:
        return Delta(self._store, self._context)
