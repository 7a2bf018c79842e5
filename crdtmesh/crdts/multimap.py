"""ORMultiMap: a map from text to sets, in which a binding that is added wins over every concurrent removal of it.

State: DotMap from key to the store of an `ORSet`, all under one context. A *binding* is a key with one of its values.
Join: that of DotMap and DotSet. Value: key to the values bound to it, in the order of their canonical bytes; a key
without bindings is absent.

Who wins: a binding is in if and only if some add of it happened that no removal has seen. `put(key, values)` makes the
bindings of a key what is given, by adds and removals for the difference alone: a binding that stays as it is takes no
part in it, so a concurrent removal of it holds and an add elsewhere is not overruled. A concurrent put of other values
leaves the values of both. `remove(key)` and `clear` take out the bindings they have seen.

After a removal nothing is kept but the dots in the context. Size: one dot for each binding in the steady state. A
change of one binding costs O(1), a put O(bindings of the key); taking in what supersedes dots elsewhere costs O(keys).
Source: Almeida, Shoker, Baquero 2018, section 7.5; the operations as in Akka's `ORMultiMap`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import DataType, Delta, Mutation
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.nested import Nested
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.set_aw import OR_SET
from crdtmesh.crdts.stores import DotSet, KeyedDots, dots_of
from crdtmesh.crdts.typed_maps import TypedMap


class ORMultiMap(TypedMap):
    """The data type; see the module for its meaning.

    Operations: `add_binding(key, value)`, `remove_binding(key, value)`, `put(key, values)`, `remove(key)`, `clear()`.
    """

    name: ClassVar[str] = "ORMultiMap"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {
        "add_binding": (2, 2),
        "remove_binding": (2, 2),
        "put": (2, 2),
        "remove": (1, 1),
        "clear": (0, 0),
    }
    inner: ClassVar[DataType[Any]] = OR_SET
    updates: ClassVar[Mapping[str, str]] = {"add_binding": "add", "remove_binding": "remove"}

    def _update(self, store: Nested, entry: bytes, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        if operation.name != "put":
            return super()._update(store, entry, operation, mutation)
        wanted = operation.arguments[1]
        if not isinstance(wanted, list | tuple):
            raise InvalidOperation(
                f"ORMultiMap.put takes a list of values, got {shorten(wanted)}; for one value call add_binding"
            )
        bindings: KeyedDots = store.keys.get(entry, KeyedDots())
        return _replaced(entry, bindings, {values.encode(value) for value in wanted}, mutation)


def _replaced(entry: bytes, bindings: KeyedDots, wanted: set[bytes], mutation: Mutation) -> Delta[Nested] | None:
    """The delta that adds and removes what two sets of bindings differ in; each change takes a dot of its own."""
    gone = sorted(bindings.keys.keys() - wanted)
    new = sorted(wanted - bindings.keys.keys())
    if not gone and not new:
        return None
    spoken: list[Dot] = []
    for value in gone:
        spoken += (mutation.next_dot(), *dots_of(bindings.keys[value]))
    added: dict[bytes, DotSet] = {value: mutation.next_dot() for value in new}
    spoken += (dot for dots in added.values() for dot in dots_of(dots))
    store = Nested({entry: KeyedDots(added)}) if added else Nested()
    return Delta(store, CausalContext(mutation.table, spoken))


OR_MULTI_MAP: Final = ORMultiMap()
"""The data type's only instance."""
