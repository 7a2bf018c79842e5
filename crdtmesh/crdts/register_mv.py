"""MVRegister: a register that keeps all concurrently written values until somebody decides.

State: DotFun from dot to a value in canonical bytes. `set` puts its value under a fresh dot and supersedes all that it
has seen. `resolve` does so only where it sees several values, and has no effect elsewhere: of two replicas that settle
one conflict, one after the other, the second writes nothing.
Join: that of DotFun. Value: the distinct live values, in the order of their canonical bytes; empty for a register that
was never set, or cleared. Equal values written concurrently stay two dots in the store and read as one.

Who wins: of concurrent writes nobody, all are kept, those of `resolve` too. A later write replaces what it has seen.
`clear`, and the removal of the key, remove what they have seen; a concurrent write survives.
After a removal nothing is kept but the dots in the context. Size: one value for each concurrent write. An operation
costs O(siblings).

Source: Shapiro et al. 2011, section 3.2.2; as DotFun in Almeida, Shoker, Baquero 2018.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.dot_funs import DotFunType, written
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

SiblingStore = dict[Dot, bytes]


class MVRegister(DotFunType[bytes]):
    """The data type; see the module for its meaning.

    Operations: `set(value)`, `resolve(value)`, `clear()`. `State.resolve` takes a function of the values instead.
    """

    name: ClassVar[str] = "MVRegister"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"set": (1, 1), "resolve": (1, 1), "clear": (0, 0)}
    removal: ClassVar[str] = "clear"

    def _write(self, store: SiblingStore, operation: Operation, mutation: Mutation) -> Delta[SiblingStore] | None:
        value = values.encode(operation.arguments[0])
        if operation.name == "resolve" and len(set(store.values())) < 2:
            return None
        return written(mutation, value, list(store))

    def value(self, store: SiblingStore) -> tuple[PlainValue, ...]:
        """The distinct values, in the order of their canonical bytes."""
        return values.decode_all(sorted(set(store.values())))

    def _write_payload(self, writer: Writer, payload: bytes) -> None:
        writer.value(payload)

    def _read_payload(self, reader: Reader, dot: Dot) -> bytes:
        return reader.value()


MV_REGISTER: Final = MVRegister()
"""The data type's only instance."""
