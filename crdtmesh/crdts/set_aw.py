"""ORSet: a set in which an add wins over every concurrent removal of the same element. No tombstones.

State: DotMap from element, in canonical bytes, to the dots of its adds. `add` puts a fresh dot in place of all dots
of the element that it has observed; `remove` and `clear` supersede the dots they have observed and put nothing.
Join: that of DotMap and DotSet. Value: the elements with a live dot, in the order of their canonical bytes.

Who wins: an element is in if and only if some add of it happened that no removal has seen. `True`, `1`, `1.0` and "1"
are four elements.

After a removal nothing is kept but the dots in the context. Size: one dot for each element in the steady state.
Source: Bieniusa et al. 2012, "An optimized conflict-free replicated set"; Almeida, Shoker, Baquero 2018.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.stores import (
    KeyedDots,
    dot_set,
    dots_of,
    join_dot_maps,
    join_dot_sets,
    read_keyed_dots,
    write_keyed_dots,
)
from crdtmesh.crdts.values import PlainValue


class ORSet:
    """The data type; see the module for its meaning.

    Operations: `add(element)`, `remove(element)`, `clear()`.
    """

    name: Final = "ORSet"
    operations: Final[Mapping[str, tuple[int, int]]] = {"add": (1, 1), "remove": (1, 1), "clear": (0, 0)}

    def bottom(self) -> KeyedDots:
        """The empty set."""
        return KeyedDots()

    def is_bottom(self, store: KeyedDots) -> bool:
        """Whether the set is empty."""
        return not store.keys

    def dots(self, store: KeyedDots) -> Iterator[Dot]:
        """The live dots."""
        return store.dots()

    def copy(self, store: KeyedDots) -> KeyedDots:
        """A store that can be changed independently."""
        return store.copy()

    def restrict(self, store: KeyedDots, keep: Callable[[Dot], bool]) -> KeyedDots:
        """The elements with a dot to be kept, and those dots of them."""
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
        """The delta of an operation. Removing an absent element and clearing an empty set have no effect.

        Adding an element that is present does have one: the fresh dot survives removals that have not seen it.
        """
        require_operation(self.name, operation, self.operations)
        name = operation.name
        if name == "clear":
            if not store.keys:
                return None
            return Delta(KeyedDots(), CausalContext(mutation.table, (mutation.next_dot(), *store.dots())))
        element = values.encode(operation.arguments[0])
        observed = store.keys.get(element)
        if observed is None:
            if name == "remove":
                return None
            dot = mutation.next_dot()
            return Delta(KeyedDots({element: dot}), CausalContext.of_one(mutation.table, dot))
        dot = mutation.next_dot()
        added = KeyedDots({element: dot} if name == "add" else None)
        return Delta(added, CausalContext.of_write(mutation.table, dot, dots_of(observed)))

    def stamp(self, store: KeyedDots) -> Stamp | None:
        """None: this type has no stamps."""
        return None

    def contains(self, store: KeyedDots, element: PlainValue) -> bool:
        """Whether an element is in the set, without reading the set out."""
        return values.encode(element) in store.keys

    def value(self, store: KeyedDots) -> tuple[PlainValue, ...]:
        """The elements, in the order of their canonical bytes."""
        return values.decode_all(sorted(store.keys))

    def encode(self, store: KeyedDots, writer: Writer) -> None:
        """Write the number of elements, the elements in ascending order, and their dots."""
        write_keyed_dots(store.keys, writer)

    def decode(self, reader: Reader) -> KeyedDots:
        """Read elements; they come in ascending order, each once."""
        return KeyedDots(read_keyed_dots(reader))


OR_SET: Final = ORSet()
"""The data type's only instance."""
