"""What a data type is: a pure, stateless description of how stores of one shape are joined, changed, read and encoded.

A *store* is a tree of `DotSet`, `DotFun` and `DotMap` (`stores`) whose leaves are named by dots. A shard holds many
entries under one causal context, so a type works on stores and is told the contexts. A dot that a context holds and a
store does not was removed or superseded: there are no tombstones.

The laws that every type keeps are in `tests/property/test_crdt_laws.py`; the registry test fails for a type without
them.
Source: Almeida, Shoker, Baquero 2018, "Delta state replicated data types".
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot, ReplicaTable
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

S = TypeVar("S")


class Whole(enum.Enum):
    """The type of `WHOLE`."""

    WHOLE = "whole"


WHOLE: Final[Literal[Whole.WHOLE]] = Whole.WHOLE
"""In place of elements: the store became different as a whole."""

Touched: TypeAlias = Sequence[bytes] | Literal[Whole.WHOLE]
"""What a join made different: canonical bytes of elements or keys, in no particular order, or `WHOLE`; empty for
nothing."""


class Delta(NamedTuple, Generic[S]):
    """A small state: what one or several mutations add to a store, and the dots they speak for.

    A delta is shared between the state, the log and the queues to peers: nobody changes it after it was made.

    Attributes:
        store: of the type's shape; its dots are in the context.
        context: the dots of the mutations and those they supersede.
    """

    store: S
    context: CausalContext


class Mutation(Protocol):
    """What a mutator may ask of the holder of the state.

    Attributes:
        table: the table of the holder's dots.
        replica: the holder's own replica, as interned there.
    """

    @property
    def table(self) -> ReplicaTable: ...  # noqa: D102 - see the class

    @property
    def replica(self) -> int: ...  # noqa: D102 - see the class

    def next_dot(self) -> Dot:
        """The next dot of the holder's replica. Successive calls give successive dots: the run of one event."""
        ...

    def stamp(self, after: Stamp | None) -> Stamp:
        """A stamp of the hybrid clock, greater than all stamps seen so far and than `after`."""
        ...


class DataType(Protocol[S]):
    """One replicated data type over stores of shape S. Instances are stateless; each module exports one."""

    @property
    def name(self) -> str:
        """The name of the type, as in `crdtmesh.v1.<name>`."""
        ...

    @property
    def operations(self) -> Mapping[str, tuple[int, int]]:
        """The operations of the type, each with its least and greatest number of arguments."""
        ...

    def bottom(self) -> S:
        """A new empty store."""
        ...

    def is_bottom(self, store: S) -> bool:
        """Whether a store holds no dot."""
        ...

    def dots(self, store: S) -> Iterator[Dot]:
        """The live dots of a store, each once, in no particular order."""
        ...

    def copy(self, store: S) -> S:
        """A store that `absorb` may change without touching the original."""
        ...

    def restrict(self, store: S, keep: Callable[[Dot], bool]) -> S:
        """A new store with those live dots for which `keep` holds."""
        ...

    def join(self, a: S, a_context: CausalContext, b: S, b_context: CausalContext) -> S:
        """The least store above both, as a new one; the arguments stay as they are.

        Raises:
            ReplicaTableMismatch: the contexts belong to two tables.
        """
        ...

    def absorb(self, store: S, context: CausalContext, delta: Delta[S]) -> tuple[S, Touched]:
        """Join for the holder of a state, in time of the delta's size.

        Args:
            store: may be changed in place; the answer replaces it.
            context: the holder's, as it was before this delta. It is not changed: add the delta's context afterwards.
            delta: what to join; it stays as it is, and nothing of the answer aliases it.

        Raises:
            ReplicaTableMismatch: the delta belongs to another table; nothing was changed.
        """
        ...

    def mutate(self, store: S, operation: Operation, mutation: Mutation) -> Delta[S] | None:
        """The least delta of an operation; the store stays as it is. Removals take a dot too, into the context only.

        Returns:
            None for an operation without effect; then no dot was taken.

        Raises:
            InvalidOperation: the type has no such operation, or its arguments don't fit; no dot was taken.
        """
        ...

    def stamp(self, store: S) -> Stamp | None:
        """The greatest stamp in a store, for the holder's clock to observe; None where there is none."""
        ...

    def value(self, store: S) -> PlainValue:
        """What the store reads as: fresh plain data."""
        ...

    def encode(self, store: S, writer: Writer) -> None:
        """Write a store canonically, after its context was written."""
        ...

    def decode(self, reader: Reader) -> S:
        """Read a store, after its context was read.

        Raises:
            CodecError: the items are not a canonical store of this type.
        """
        ...
