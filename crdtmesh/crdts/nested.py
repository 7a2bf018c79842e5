"""What maps of typed values share: a DotMap from entry to a store of another type, all under the map's one context.

An *entry* is a canonical value that names a key and perhaps a type. A nested operation runs the nested type's mutator
and wraps what it adds; the context stays flat. So a removed entry leaves nothing but dots in the context, and what is
made anew under its key has fresh ones: old content can't come back, and no nested counter starts over.

Left to each map: its operations, the type of an entry, and what it reads as.
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

from crdtmesh.crdts.base import DataType, Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer, require_ascending
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.errors import CodecError
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.values import PlainValue


class Nested:
    """DotMap⟨canonical bytes of an entry, store⟩; no store is bottom.

    Attributes:
        keys: the map itself; `mutate` and queries only read it.
    """

    __slots__ = ("keys",)
    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __init__(self, keys: dict[bytes, Any] | None = None) -> None:
        self.keys: dict[bytes, Any] = {} if keys is None else keys

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Nested):
            return NotImplemented
        return self.keys == other.keys

    def __repr__(self) -> str:
        return f"Nested({self.keys!r})"


class NestedType(abc.ABC):
    """Base of data types whose store is `Nested`."""

    name: ClassVar[str]
    operations: ClassVar[Mapping[str, tuple[int, int]]]
    removal: ClassVar[str] = "clear"
    """The operation without arguments that supersedes all that it has seen."""

    @abc.abstractmethod
    def type_of(self, entry: bytes) -> DataType[Any]:
        """The type of an entry.

        Raises:
            CodecError: it is no entry of this map.
        """

    def bottom(self) -> Nested:
        """A map that nobody has changed."""
        return Nested()

    def is_bottom(self, store: Nested) -> bool:
        """Whether the map holds no entry."""
        return not store.keys

    def dots(self, store: Nested) -> Iterator[Dot]:
        """The live dots of all entries."""
        for entry, inner in store.keys.items():
            yield from self.type_of(entry).dots(inner)

    def copy(self, store: Nested) -> Nested:
        """A store that can be changed independently, nested ones included; O(store)."""
        return Nested({entry: self.type_of(entry).copy(inner) for entry, inner in store.keys.items()})

    def restrict(self, store: Nested, keep: Callable[[Dot], bool]) -> Nested:
        """The entries with a dot to be kept, and those dots of them."""
        return self._settled({entry: self.type_of(entry).restrict(inner, keep) for entry, inner in store.keys.items()})

    def join(self, a: Nested, a_context: CausalContext, b: Nested, b_context: CausalContext) -> Nested:
        """The join, entry by entry under the same contexts, as a new store."""
        require_same_table(a_context, b_context)
        joined: dict[bytes, Any] = {}
        for entry in (*a.keys, *(entry for entry in b.keys if entry not in a.keys)):
            kind = self.type_of(entry)
            ours, theirs = a.keys.get(entry), b.keys.get(entry)
            joined[entry] = kind.join(
                kind.bottom() if ours is None else ours,
                a_context,
                kind.bottom() if theirs is None else theirs,
                b_context,
            )
        return self._settled(joined)

    def absorb(self, store: Nested, context: CausalContext, delta: Delta[Nested]) -> tuple[Nested, Touched]:
        """The join in place; names the entries.

        Complexity: O(the delta and the entries that it names) for a delta that supersedes nothing but live dots of
            these, as updates of keys that nobody else changed meanwhile do; else O(entries): each is asked for dots
            that the delta removes.
        """
        require_same_table(context, delta.context)
        visited = list(delta.store.keys)
        if not self._is_accounted(store, delta):
            visited += [entry for entry in store.keys if entry not in delta.store.keys]
        touched = []
        for entry in visited:
            kind = self.type_of(entry)
            ours, theirs = store.keys.get(entry), delta.store.keys.get(entry)
            inner, changed = kind.absorb(
                kind.bottom() if ours is None else ours,
                context,
                Delta(kind.bottom() if theirs is None else theirs, delta.context),
            )
            if changed:
                touched.append(entry)
            if not kind.is_bottom(inner):
                store.keys[entry] = inner
            elif ours is not None:
                del store.keys[entry]
        return store, touched

    def _is_accounted(self, store: Nested, delta: Delta[Nested]) -> bool:
        """Whether all dots that a delta speaks for are in its own entries, there or in the store.

        At most as many live dots are looked at as the store has entries: beyond that, asking each costs less.
        """
        spoken = delta.context
        left = len(spoken)
        to_look_at = len(store.keys)
        for entry, theirs in delta.store.keys.items():
            kind = self.type_of(entry)
            added = set(kind.dots(theirs))
            left -= len(added)
            if left and entry in store.keys:
                ours = list(islice(kind.dots(store.keys[entry]), to_look_at))
                to_look_at -= len(ours)
                left -= sum(dot in spoken and dot not in added for dot in ours)
        return not left

    def mutate(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        """The delta of an operation; removing what is absent and nested operations without effect have none."""
        require_operation(self.name, operation, self.operations)
        if operation.name == self.removal:
            return self._removed(store, list(store.keys), mutation)
        return self._write(store, operation, mutation)

    @abc.abstractmethod
    def _write(self, store: Nested, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        """The delta of any other operation of the type, whose number of arguments fits."""

    def _updated(self, store: Nested, entry: bytes, operation: Operation, mutation: Mutation) -> Delta[Nested] | None:
        """The delta of a nested operation."""
        kind = self.type_of(entry)
        inner = store.keys.get(entry)
        delta = kind.mutate(kind.bottom() if inner is None else inner, operation, mutation)
        if delta is None:
            return None
        return Delta(Nested() if kind.is_bottom(delta.store) else Nested({entry: delta.store}), delta.context)

    def _removed(self, store: Nested, entries: list[bytes], mutation: Mutation) -> Delta[Nested] | None:
        """The delta that supersedes all dots of these entries."""
        observed = [
            dot for entry in entries if entry in store.keys for dot in self.type_of(entry).dots(store.keys[entry])
        ]
        if not observed:
            return None
        return Delta(Nested(), CausalContext(mutation.table, (mutation.next_dot(), *observed)))

    def _settled(self, keys: dict[bytes, Any]) -> Nested:
        return Nested({entry: inner for entry, inner in keys.items() if not self.type_of(entry).is_bottom(inner)})

    def stamp(self, store: Nested) -> Stamp | None:
        """The greatest stamp of all entries."""
        stamps = [stamp for entry, inner in store.keys.items() if (stamp := self.type_of(entry).stamp(inner))]
        return max(stamps, default=None)

    @abc.abstractmethod
    def value(self, store: Nested) -> Mapping[str, PlainValue]:
        """What the map reads as."""

    def encode(self, store: Nested, writer: Writer) -> None:
        """Write the number of entries, then each with its store, in the order of their bytes."""
        writer.integer(len(store.keys))
        for entry in sorted(store.keys):
            writer.value(entry)
            self.type_of(entry).encode(store.keys[entry], writer)

    def decode(self, reader: Reader) -> Nested:
        """Read entries; they come in ascending order, each once, and none is empty."""
        return self._decode(reader, 1)

    def _decode(self, reader: Reader, depth: int) -> Nested:
        keys: dict[bytes, Any] = {}
        entries: list[bytes] = []
        for _ in range(reader.count()):
            entry = reader.value()
            entries.append(entry)
            kind = self.type_of(entry)
            inner = keys[entry] = self._decode_inner(kind, reader, depth)
            if kind.is_bottom(inner):
                raise CodecError("expected entries of a map that hold something, got an empty one")
        require_ascending(entries)
        return Nested(keys)

    def _decode_inner(self, kind: DataType[Any], reader: Reader, depth: int) -> Any:
        return kind.decode(reader)
