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

from collections.abc import Callable, Iterator, Mapping
from typing import Final

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

_ADDED: Final = b"\0"
_REMOVED: Final = b"\1"
"""First byte of a key of the store: both maps are one, so that one index finds a dot in either."""


class TwoPhaseSet:
    """The data type; see the module for its meaning.

    Operations: `add(element)`, `remove(element)`, `reset()`.
    """

    name: Final = "TwoPhaseSet"
    operations: Final[Mapping[str, tuple[int, int]]] = {"add": (1, 1), "remove": (1, 1), "reset": (0, 0)}

    def bottom(self) -> KeyedDots:
        """A set that nobody has changed."""
        return KeyedDots()

    def is_bottom(self, store: KeyedDots) -> bool:
        """Whether nothing was added or removed since the last reset."""
        return not store.keys

    def dots(self, store: KeyedDots) -> Iterator[Dot]:
        """The live dots."""
        return store.dots()

    def copy(self, store: KeyedDots) -> KeyedDots:
        """A store that can be changed independently."""
        return store.copy()

    def restrict(self, store: KeyedDots, keep: Callable[[Dot], bool]) -> KeyedDots:
        """The adds and removals with a dot to be kept, and those dots of them."""
        restricted = ((key, dot_set(filter(keep, dots_of(dots)))) for key, dots in store.keys.items())
        return KeyedDots({key: dots for key, dots in restricted if dots is not None})

    def join(self, a: KeyedDots, a_context: CausalContext, b: KeyedDots, b_context: CausalContext) -> KeyedDots:
        """The join, as a new store."""
        require_same_table(a_context, b_context)
        return KeyedDots(join_dot_maps(a.keys, a_context, b.keys, b_context, join_dot_sets))

    def absorb(self, store: KeyedDots, context: CausalContext, delta: Delta[KeyedDots]) -> tuple[KeyedDots, Touched]:
        """The join in place; O(delta), and once in the life of a set O(set) to index its dots for removals."""
        return store, WHOLE if store.absorb(context, delta.store, delta.context) else ()

    def mutate(self, store: KeyedDots, operation: Operation, mutation: Mutation) -> Delta[KeyedDots] | None:
        """The delta of an operation; see the module for what has no effect."""
        require_operation(self.name, operation, self.operations)
        if operation.name == "reset":
            if not store.keys:
                return None
            return Delta(KeyedDots(), CausalContext(mutation.table, (mutation.next_dot(), *store.dots())))
        element = values.encode(operation.arguments[0])
        added = store.keys.get(_ADDED + element)
        if _REMOVED + element in store.keys or (operation.name == "add" and added is not None):
            return None
        dot = mutation.next_dot()
        superseded = () if added is None else dots_of(added)
        key = (_ADDED if operation.name == "add" else _REMOVED) + element
        return Delta(KeyedDots({key: dot}), CausalContext.of_write(mutation.table, dot, superseded))

    def stamp(self, store: KeyedDots) -> Stamp | None:
        """None: this type has no stamps."""
        return None

    def value(self, store: KeyedDots) -> tuple[PlainValue, ...]:
        """The elements, in the order of their canonical bytes."""
        return values.decode_all(
            key[1:] for key in sorted(store.keys) if key[:1] == _ADDED and _REMOVED + key[1:] not in store.keys
        )

    def encode(self, store: KeyedDots, writer: Writer) -> None:
        """Write the added elements with their dots, then the removed ones."""
        for kind in (_ADDED, _REMOVED):
            write_keyed_dots({key[1:]: dots for key, dots in store.keys.items() if key[:1] == kind}, writer)

    def decode(self, reader: Reader) -> KeyedDots:
        """Read elements; in each part they come in ascending order, each once."""
        keys: dict[bytes, DotSet] = {}
        for kind in (_ADDED, _REMOVED):
            keys.update((kind + key, dots) for key, dots in read_keyed_dots(reader).items())
        return KeyedDots(keys)


TWO_PHASE_SET: Final = TwoPhaseSet()
"""The data type's only instance."""
