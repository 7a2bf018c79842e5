"""ORSet: a set in which an add wins over every concurrent removal of the same element. No tombstones.

State: DotMap from element, in canonical bytes, to the dots of its adds. `add` puts a fresh dot in place of all dots
of the element that it has observed; `remove` and `clear` supersede the dots they have observed and put nothing.
Join: that of DotMap and DotSet. Value: the elements with a live dot, in the order of their canonical bytes.

Who wins: an element is in if and only if some add of it happened that no removal has seen. `True`, `1`, `1.0` and "1"
are four elements.

After a removal nothing is kept but the dots in the context. Size: one dot for each element in the steady state.
Source: Bieniusa et al. 2012, "An optimized conflict-free replicated set"; Almeida, Shoker, Baquero 2018.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.keyed_dots import UNMARKED, KeyedDotsType
from crdtmesh.crdts.stores import KeyedDots, dots_of
from crdtmesh.crdts.values import PlainValue


class ORSet(KeyedDotsType):
    """The data type; see the module for its meaning.

    Operations: `add(element)`, `remove(element)`, `clear()`. Removing an absent element and clearing an empty set have
    no effect. Adding an element that is present does have one: the fresh dot survives removals that have not seen it.
    """

    name: ClassVar[str] = "ORSet"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"add": (1, 1), "remove": (1, 1), "clear": (0, 0)}
    kinds: ClassVar[tuple[bytes, ...]] = UNMARKED
    emptied_by: ClassVar[str] = "clear"

    def _write(self, store: KeyedDots, name: str, element: bytes, mutation: Mutation) -> Delta[KeyedDots] | None:
        observed = store.keys.get(element)
        if observed is None:
            if name == "remove":
                return None
            dot = mutation.next_dot()
            return Delta(KeyedDots({element: dot}), CausalContext.of_one(mutation.table, dot))
        dot = mutation.next_dot()
        added = KeyedDots({element: dot} if name == "add" else None)
        return Delta(added, CausalContext.of_write(mutation.table, dot, dots_of(observed)))

    def contains(self, store: KeyedDots, element: PlainValue) -> bool:
        """Whether an element is in the set, without reading the set out."""
        return values.encode(element) in store.keys

    def value(self, store: KeyedDots) -> tuple[PlainValue, ...]:
        """The elements, in the order of their canonical bytes."""
        return values.decode_all(sorted(store.keys))


OR_SET: Final = ORSet()
"""The data type's only instance."""
