"""TwoPhaseSet: a set whose removed elements never return.

State: DotMap from element, in canonical bytes, to the dots of its adds, and a second one to the dots of its removals.
`add` puts a dot where it sees neither; `remove` puts one in the second map and supersedes the adds it has seen.
Join: that of DotMap and DotSet. Value: the elements with a live add and no live removal, in the order of their
canonical bytes.

Who wins: a removal, over every add of the element, whether before, concurrent or later, and also when the replica
that removes has not heard of the element. Adding what is in or removed, and removing what is removed, are no events.

`reset`, and the removal of the key, forget the adds and removals they have seen, exactly: after that the elements may
be added again. Until then each removed element keeps one dot and its bytes: that is what the guarantee costs. Where
elements return, use `ORSet`.
Source: Shapiro et al. 2011, "A comprehensive study of convergent and commutative replicated data types", section 3.3.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.keyed_dots import ADDED, REMOVED, AddRemoveType
from crdtmesh.crdts.stores import KeyedDots, dots_of


class TwoPhaseSet(AddRemoveType):
    """The data type; see the module for its meaning.

    Operations: `add(element)`, `remove(element)`, `reset()`.
    """

    name: ClassVar[str] = "TwoPhaseSet"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"add": (1, 1), "remove": (1, 1), "reset": (0, 0)}

    def _write(self, store: KeyedDots, name: str, element: bytes, mutation: Mutation) -> Delta[KeyedDots] | None:
        added = store.keys.get(ADDED + element)
        if REMOVED + element in store.keys or (name == "add" and added is not None):
            return None
        dot = mutation.next_dot()
        superseded = () if added is None else dots_of(added)
        key = (ADDED if name == "add" else REMOVED) + element
        return Delta(KeyedDots({key: dot}), CausalContext.of_write(mutation.table, dot, superseded))


TWO_PHASE_SET: Final = TwoPhaseSet()
"""The data type's only instance."""
