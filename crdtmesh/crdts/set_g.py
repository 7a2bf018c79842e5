"""GSet: a set that grows, until all of it is reset.

State: DotMap from element, in canonical bytes, to the dots of its adds. One dot for an element, and not one payload of
all elements for a writer, so that the delta of an add has the size of the element and a large set can be split.
Join: that of DotMap and DotSet. Value: the elements, in the order of their canonical bytes.

Who wins: nobody removes a single element, so adds never conflict. Adding what is in is no event. `reset`, and the
removal of the key, take out the adds they have seen, exactly; an add concurrent with them survives, and only that.
After a removal nothing is kept but the dots in the context. Size: an element and a dot for each replica that added it
without knowing of the others. An operation costs O(1).

Source: Shapiro et al. 2011, section 3.3.1; made removable as Almeida, Shoker, Baquero 2018 do with add-wins sets.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.keyed_dots import UNMARKED, KeyedDotsType
from crdtmesh.crdts.stores import KeyedDots
from crdtmesh.crdts.values import PlainValue


class GSet(KeyedDotsType):
    """The data type; see the module for its meaning.

    Operations: `add(element)`, `reset()`.
    """

    name: ClassVar[str] = "GSet"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"add": (1, 1), "reset": (0, 0)}
    kinds: ClassVar[tuple[bytes, ...]] = UNMARKED

    def _write(self, store: KeyedDots, name: str, element: bytes, mutation: Mutation) -> Delta[KeyedDots] | None:
        if element in store.keys:
            return None
        dot = mutation.next_dot()
        return Delta(KeyedDots({element: dot}), CausalContext.of_one(mutation.table, dot))

    def value(self, store: KeyedDots) -> tuple[PlainValue, ...]:
        """The elements, in the order of their canonical bytes."""
        return values.decode_all(sorted(store.keys))


G_SET: Final = GSet()
"""The data type's only instance."""
