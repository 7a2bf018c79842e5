"""Several data types side by side under one context, as one data type: the composed state of an application.

    SHOP = Product("Shop", stock=PN_COUNTER, names=OR_SET)

An operation of a part is named `part.operation`, such as `stock.increment`. Reads as a dict of the parts' values. The
join is that of the parts; one context speaks for all, so no two parts share a dot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from crdtmesh.crdts.base import WHOLE, DataType, Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.values import PlainValue

__all__ = ["Product"]

Stores: TypeAlias = tuple[Any, ...]


class Product:
    """The product of named data types.

    Args:
        name: the name of the product, for messages.
        parts: the types, by the name of their part.
    """

    def __init__(self, name: str, **parts: DataType[Any]) -> None:
        self.name: Final = name
        self._parts: Final = parts
        self._types: Final = tuple(parts.values())
        self.operations: Final[Mapping[str, tuple[int, int]]] = {
            f"{part}.{operation}": arity for part, each in parts.items() for operation, arity in each.operations.items()
        }

    def bottom(self) -> Stores:
        """Each part's bottom."""
        return tuple(each.bottom() for each in self._types)

    def is_bottom(self, store: Stores) -> bool:
        """Whether every part is at its bottom."""
        return all(each.is_bottom(part) for each, part in zip(self._types, store, strict=True))

    def dots(self, store: Stores) -> Iterator[Dot]:
        """The live dots of all parts."""
        for each, part in zip(self._types, store, strict=True):
            yield from each.dots(part)

    def copy(self, store: Stores) -> Stores:
        """Copies of the parts."""
        return tuple(each.copy(part) for each, part in zip(self._types, store, strict=True))

    def restrict(self, store: Stores, keep: Callable[[Dot], bool]) -> Stores:
        """Each part restricted."""
        return tuple(each.restrict(part, keep) for each, part in zip(self._types, store, strict=True))

    def join(self, a: Stores, a_context: CausalContext, b: Stores, b_context: CausalContext) -> Stores:
        """The parts joined, each under the whole contexts."""
        parts = zip(self._types, a, b, strict=True)
        return tuple(each.join(ours, a_context, theirs, b_context) for each, ours, theirs in parts)

    def absorb(self, store: Stores, context: CausalContext, delta: Delta[Stores]) -> tuple[Stores, Touched]:
        """The parts absorbed, each under the whole context."""
        parts = zip(self._types, store, delta.store, strict=True)
        absorbed = [each.absorb(ours, context, Delta(theirs, delta.context)) for each, ours, theirs in parts]
        return tuple(part for part, _ in absorbed), WHOLE if any(touched for _, touched in absorbed) else ()

    def mutate(self, store: Stores, operation: Operation, mutation: Mutation) -> Delta[Stores] | None:
        """The delta of the part's operation, with the other parts at their bottom."""
        require_operation(self.name, operation, self.operations)
        name, _, inner = operation.name.partition(".")
        at = list(self._parts).index(name)
        delta = self._types[at].mutate(store[at], Operation(inner, operation.arguments), mutation)
        if delta is None:
            return None
        stores = list(self.bottom())
        stores[at] = delta.store
        return Delta(tuple(stores), delta.context)

    def stamp(self, store: Stores) -> Stamp | None:
        """The greatest stamp of the parts."""
        stamps = [each.stamp(part) for each, part in zip(self._types, store, strict=True)]
        return max((stamp for stamp in stamps if stamp is not None), default=None)

    def value(self, store: Stores) -> dict[str, PlainValue]:
        """Each part's value, by its name."""
        return {name: each.value(part) for (name, each), part in zip(self._parts.items(), store, strict=True)}

    def encode(self, store: Stores, writer: Writer) -> None:
        """Write the parts in their order."""
        for each, part in zip(self._types, store, strict=True):
            each.encode(part, writer)

    def decode(self, reader: Reader) -> Stores:
        """Read the parts in their order."""
        return tuple(each.decode(reader) for each in self._types)
