"""Values of types that not every node knows: written so that who does not know the type can still keep them.

The built-in types are known to all that read this format. The store of any other type, such as one that a package
registers, is *sealed* where a name says its type: its live dots come first, then the store as one item, the canonical
bytes that it has under the context of its own dots. A node that knows the type opens it. One that does not keeps it as
it came, in an `Opaque` store: it knows the dots, so joins, removals and repairs are exact, and passes it on.

What several deltas brought to an opaque store stays several *parts*, since only the type could join them; whoever
knows it does so. One dot means the same in every part that holds it. Two opaque stores are therefore equal when their
dots are, whatever parts spell them; their bytes become canonical again when a node that knows the type writes them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, NamedTuple, cast

from crdtmesh.crdts import deltas, registry
from crdtmesh.crdts.base import WHOLE, DataType, Delta, Mutation, Touched
from crdtmesh.crdts.codec import Reader, Writer, require_ascending
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import Dot, ReplicaTable
from crdtmesh.crdts.errors import CodecError, InvalidOperation, UnknownType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.stores import dot_set, dots_of


class Part(NamedTuple):
    """A sealed store, or what is still live of it.

    Attributes:
        sealed: the bytes as they came.
        live: those dots of it that nothing has removed.
    """

    sealed: bytes
    live: frozenset[Dot]


class OpaqueStore:
    """What is live under an entry whose type is not known here.

    Attributes:
        parts: in the order of their bytes; none without a live dot.
        live: all dots.
    """

    __slots__ = ("live", "parts")
    __hash__ = None  # type: ignore[assignment]  # its parts may differ where it is equal

    def __init__(self, parts: Mapping[bytes, frozenset[Dot]] | None = None) -> None:
        given = {} if parts is None else parts
        kept = (Part(sealed, live) for sealed, live in sorted(given.items()) if live)
        self.parts: Final = tuple(part for part in kept if not any(map(part.live.__lt__, given.values())))
        self.live: Final[frozenset[Dot]] = frozenset().union(*(part.live for part in self.parts))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OpaqueStore):
            return NotImplemented
        return self.live == other.live

    def __repr__(self) -> str:
        return f"OpaqueStore({sorted(self.live)!r:.100} in {len(self.parts)} parts)"


class Opaque:
    """A data type of which only the name is known here. It has no operations, and reads as nothing."""

    operations: ClassVar[Mapping[str, tuple[int, int]]] = {}

    def __init__(self, name: str) -> None:
        self.name: Final = name

    def bottom(self) -> OpaqueStore:
        """A store without dots."""
        return OpaqueStore()

    def is_bottom(self, store: OpaqueStore) -> bool:
        """Whether nothing is live."""
        return not store.live

    def dots(self, store: OpaqueStore) -> Iterator[Dot]:
        """The live dots."""
        return iter(store.live)

    def copy(self, store: OpaqueStore) -> OpaqueStore:
        """The store itself: it is immutable."""
        return store

    def restrict(self, store: OpaqueStore, keep: Callable[[Dot], bool]) -> OpaqueStore:
        """The parts with a dot to be kept; of each, only those dots are live."""
        return OpaqueStore({sealed: frozenset(filter(keep, live)) for sealed, live in store.parts})

    def join(self, a: OpaqueStore, a_context: CausalContext, b: OpaqueStore, b_context: CausalContext) -> OpaqueStore:
        """The parts of both, without the dots that one side has seen and does not hold."""
        require_same_table(a_context, b_context)
        live = {dot for dot in a.live if dot in b.live or dot not in b_context}
        live |= {dot for dot in b.live if dot in a.live or dot not in a_context}
        parts: dict[bytes, frozenset[Dot]] = {}
        for sealed, dots in (*a.parts, *b.parts):
            parts[sealed] = parts.get(sealed, frozenset()) | (dots & live)
        return OpaqueStore(parts)

    def absorb(
        self, store: OpaqueStore, context: CausalContext, delta: Delta[OpaqueStore]
    ) -> tuple[OpaqueStore, Touched]:
        """The join; O(store), since parts are few."""
        joined = self.join(store, context, delta.store, delta.context)
        return joined, () if joined == store else WHOLE

    def mutate(self, store: OpaqueStore, operation: Operation, mutation: Mutation) -> None:
        """Nothing can be done with it here.

        Raises:
            InvalidOperation: always.
        """
        raise InvalidOperation(f"this node does not know the type {self.name!r:.64}; ask one that does")

    def stamp(self, store: OpaqueStore) -> None:
        """None: whether there is a stamp in it is not known."""

    def value(self, store: OpaqueStore) -> None:
        """None: what it reads as is not known."""

    def encode(self, store: OpaqueStore, writer: Writer) -> None:
        """Write the parts as they came."""
        _write(writer, store.live, [part.sealed for part in store.parts])

    def decode(self, reader: Reader) -> OpaqueStore:
        """Read parts without opening them."""
        live, parts = _read(reader)
        store = OpaqueStore({sealed: _dots_within(sealed, live, reader.table) for sealed in parts})
        if store.live != live:
            raise CodecError(f"expected a sealed store of {len(live)} dots, got one of {len(store.live)}")
        return store


class Sealed:
    """A known type whose stores are written sealed; in all else it is that type."""

    def __init__(self, inner: DataType[Any]) -> None:
        self._inner: Final = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def encode(self, store: Any, writer: Writer) -> None:
        """Write the store as one part."""
        live = frozenset(self._inner.dots(store))
        _write(writer, live, [deltas.encode_store(self._inner, store, writer.table)])

    def decode(self, reader: Reader) -> Any:
        """Open all parts and join them: none has removed anything of another."""
        live, parts = _read(reader)
        store, nothing = self._inner.bottom(), CausalContext(reader.table)
        for sealed in parts:
            _dots_within(sealed, live, reader.table)
            opened = deltas.decode_delta(self._inner, sealed, reader.table)
            store = self._inner.join(store, nothing, self._inner.restrict(opened.store, live.__contains__), nothing)
        if frozenset(self._inner.dots(store)) != live:
            raise CodecError(f"expected a sealed {self._inner.name} of {len(live)} dots, got one of others")
        return store


def carried(name: str) -> DataType[Any]:
    """The type by which a value is kept and sent where its type is named beside it: never refuses a name."""
    if registry.is_built_in(name):
        return registry.get(name)
    try:
        return cast("DataType[Any]", Sealed(registry.get(name)))
    except UnknownType:
        return Opaque(name)


def _write(writer: Writer, live: frozenset[Dot], parts: list[bytes]) -> None:
    dots = dot_set(live)
    assert dots is not None, "an entry without dots is not written"
    writer.dots(dots)
    writer.integer(len(parts))
    for part in parts:
        writer.binary(part)


def _read(reader: Reader) -> tuple[frozenset[Dot], list[bytes]]:
    live = frozenset(dots_of(reader.dots()))
    parts = [reader.binary() for _ in range(reader.count())]
    require_ascending(parts)
    return live, parts


def _dots_within(sealed: bytes, live: frozenset[Dot], table: ReplicaTable) -> frozenset[Dot]:
    """Those live dots that a part holds.

    Raises:
        CodecError: there are none, the part is malformed, or it brings replica ids that nothing live is of.
    """
    scratch = ReplicaTable()
    Reader(sealed, scratch).context()
    if any(scratch.id_of(number) not in table for number in range(1, len(scratch) + 1)):
        raise CodecError("expected a sealed store of the dots before it, got one of other replicas")
    context = Reader(sealed, table).context()
    dots = frozenset(dot for dot in live if dot in context)
    if not dots:
        raise CodecError("expected a sealed store of the dots before it, got one of others")
    return dots
