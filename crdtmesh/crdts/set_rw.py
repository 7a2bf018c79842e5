"""RWSet: a set in which a removal wins over every concurrent add of the same element.

State: DotMap from element, in canonical bytes, to the dots of its adds, and a second one to the dots of its removals.
Either operation puts a dot in its own map and supersedes what it has seen of the element in both.
Join: that of DotMap and DotSet. Value: the elements with a live add and no live removal, in the order of their
canonical bytes.

Who wins: the removal. An add that has seen the removal brings the element back. Both are events even when the element
reads the same afterwards: a removal of what is not in still beats adds elsewhere. `reset`, and the removal of the
key, forget the adds and removals they have seen and remove nothing: an add concurrent with a reset survives.

A removed element keeps its bytes and a dot until it is added again or a reset has seen it. An operation costs O(1).
Source: Bieniusa et al. 2012; the two maps as in AntidoteDB's `set_rw`.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.keyed_dots import ADDED, REMOVED, AddRemoveType
from crdtmesh.crdts.stores import KeyedDots, dots_of


class RWSet(AddRemoveType):
    """The data type; see the module for its meaning.

    Operations: `add(element)`, `remove(element)`, `reset()`.
    """

    name: ClassVar[str] = "RWSet"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"add": (1, 1), "remove": (1, 1), "reset": (0, 0)}

    def _write(self, store: KeyedDots, name: str, element: bytes, mutation: Mutation) -> Delta[KeyedDots] | None:
        dot = mutation.next_dot()
        observed = [
            old for kind in self.kinds if (dots := store.keys.get(kind + element)) is not None for old in dots_of(dots)
        ]
        key = (ADDED if name == "add" else REMOVED) + element
        return Delta(KeyedDots({key: dot}), CausalContext.of_write(mutation.table, dot, observed))


RW_SET: Final = RWSet()
"""The data type's only instance."""
