"""What the types over one `KeyedDots` share: a DotMap from element to dots, with an index for removals.

A type that keeps several kinds of marks for an element, such as adds and removals, puts a byte for the kind in front of
the element's canonical bytes: both maps are one then, so that one index finds a dot in either.

Left to each type: what its operations do, and what the live marks read as.
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import WHOLE, Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.stores import (
    DotSet,
    KeyedDots,
    dot_set,
    dots_of,
    join_dot_maps,
    join_dot_sets,
    read_keyed_dots,
    write_keyed_dots,
)
from crdtmesh.crdts.values import PlainValue

UNMARKED: Final = (b"",)
"""The kinds of a type that keeps one kind of marks."""
ADDED: Final = b"\0"
REMOVED: Final = b"\1"


class KeyedDotsType(abc.ABC):
    """Base of sets whose operations are about one element each, but for the one that empties them."""

    name: ClassVar[str]
    operations: ClassVar[Mapping[str, tuple[int, int]]]
    kinds: ClassVar[tuple[bytes, ...]]
    """What stands in front of an element's bytes, all of one length, in the order of the encoding."""
    emptied_by: ClassVar[str] = "reset"
    """The operation without an element: it supersedes all dots that it has seen."""

    def bottom(self) -> KeyedDots:
        """A set that nobody has changed."""
        return KeyedDots()

    def is_bottom(self, store: KeyedDots) -> bool:
        """Whether the store holds nothing."""
        return not store.keys

    def dots(self, store: KeyedDots) -> Iterator[Dot]:
        """The live dots."""
        return store.dots()

    def copy(self, store: KeyedDots) -> KeyedDots:
        """A store that can be changed independently."""
        return store.copy()

    def restrict(self, store: KeyedDots, keep: Callable[[Dot], bool]) -> KeyedDots:
        """The marks with a dot to be kept, and those dots of them."""
        restricted = ((key, dot_set(filter(keep, dots_of(dots)))) for key, dots in store.keys.items())
        return KeyedDots({key: dots for key, dots in restricted if dots is not None})

    def join(self, a: KeyedDots, a_context: CausalContext, b: KeyedDots, b_context: CausalContext) -> KeyedDots:
        """The join, as a new store."""
        require_same_table(a_context, b_context)
        return KeyedDots(join_dot_maps(a.keys, a_context, b.keys, b_context, join_dot_sets))

    def absorb(self, store: KeyedDots, context: CausalContext, delta: Delta[KeyedDots]) -> tuple[KeyedDots, Touched]:
        """The join in place; O(delta), and once in the life of a set O(set) to index its dots for removals."""
        return store, store.absorb(context, delta.store, delta.context)

    def mutate(self, store: KeyedDots, operation: Operation, mutation: Mutation) -> Delta[KeyedDots] | None:
        """The delta of an operation; see the module of the type for what has no effect."""
        require_operation(self.name, operation, self.operations)
        if operation.name != self.emptied_by:
            return self._write(store, operation.name, values.encode(operation.arguments[0]), mutation)
        if not store.keys:
            return None
        return Delta(KeyedDots(), CausalContext(mutation.table, (mutation.next_dot(), *store.dots())))

    @abc.abstractmethod
    def _write(self, store: KeyedDots, name: str, element: bytes, mutation: Mutation) -> Delta[KeyedDots] | None:
        """The delta of an operation on an element."""

    def stamp(self, store: KeyedDots) -> Stamp | None:
        """None: this type has no stamps."""
        return None

    @abc.abstractmethod
    def value(self, store: KeyedDots) -> tuple[PlainValue, ...]:
        """The elements, in the order of their canonical bytes."""

    def encode(self, store: KeyedDots, writer: Writer) -> None:
        """Write the elements of each kind with their dots."""
        if self.kinds == UNMARKED:
            write_keyed_dots(store.keys, writer)
            return
        for kind in self.kinds:
            width = len(kind)
            write_keyed_dots({key[width:]: dots for key, dots in store.keys.items() if key.startswith(kind)}, writer)

    def decode(self, reader: Reader) -> KeyedDots:
        """Read elements; of each kind they come in ascending order, each once."""
        if self.kinds == UNMARKED:
            return KeyedDots(read_keyed_dots(reader))
        keys: dict[bytes, DotSet] = {}
        for kind in self.kinds:
            keys.update((kind + key, dots) for key, dots in read_keyed_dots(reader).items())
        return KeyedDots(keys)


class AddRemoveType(KeyedDotsType):
    """Base of sets that keep a mark for adds and one for removals: an element with both is out."""

    kinds: ClassVar[tuple[bytes, ...]] = (ADDED, REMOVED)

    def absorb(self, store: KeyedDots, context: CausalContext, delta: Delta[KeyedDots]) -> tuple[KeyedDots, Touched]:
        """The join in place; names no elements, since a mark may change where the element reads the same."""
        return store, WHOLE if store.absorb(context, delta.store, delta.context) else ()

    def value(self, store: KeyedDots) -> tuple[PlainValue, ...]:
        """The elements, in the order of their canonical bytes."""
        return values.decode_all(
            key[1:] for key in sorted(store.keys) if key[:1] == ADDED and REMOVED + key[1:] not in store.keys
        )
