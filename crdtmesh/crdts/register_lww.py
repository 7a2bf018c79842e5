"""LWWRegister: one value; of concurrent writes the one with the greatest stamp is read.

State: DotFun from dot to (time, replica id, value), the value in canonical bytes. `set` writes under a fresh dot and
supersedes all dots it has observed; so siblings exist only after concurrent writes, and the next write collapses them.
Join: that of DotFun. Value: that of the greatest (time, replica id, value), None when there is none.

Who wins: a write beats every write it has seen, whatever the clocks say, because it supersedes their dots and its
stamp is bumped above theirs. Among concurrent writes the greater hybrid time wins, then the greater replica id, on
every replica alike; the other is lost. `clear` removes what it has seen; a concurrent `set` survives it.

After a removal nothing is kept but the dots in the context.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import WHOLE, Delta, Mutation, Touched
from crdtmesh.crdts.clock import TIME_MAX, Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import DOT_BITS, Dot
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.stores import absorb_dot_fun, join_dot_funs, read_dot_fun, write_dot_fun
from crdtmesh.crdts.values import PlainValue

Cell = tuple[int, bytes, bytes]
"""(packed hybrid time, replica id, canonical value): the order of writes is the order of these tuples."""

RegisterStore = dict[Dot, Cell]


class LWWRegister:
    """The data type; see the module for its meaning.

    Operations: `set(value)`, `clear()`.
    """

    name: Final = "LWWRegister"
    operations: Final[Mapping[str, tuple[int, int]]] = {"set": (1, 1), "clear": (0, 0)}

    def bottom(self) -> RegisterStore:
        """A register that was never set; it reads None."""
        return {}

    def is_bottom(self, store: RegisterStore) -> bool:
        """Whether the register holds no value; a stored None is a value."""
        return not store

    def dots(self, store: RegisterStore) -> Iterator[Dot]:
        """The live dots."""
        return iter(store)

    def copy(self, store: RegisterStore) -> RegisterStore:
        """A store that can be changed independently."""
        return store.copy()

    def restrict(self, store: RegisterStore, keep: Callable[[Dot], bool]) -> RegisterStore:
        """The writes whose dot is to be kept."""
        return {dot: cell for dot, cell in store.items() if keep(dot)}

    def join(
        self, a: RegisterStore, a_context: CausalContext, b: RegisterStore, b_context: CausalContext
    ) -> RegisterStore:
        """The join, as a new store."""
        require_same_table(a_context, b_context)
        return join_dot_funs(a, a_context, b, b_context)

    def absorb(
        self, store: RegisterStore, context: CausalContext, delta: Delta[RegisterStore]
    ) -> tuple[RegisterStore, Touched]:
        """The join in place; O(siblings of the store or dots of the delta, whichever are fewer)."""
        return store, WHOLE if absorb_dot_fun(store, context, delta.store, delta.context) else ()

    def mutate(self, store: RegisterStore, operation: Operation, mutation: Mutation) -> Delta[RegisterStore] | None:
        """The delta of an operation. Clearing an empty register has no effect; setting an equal value has."""
        require_operation(self.name, operation, self.operations)
        if operation.name == "clear":
            return Delta({}, CausalContext(mutation.table, (mutation.next_dot(), *store))) if store else None
        encoded = values.encode(operation.arguments[0])
        dot = mutation.next_dot()
        time, replica_id = mutation.stamp(self.stamp(store))
        return Delta({dot: (time, replica_id, encoded)}, CausalContext.of_write(mutation.table, dot, store))

    def stamp(self, store: RegisterStore) -> Stamp | None:
        """The greatest stamp in a store, which is that of the value it reads as; None when it is empty."""
        return Stamp(*max(store.values())[:2]) if store else None

    def value(self, store: RegisterStore) -> PlainValue:
        """The value of the greatest write; None when there is none."""
        return values.decode(max(store.values())[2]) if store else None

    def encode(self, store: RegisterStore, writer: Writer) -> None:
        """Write dot, time and value of each write; the replica id of the stamp is that of the dot."""

        def write_cell(cell: Cell) -> None:
            writer.integer(cell[0])
            writer.value(cell[2])

        write_dot_fun(store, writer, write_cell)

    def decode(self, reader: Reader) -> RegisterStore:
        """Read writes."""

        def read_cell(dot: Dot) -> Cell:
            return reader.integer(TIME_MAX), reader.table.id_of(dot >> DOT_BITS), reader.value()

        return read_dot_fun(reader, read_cell)


LWW_REGISTER: Final = LWWRegister()
"""The data type's only instance."""
