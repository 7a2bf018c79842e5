"""What the maps of values of any type share: keys that are text, nested operations, and how deep maps nest.

An entry is named by its key *and* its type: two replicas that make one key with different types concurrently get both,
and they are never joined. Left to each map: what an update adds, and what a removal does to updates it has not seen.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from crdtmesh.crdts import registry, values
from crdtmesh.crdts.base import DataType, Delta, Mutation
from crdtmesh.crdts.codec import Reader
from crdtmesh.crdts.errors import CodecError, InvalidOperation, UnknownType, shorten
from crdtmesh.crdts.nested import Nested, NestedType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.sealed import Opaque, carried
from crdtmesh.crdts.values import PlainValue

NESTING_MAX: Final = 4
"""Maps within maps. Each takes two of the 28 levels that a value may have on the wire: with 4, eight and one for the
outermost elements are taken, and arguments keep 19."""

ARGUMENTS_MAX: Final = 3 * NESTING_MAX + 3
"""Key, type and operation for each map on the way, and at most three arguments of the operation at its end."""

MIXED_MAPS: Final = frozenset({"ORMap", "RWMap", "UWMap"})
"""The maps of this kind, by name: those that count for `NESTING_MAX`."""

_NOT_RESETTABLE: Final[Mapping[str, str]] = {
    "BoundedCounter": "a removed slot would give spent rights back; keep it as a state of its own",
}
"""Types that no key may hold, since its removal is a reset, each with the reason and the way out."""


class Update(NamedTuple):
    """A nested operation of a map, checked as far as the map can."""

    key: str
    kind: str
    operation: Operation


class MixedMap(NestedType):
    """Base of maps whose values are of any registered type."""

    def mutate(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        """The delta of an operation; nested operations without effect have none."""
        if operation.name == "put":
            raise InvalidOperation(
                f"{self.name} has no operation 'put': a ready-made value would be merged with what is there; "
                "call update, and remove before it to replace what is there"
            )
        return super().mutate(store, operation, mutation)

    def _key(self, operation: Operation) -> str:
        key = operation.arguments[0]
        if not isinstance(key, str):
            raise InvalidOperation(f"{self.name}.{operation.name} takes text as a key, got {shorten(key)}")
        values.encode(key)
        return key

    def _nested_update(self, operation: Operation) -> Update:
        """What an update asks for; raises InvalidOperation where no nested type could do it."""
        key = self._key(operation)
        kind, name, *arguments = operation.arguments[1:]
        if not isinstance(kind, str) or not isinstance(name, str):
            raise InvalidOperation(
                f"{self.name}.update takes a key, a type and an operation, got {shorten(operation.arguments[1:])}"
            )
        _require_room(operation)
        if kind in _NOT_RESETTABLE:
            raise InvalidOperation(f"{self.name}: a key can't hold a {kind}: {_NOT_RESETTABLE[kind]}")
        try:
            registry.get(kind)
        except UnknownType as error:
            raise InvalidOperation(f"{self.name}.update: {error}") from error
        return Update(key, kind, Operation(name, tuple(arguments)))

    def _decode_inner(self, kind: DataType[Any], reader: Reader, depth: int) -> Any:
        return decode_within(kind, reader, depth)


def held(name: str) -> DataType[Any]:
    """The type by which a map keeps a value under a key; an `Opaque` one if this node does not know it.

    Raises:
        CodecError: no key may hold this type.
    """
    if name in _NOT_RESETTABLE:
        raise CodecError(f"{name} can't be under a key: {_NOT_RESETTABLE[name]}")
    return carried(name)


def decode_within(kind: DataType[Any], reader: Reader, depth: int) -> Any:
    """Read the store of a value that is within `depth` maps.

    Raises:
        CodecError: it is no such store, or a map nested too deep.
    """
    if not isinstance(kind, MixedMap):
        return kind.decode(reader)
    if depth >= NESTING_MAX:
        raise CodecError(f"maps are nested deeper than {NESTING_MAX}")
    return kind._decode(reader, depth + 1)


def shown(kind: DataType[Any], store: Any) -> tuple[PlainValue, bool]:
    """What a value under a key reads as, and whether it shows at all.

    It does if it holds a dot and its type is known here; a map only if it has a key to show, since what it keeps of
    removals is nobody's content.
    """
    if isinstance(kind, Opaque):
        return None, False
    read = kind.value(store)
    return read, bool(read) if isinstance(kind, MixedMap) else not kind.is_bottom(store)


def kinds_on_the_way(operation: Operation) -> list[str]:
    """The types that a chain of updates goes through, outermost first."""
    kinds: list[str] = []
    arguments = operation.arguments
    while len(arguments) >= 3 and isinstance(arguments[1], str):
        kinds.append(arguments[1])
        if arguments[1] not in MIXED_MAPS or arguments[2] != "update":
            break
        arguments = arguments[3:]
    return kinds


def _require_room(operation: Operation) -> None:
    """Refuse maps nested too deep, and arguments that are too deep to be read out of the map."""
    depth = 1 + sum(kind in MIXED_MAPS for kind in kinds_on_the_way(operation))
    if depth > NESTING_MAX:
        raise InvalidOperation(f"maps nest up to {NESTING_MAX} deep, got {depth}; use a state of its own")
    wrapped: PlainValue = tuple(operation.arguments)
    for _ in range(2 * NESTING_MAX):
        wrapped = (wrapped,)
    values.encode(wrapped)
