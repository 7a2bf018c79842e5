"""What the types over one DotFun share: a dict from dot to a payload that never changes under its dot.

Such a type wraps a lattice that knows no removal, so that its key can be deleted and created again: each write puts a
payload under a fresh dot and supersedes what it replaces, and a removal supersedes what it has seen. Without the dots,
content that was deleted here would come back from wherever it is still held.

Left to each type: what a write supersedes, what the live payloads read as, and their bytes. `PNCounter` and
`LWWRegister` spell the same methods out.
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Generic, TypeVar

from crdtmesh.crdts.base import WHOLE, Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import DOT_BITS, Dot
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.stores import Ordered, absorb_dot_fun, join_dot_funs, read_dot_fun, write_dot_fun
from crdtmesh.crdts.values import PlainValue

V = TypeVar("V", bound=Ordered)


class DotFunType(abc.ABC, Generic[V]):
    """Base of data types whose store is `dict[Dot, V]`."""

    name: ClassVar[str]
    operations: ClassVar[Mapping[str, tuple[int, int]]]
    removal: ClassVar[str]
    """The operation without arguments that supersedes all that it has seen."""

    def bottom(self) -> dict[Dot, V]:
        """A new empty store."""
        return {}

    def is_bottom(self, store: dict[Dot, V]) -> bool:
        """Whether the store holds nothing."""
        return not store

    def dots(self, store: dict[Dot, V]) -> Iterator[Dot]:
        """The live dots."""
        return iter(store)

    def copy(self, store: dict[Dot, V]) -> dict[Dot, V]:
        """A store that can be changed independently; payloads are immutable and shared."""
        return store.copy()

    def restrict(self, store: dict[Dot, V], keep: Callable[[Dot], bool]) -> dict[Dot, V]:
        """The payloads whose dot is to be kept."""
        return {dot: payload for dot, payload in store.items() if keep(dot)}

    def join(
        self, a: dict[Dot, V], a_context: CausalContext, b: dict[Dot, V], b_context: CausalContext
    ) -> dict[Dot, V]:
        """The join, as a new store."""
        require_same_table(a_context, b_context)
        return join_dot_funs(a, a_context, b, b_context)

    def absorb(
        self, store: dict[Dot, V], context: CausalContext, delta: Delta[dict[Dot, V]]
    ) -> tuple[dict[Dot, V], Touched]:
        """The join in place; O(payloads of the store or dots of the delta, whichever are fewer)."""
        return store, WHOLE if absorb_dot_fun(store, context, delta.store, delta.context) else ()

    def mutate(self, store: dict[Dot, V], operation: Operation, mutation: Mutation) -> Delta[dict[Dot, V]] | None:
        """The delta of an operation; see the module of the type for what has no effect."""
        require_operation(self.name, operation, self.operations)
        if operation.name == self.removal:
            return Delta({}, CausalContext(mutation.table, (mutation.next_dot(), *store))) if store else None
        return self._write(store, operation, mutation)

    @abc.abstractmethod
    def _write(self, store: dict[Dot, V], operation: Operation, mutation: Mutation) -> Delta[dict[Dot, V]] | None:
        """The delta of any other operation of the type, whose number of arguments fits."""

    def stamp(self, store: dict[Dot, V]) -> Stamp | None:
        """None: this type has no stamps."""
        return None

    @abc.abstractmethod
    def value(self, store: dict[Dot, V]) -> PlainValue:
        """What the store reads as: fresh plain data."""

    def encode(self, store: dict[Dot, V], writer: Writer) -> None:
        """Write the size, then dot and payload of each entry in canonical order."""
        write_dot_fun(store, writer, lambda payload: self._write_payload(writer, payload))

    def decode(self, reader: Reader) -> dict[Dot, V]:
        """Read entries."""
        return read_dot_fun(reader, lambda dot: self._read_payload(reader, dot))

    @abc.abstractmethod
    def _write_payload(self, writer: Writer, payload: V) -> None:
        """Write one payload."""

    @abc.abstractmethod
    def _read_payload(self, reader: Reader, dot: Dot) -> V:
        """Read the payload of a dot; raise CodecError for one that no operation writes."""


def written(mutation: Mutation, payload: V, superseded: tuple[Dot, ...] | list[Dot]) -> Delta[dict[Dot, V]]:
    """The delta of one write: a payload under the next dot, in place of what it supersedes."""
    dot = mutation.next_dot()
    return Delta({dot: payload}, CausalContext.of_write(mutation.table, dot, superseded))


def slots(store: Mapping[Dot, V]) -> dict[int, V]:
    """Interned replica to its newest payload, for types in which each replica replaces its own payload only.

    Where lost deltas left several payloads of one replica live, the newest includes the others.
    """
    newest: dict[int, Dot] = {}
    for dot in store:
        replica = dot >> DOT_BITS
        if dot > newest.get(replica, 0):
            newest[replica] = dot
    return {replica: store[dot] for replica, dot in newest.items()}


def own_dots(store: Mapping[Dot, V], replica: int) -> list[Dot]:
    """The live dots of one replica."""
    return [dot for dot in store if dot >> DOT_BITS == replica]
