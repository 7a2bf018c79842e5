"""UWMap: a map of values of any type, in which an update wins over a concurrent removal with all that it builds on.

State: DotMap from (key, type) to a DotFun from dot to a *content*: the nested store under a context of its own, as
canonical bytes. An update joins the contents that it has seen, carries out the nested operation on the result, and puts
that under a fresh dot in place of what it has seen. A removal supersedes the dots it has seen.
Join: that of DotMap and DotFun. Value: `{key: {type: value}}`, where the value of an entry is that of all its live
contents joined. The dots inside of a content are fresh as well, each used once in the life of the map, so contents made
before and after a removal join without taking each other's elements for removed.

Who wins: the update, with the whole content it was made on: a removal of the key, or of one element by a removal of the
key, that has not seen the update is as if it had not been. Of concurrent updates of one entry, the nested type decides.
`remove` without a type removes the key with all its types. A value that was emptied by its own operations keeps its
content, which says what was removed, until its key is removed; it does not show.

Types that keep one sum for each replica (`PNCounter`, `PNCounterMap`, `GCounter`, `Vote`) are refused: a content that
comes back would replace its replica's newer sum, or be replaced by it. `ExactCounter` is the counter for this map.
So is `Text`: its writers number their characters, and one that does not see its own from before a removal would give
their numbers to others, of which the content that comes back hides some.
For small values: each update writes and sends the whole content of its entry. After a removal nothing is kept but the
dots in the context. An update costs O(content); taking in what supersedes dots elsewhere costs O(entries).
Source: update-wins as discussed for maps in Almeida, Shoker, Baquero 2018, section 7.5, by the wrapper for plain
lattices: the lattice is here that of causal states.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import DataType, Delta, Mutation
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.deltas import encode_delta, join
from crdtmesh.crdts.dot_funs import DotFunType
from crdtmesh.crdts.dots import Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError, InvalidOperation
from crdtmesh.crdts.map_or import KeyAndType, key_and_type
from crdtmesh.crdts.mixed_maps import decode_within, held, kinds_on_the_way, shown
from crdtmesh.crdts.nested import Nested, NestedType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.sealed import Opaque
from crdtmesh.crdts.values import VALUE_SIZE_BYTES_MAX, PlainValue

Contents = dict[Dot, bytes]
"""Dot to content."""

_SUMS: Final = "sums of one replica from before and after a removal don't join; take an ExactCounter, or an ORMap"
_NOT_HELD: Final[Mapping[str, str]] = {
    "GCounter": _SUMS,
    "PNCounter": _SUMS,
    "PNCounterMap": _SUMS,
    "Vote": _SUMS,
    "Text": "characters of one writer from before and after a removal share numbers; take an ORMap",
}
"""Types that count on seeing all that their own replica wrote, each with the reason and the way out."""

_SPACE_OF_A_DOT: Final = 40
"""At most what a dot adds to a content: two bounds of an interval, a rank and a stamp, of nine bytes each."""

_TYPES_REMEMBERED: Final = 64
"""More than there are types; peers may name any number of types that are not known here."""


class UWMap(KeyAndType):
    """The data type; see the module for its meaning.

    Operations: `update(key, type, operation, *arguments)`, `remove(key, type=any)`, `clear()`.
    """

    name: ClassVar[str] = "UWMap"

    def type_of(self, entry: bytes) -> DataType[Any]:
        """What the entry holds: contents of its type."""
        return _contents(key_and_type(entry)[1])

    def _update(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        update = self._nested_update(operation)
        for name in kinds_on_the_way(operation):
            _require_held(name, InvalidOperation)
        entry = values.encode((update.key, update.kind))
        seen: Contents = store.keys.get(entry, {})
        _require_space(seen, operation)
        kind = held(update.kind)
        known = _joined(kind, seen.values(), mutation.table)
        delta = kind.mutate(known.store, update.operation, mutation)
        if delta is None:
            return None
        content = encode_delta(kind, join(kind, known, delta))
        dot = mutation.next_dot()
        fresh = delta.context.difference(known.context)
        return Delta(Nested({entry: {dot: content}}), CausalContext(mutation.table, (dot, *fresh, *seen)))

    def _read(self, entry: bytes, inner: Contents) -> tuple[PlainValue, bool]:
        kind = held(key_and_type(entry)[1])
        if isinstance(kind, Opaque):
            return None, False
        known = _joined(kind, inner.values(), ReplicaTable())
        return shown(kind, known.store)

    def _decode_inner(self, kind: DataType[Any], reader: Reader, depth: int) -> Any:
        assert isinstance(kind, _Contents)
        contents = kind.decode(reader)
        if isinstance(kind.inner, Opaque):
            return contents
        for content in contents.values():
            _decoded(kind.inner, content, ReplicaTable(), depth)
        return contents


class _Contents(DotFunType[bytes]):
    """The type of an entry: contents of one nested type. The map makes and reads them."""

    name: ClassVar[str] = "UWMap"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {}
    removal: ClassVar[str] = ""

    def __init__(self, inner: DataType[Any]) -> None:
        self.inner: Final = inner

    def _write(self, store: Contents, operation: Operation, mutation: Mutation) -> None:
        """Nothing: it has no operations."""

    def value(self, store: Contents) -> None:
        """Nothing."""

    def stamp(self, store: Contents) -> Stamp | None:
        """The greatest stamp of all contents; None where their type is not known here."""
        if isinstance(self.inner, Opaque):
            return None
        stores = [_decoded(self.inner, content, ReplicaTable(), 0).store for content in store.values()]
        return max((stamp for store in stores if (stamp := self.inner.stamp(store)) is not None), default=None)

    def _write_payload(self, writer: Writer, payload: bytes) -> None:
        writer.binary(payload)

    def _read_payload(self, reader: Reader, dot: Dot) -> bytes:
        return reader.binary()


@lru_cache(maxsize=_TYPES_REMEMBERED)
def _contents(name: str) -> _Contents:
    _require_held(name, CodecError)
    return _Contents(held(name))


def _decoded(kind: DataType[Any], content: bytes, table: ReplicaTable, depth: int) -> Delta[Any]:
    """The state in a content; raises CodecError for what no update writes."""
    reader = Reader(content, table, size_bytes_max=VALUE_SIZE_BYTES_MAX)
    context = reader.context()
    state = Delta(decode_within(kind, reader, depth), context)
    reader.finish()
    _require_held_within(kind, state.store)
    return state


def _joined(kind: DataType[Any], contents: Iterable[bytes], table: ReplicaTable) -> Delta[Any]:
    state: Delta[Any] = Delta(kind.bottom(), CausalContext(table))
    for content in contents:
        state = join(kind, state, _decoded(kind, content, table, 0))
    return state


def _require_held(name: str, error: type[InvalidOperation] | type[CodecError]) -> None:
    if name in _NOT_HELD:
        raise error(f"UWMap can't hold a {name}: {_NOT_HELD[name]}")


def _require_held_within(kind: DataType[Any], store: Any) -> None:
    _require_held(kind.name, CodecError)
    if isinstance(kind, NestedType):
        for entry, inner in store.keys.items():
            _require_held_within(kind.type_of(entry), inner)


def _require_space(seen: Contents, operation: Operation) -> None:
    """Refuse an update whose content might not fit into a frame, before a dot is taken."""
    arguments = tuple(operation.arguments)
    most = sum(map(len, seen.values())) + len(values.encode(arguments)) + _SPACE_OF_A_DOT * (3 + _scalars(arguments))
    if most > VALUE_SIZE_BYTES_MAX:
        raise InvalidOperation(
            f"UWMap writes the whole content of a key at each update; it may take {most} bytes here, at most "
            f"{VALUE_SIZE_BYTES_MAX} fit; split it over several keys, or use an ORMap"
        )


def _scalars(value: PlainValue) -> int:
    if isinstance(value, dict):
        return sum(map(_scalars, value.values()))
    return sum(map(_scalars, value)) if isinstance(value, list | tuple) else 1


UW_MAP: Final = UWMap()
"""The data type's only instance."""
