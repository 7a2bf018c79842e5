"""FWWRegister: one value that the first write decides; later writes have no effect.

State: DotFun from dot to (time, replica id, value), the value in canonical bytes. `set` writes only where it sees no
value. So siblings exist only after concurrent first writes, and stay until a `clear`.
Join: that of DotFun. Value: that of the least (time, replica id, value), None when there is none.

Who wins: a write that has seen a value is no event at all. Among concurrent first writes the smaller hybrid time wins,
then the smaller replica id, on every replica alike. So the value read may still change, to an older write, while
replicas have not heard of each other; after all have, never again. For a decision that must not change, ask at
majority. `clear` removes the values it has seen; a concurrent first write survives it and decides anew.

After a removal nothing is kept but the dots in the context. Size: one write for each replica that wrote first.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.clock import TIME_MAX, Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.dot_funs import DotFunType, written
from crdtmesh.crdts.dots import DOT_BITS, Dot
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

Cell = tuple[int, bytes, bytes]
"""(packed hybrid time, replica id, canonical value): the order of writes is the order of these tuples."""

FirstStore = dict[Dot, Cell]


class FWWRegister(DotFunType[Cell]):
    """The data type; see the module for its meaning.

    Operations: `set(value)`, `clear()`.
    """

    name: ClassVar[str] = "FWWRegister"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"set": (1, 1), "clear": (0, 0)}
    removal: ClassVar[str] = "clear"

    def _write(self, store: FirstStore, operation: Operation, mutation: Mutation) -> Delta[FirstStore] | None:
        encoded = values.encode(operation.arguments[0])
        if store:
            return None
        time, replica_id = mutation.stamp(None)
        return written(mutation, (time, replica_id, encoded), ())

    def stamp(self, store: FirstStore) -> Stamp | None:
        """The greatest stamp in a store; None when it is empty."""
        return Stamp(*max(store.values())[:2]) if store else None

    def value(self, store: FirstStore) -> PlainValue:
        """The value of the least write; None when there is none."""
        return values.decode(min(store.values())[2]) if store else None

    def _write_payload(self, writer: Writer, payload: Cell) -> None:
        writer.integer(payload[0])
        writer.value(payload[2])  # the replica id of the stamp is that of the dot

    def _read_payload(self, reader: Reader, dot: Dot) -> Cell:
        return reader.integer(TIME_MAX), reader.table.id_of(dot >> DOT_BITS), reader.value()


FWW_REGISTER: Final = FWWRegister()
"""The data type's only instance."""
