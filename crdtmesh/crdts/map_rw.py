"""RWMap: a map of values of any type, in which the removal of a key wins over every concurrent update of it.

State: DotMap from key to a *cell*, all under one context. A cell is a DotMap of its removals that stand, as a DotFun
from dot to the dot's lasting name, and of nested stores by (type, names of the removals that the store's updates had
seen). An update puts what the nested operation adds under the names of the removals that stand where it is made; a
removal supersedes all that it has seen of the cell and puts its own dot.
Join: that of DotMap and DotFun, recursively. Value: `{key: {type: value}}`, from those stores that have seen every
removal that stands; what other stores hold is *beaten*, and does not show.

Who wins: the removal. An update counts if and only if it has seen each removal of its key that stands, whatever was
updated since. `remove` of an absent key is an event too: it beats updates elsewhere. `reset`, and the removal of a key
around the map, forget the updates and removals they have seen and remove nothing: an update concurrent with a reset
survives it as the nested type lets it survive its own.

A removed key keeps its name and one dot until a reset has seen it. What is beaten stays until the next removal of its
key or reset has seen it, or until its own replica updates the entry. An update costs what the nested one does and
O(stores of the cell); taking in what supersedes dots elsewhere costs O(keys).
Source: the remove-wins set, Bieniusa et al. 2012, at the level of keys.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from crdtmesh.crdts import values
from crdtmesh.crdts.base import DataType, Delta, Mutation
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dot_funs import DotFunType
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, REPLICA_ID_BYTES, Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError, shorten
from crdtmesh.crdts.mixed_maps import ARGUMENTS_MAX, MixedMap, decode_within, held, shown
from crdtmesh.crdts.nested import Nested, NestedType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

Names = frozenset[bytes]
"""Lasting names of dots: a replica id and six bytes of n, which mean the same in every table and after the dot died."""

_NAME_BYTES: Final = REPLICA_ID_BYTES + 6


class RWMap(MixedMap):
    """The data type; see the module for its meaning.

    Operations: `update(key, type, operation, *arguments)`, `remove(key)`, `reset()`.
    """

    name: ClassVar[str] = "RWMap"
    removal: ClassVar[str] = "reset"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {
        "update": (3, ARGUMENTS_MAX),
        "remove": (1, 1),
        "reset": (0, 0),
    }

    def type_of(self, entry: bytes) -> DataType[Any]:
        """The cell; refuses what is no text."""
        _text(entry)
        return _CELL

    def _write(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        key = self._key(operation)
        inner = Operation("remove")
        if operation.name == "update":
            update = self._nested_update(operation)
            inner = Operation("update", (update.kind, update.operation.name, *update.operation.arguments))
        return self._updated(store, values.encode(key), inner, mutation)

    def value(self, store: Nested) -> dict[str, PlainValue]:
        """Key to type to what the entry reads as, keys in the order of their bytes."""
        read = {_text(entry): _CELL.value(store.keys[entry]) for entry in sorted(store.keys)}
        return {key: kinds for key, kinds in read.items() if kinds}

    def _decode_inner(self, kind: DataType[Any], reader: Reader, depth: int) -> Any:
        return _CELL._decode(reader, depth)


class _Removals(DotFunType[bytes]):
    """The removals of a key that stand: dot to name. The cell makes and reads them."""

    name: ClassVar[str] = "RWMap"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {}
    removal: ClassVar[str] = ""

    def _write(self, store: dict[Dot, bytes], operation: Operation, mutation: Mutation) -> None:
        """Nothing: it has no operations."""

    def value(self, store: dict[Dot, bytes]) -> None:
        """Nothing."""

    def _write_payload(self, writer: Writer, payload: bytes) -> None:
        """Nothing: the dot says it all."""

    def _read_payload(self, reader: Reader, dot: Dot) -> bytes:
        return _name_of(dot, reader.table)


class _Cell(NestedType):
    """What is under one key; an entry is `()` for the removals, `(type,)` or `(type, names)` for a nested store."""

    name: ClassVar[str] = "RWMap"
    removal: ClassVar[str] = ""
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"update": (2, ARGUMENTS_MAX), "remove": (0, 0)}

    def type_of(self, entry: bytes) -> DataType[Any]:
        """What the entry holds."""
        return _REMOVALS if entry == _STANDING else held(_type_and_names(entry)[0])

    def _write(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        if operation.name == "remove":
            dot = mutation.next_dot()
            standing = {dot: _name_of(dot, mutation.table)}
            return Delta(Nested({_STANDING: standing}), CausalContext(mutation.table, (dot, *self.dots(store))))
        kind, name, *arguments = cast("tuple[str, str, PlainValue]", operation.arguments)
        data_type = held(kind)
        counting, beaten = _parted(store, kind)
        delta = data_type.mutate(_merged(data_type, counting), Operation(name, tuple(arguments)), mutation)
        if delta is None:
            return None
        entry = _entry(kind, _standing(store))
        own = (dot for inner in beaten for dot in data_type.dots(inner) if dot >> DOT_BITS == mutation.replica)
        context = delta.context.union(CausalContext(mutation.table, own))
        return Delta(Nested() if data_type.is_bottom(delta.store) else Nested({entry: delta.store}), context)

    def value(self, store: Nested) -> dict[str, PlainValue]:
        """Type to what the stores that count read as."""
        kinds = {_type_and_names(entry)[0] for entry in store.keys if entry != _STANDING}
        read: dict[str, PlainValue] = {}
        for kind in sorted(kinds):
            data_type = held(kind)
            value, is_shown = shown(data_type, _merged(data_type, _parted(store, kind)[0]))
            if is_shown:
                read[kind] = value
        return read

    def _decode_inner(self, kind: DataType[Any], reader: Reader, depth: int) -> Any:
        return decode_within(kind, reader, depth)


def _standing(cell: Nested) -> Names:
    return frozenset(cell.keys.get(_STANDING, {}).values())


def _parted(cell: Nested, kind: str) -> tuple[list[Any], list[Any]]:
    """The stores of a type that count, and those that are beaten.

    A removal that a later one has seen stands no more, and who has seen the later one has seen it too. So it is enough
    to ask for those that stand.
    """
    standing = _standing(cell)
    counting: list[Any] = []
    beaten: list[Any] = []
    for entry, inner in sorted(cell.keys.items(), key=lambda item: item[0]):
        if entry != _STANDING:
            named, seen = _type_and_names(entry)
            if named == kind:
                (counting if standing <= seen else beaten).append(inner)
    return counting, beaten


def _merged(data_type: DataType[Any], stores: list[Any]) -> Any:
    """The union of stores that one context speaks for: none has removed anything of another."""
    if len(stores) == 1:
        return stores[0]
    merged, nothing = data_type.bottom(), CausalContext(_NO_TABLE)
    for store in stores:
        merged = data_type.join(merged, nothing, store, nothing)
    return merged


def _name_of(dot: Dot, table: ReplicaTable) -> bytes:
    return table.id_of(dot >> DOT_BITS) + (dot & N_MAX).to_bytes(_NAME_BYTES - REPLICA_ID_BYTES, "big")


def _entry(kind: str, seen: Names) -> bytes:
    return values.encode((kind, tuple(sorted(seen))) if seen else (kind,))


def _type_and_names(entry: bytes) -> tuple[str, Names]:
    """What names a nested store; raises CodecError for what no update writes."""
    parts = values.decode(entry)
    if isinstance(parts, tuple) and 1 <= len(parts) <= 2 and isinstance(parts[0], str):
        names = parts[1] if len(parts) == 2 else ()
        if isinstance(names, tuple) and all(isinstance(name, bytes) and len(name) == _NAME_BYTES for name in names):
            seen = frozenset(cast("tuple[bytes, ...]", names))
            if _entry(parts[0], seen) == entry:
                return parts[0], seen
    raise CodecError(f"expected a type and names of removals, got {shorten(parts)}")


def _text(entry: bytes) -> str:
    key = values.decode(entry)
    if not isinstance(key, str):
        raise CodecError(f"expected text as a key, got {shorten(key)}")
    return key


_STANDING: Final = values.encode(())
_REMOVALS: Final = _Removals()
_CELL: Final = _Cell()
_NO_TABLE: Final = ReplicaTable()

RW_MAP: Final = RWMap()
"""The data type's only instance."""
