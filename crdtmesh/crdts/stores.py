"""The three dot stores, as joins over plain Python containers. Every data type is composed of these.

    DotSet          a set of dots: a bare int for one dot, a frozenset for several, None for the empty set
    DotFun⟨V⟩       dict from dot to a payload; a payload never changes under its dot
    DotMap⟨K, S⟩    dict from key to a dot store that is not empty

Join keeps what both sides hold, and of what one side holds only what the other has not seen: a dot in the other's
context that is missing from its store was removed there. Leaves are immutable, so results share them with arguments
safely.

`KeyedDots` is the DotMap of DotSets that add-wins sets hold. It can look up the key of a dot, which lets the holder
apply a removal in the time of the delta, not of the set.

Source: Almeida, Shoker, Baquero 2018, section 7; joins as in the sheet of formulas there.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from crdtmesh.crdts.codec import Reader, Writer, require_ascending
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import Dot

DotSet: TypeAlias = int | frozenset[int]
"""A dot set that is not empty."""

K = TypeVar("K")
V = TypeVar("V")


class Ordered(Protocol):
    """What payloads of a dot function are: immutable and totally ordered."""

    def __lt__(self, other: Any, /) -> bool: ...
    def __gt__(self, other: Any, /) -> bool: ...


P = TypeVar("P", bound=Ordered)
"""Payloads are compared when one dot names two of them, which only a replica id used twice can bring about."""

_SCANNED_UP_TO: Final = 16
"""A store of at most this many entries is scanned for dots; a larger `KeyedDots` builds its index when first asked."""


# --- DotSet


def dots_of(dots: DotSet) -> Collection[Dot]:
    """The dots of a dot set."""
    return (dots,) if isinstance(dots, int) else dots


def dot_set(dots: Iterable[Dot]) -> DotSet | None:
    """A dot set of these dots; None if there are none."""
    found = frozenset(dots)
    return next(iter(found)) if len(found) == 1 else found or None


def join_dot_sets(
    a: DotSet | None, a_context: CausalContext, b: DotSet | None, b_context: CausalContext
) -> DotSet | None:
    """The join of two dot sets: what both hold, and of the rest what the other has not seen."""
    if a == b:
        return a
    ours = frozenset(() if a is None else dots_of(a))
    theirs = frozenset(() if b is None else dots_of(b))
    kept = ours & theirs
    return dot_set(
        (*kept, *(d for d in ours - kept if d not in b_context), *(d for d in theirs - kept if d not in a_context))
    )


# --- DotFun


def join_dot_funs(
    a: Mapping[Dot, P], a_context: CausalContext, b: Mapping[Dot, P], b_context: CausalContext
) -> dict[Dot, P]:
    """The join of two dot functions, as a new dict. Under one dot the greater payload wins."""
    result: dict[Dot, P] = {}
    for dot, payload in a.items():
        theirs = b.get(dot)
        if theirs is not None:
            result[dot] = max(payload, theirs)
        elif dot not in b_context:
            result[dot] = payload
    result.update((dot, payload) for dot, payload in b.items() if dot not in a and dot not in a_context)
    return result


def absorb_dot_fun(
    store: dict[Dot, P], context: CausalContext, delta: Mapping[Dot, P], delta_context: CausalContext
) -> bool:
    """Join a delta into a dot function in place.

    Returns:
        Whether the store became different.
    Complexity: O(live dots of the store or dots of the delta's context, whichever are fewer).
    """
    if context.table is not delta_context.table:
        require_same_table(context, delta_context)
    changed = False
    known = context.bounds
    for dot, payload in delta.items():
        ours = store.get(dot)
        if not bisect_right(known, dot) & 1 if ours is None else ours < payload:
            store[dot] = payload
            changed = True
    for dot in spoken_dots(store, delta_context):
        if dot not in delta:
            del store[dot]
            changed = True
    return changed


def spoken_dots(store: Mapping[Dot, object], context: CausalContext) -> list[Dot]:
    """The dots of a mapping that are in a context, by walking the smaller of the two."""
    if _SCANNED_UP_TO < len(store) >= len(context):
        return [dot for dot in context if dot in store]
    bounds = context.bounds
    return [dot for dot in store if bisect_right(bounds, dot) & 1]


def write_dot_fun(store: Mapping[Dot, V], writer: Writer, write_payload: Callable[[V], None]) -> None:
    """Write a dot function: its size, then rank and payload of each dot in canonical order."""
    writer.integer(len(store))
    for rank, dot in writer.ranked(store):
        writer.integer(rank)
        write_payload(store[dot])


def read_dot_fun(reader: Reader, read_payload: Callable[[Dot], V]) -> dict[Dot, V]:
    """Read a dot function; `read_payload` is told the dot."""
    store: dict[Dot, V] = {}
    ranks: list[int] = []
    for _ in range(reader.count()):
        ranks.append(reader.rank())
        dot = reader.dot_at(ranks[-1])
        store[dot] = read_payload(dot)
    require_ascending(ranks)
    return store


# --- DotMap


def write_keyed_dots(keys: Mapping[bytes, DotSet], writer: Writer) -> None:
    """Write a DotMap of canonical values: its size, the column of keys in ascending order, and that of their dots."""
    if len(keys) == 1:
        [(key, dots)] = keys.items()
        writer.value_and_dots(key, dots)
        return
    ordered = sorted(keys)
    writer.integer(len(ordered))
    writer.values(ordered)
    writer.dot_sets(list(map(keys.__getitem__, ordered)))


def read_keyed_dots(reader: Reader) -> dict[bytes, DotSet]:
    """Read what `write_keyed_dots` wrote.

    Raises:
        CodecError: the keys do not ascend, or the items are none of this.
    """
    count = reader.count()
    if count == 1:
        key, dots = reader.value_and_dots()
        return {key: dots}
    keys = reader.values(count)
    require_ascending(keys)
    return dict(zip(keys, reader.dot_sets(count), strict=True))


def join_dot_maps(
    a: Mapping[K, V],
    a_context: CausalContext,
    b: Mapping[K, V],
    b_context: CausalContext,
    join_value: Callable[[V | None, CausalContext, V | None, CausalContext], V | None],
) -> dict[K, V]:
    """The join of two dot maps, key by key, as a new dict; keys whose value becomes empty are dropped.

    Args:
        a: one map.
        a_context: its context, which also speaks for everything nested in it.
        b: the other map.
        b_context: its context.
        join_value: join of two values under the same contexts; None stands for the empty value.
    """
    result: dict[K, V] = {}
    for key in (*a, *(key for key in b if key not in a)):
        value = join_value(a.get(key), a_context, b.get(key), b_context)
        if value is not None:
            result[key] = value
    return result


class KeyedDots:
    """DotMap⟨canonical bytes, DotSet⟩ with an index from dot to key that is built when it is first needed.

    A removal's delta names dots, not keys. Without the index it would cost a scan of the set; with it, one look-up. The
    index costs about 52 bytes for each dot and 0.15 µs for each change, so sets that see no removal never build it.

    Attributes:
        keys: the map itself. Changing it from outside breaks the index; `mutate` and queries only read it.
    """

    __slots__ = ("_index", "keys")
    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __init__(self, keys: dict[bytes, DotSet] | None = None) -> None:
        self.keys: dict[bytes, DotSet] = {} if keys is None else keys
        self._index: dict[Dot, bytes] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyedDots):
            return NotImplemented
        return self.keys == other.keys

    def __repr__(self) -> str:
        return f"KeyedDots({self.keys!r})"

    def __len__(self) -> int:
        return len(self.keys)

    def copy(self) -> "KeyedDots":
        """An independent map; values are immutable and shared."""
        copied = KeyedDots(self.keys.copy())
        copied._index = None if self._index is None else self._index.copy()
        return copied

    def dots(self) -> Iterator[Dot]:
        """All dots."""
        for dots in self.keys.values():
            if isinstance(dots, int):
                yield dots
            else:
                yield from dots

    def absorb(self, context: CausalContext, delta: "KeyedDots", delta_context: CausalContext) -> list[bytes]:
        """Join a delta into this map in place.

        Every dot that the delta speaks for is either accounted for under a key of the delta, or perhaps live under
        another key. Only if the first kind does not make up the whole context is the second looked for.

        Returns:
            The keys whose dots became different.
        """
        if context.table is not delta_context.table:
            require_same_table(context, delta_context)
        keys, index = self.keys, self._index
        known, spoken = context.bounds, delta_context.bounds
        count = len(spoken)
        if count == 4 and index is not None and not delta.keys:
            # The removal of an element with one dot, and the dot of the removal itself.
            dot = spoken[0]
            key = index.get(dot)
            if (
                key is not None
                and keys[key] == dot
                and spoken[1] - dot == 1 == spoken[3] - spoken[2]
                and spoken[2] not in index
            ):
                del keys[key], index[dot]
                return [key]
        if count == 2:
            spoken_count = spoken[1] - spoken[0]
        elif count == 4:
            spoken_count = spoken[1] - spoken[0] + spoken[3] - spoken[2]
        else:
            spoken_count = len(delta_context)
        unaccounted = spoken_count
        touched: list[bytes] = []
        for key, theirs in delta.keys.items():
            ours = keys.get(key)
            if (
                type(theirs) is int
                and not bisect_right(known, theirs) & 1
                and (ours is None or (type(ours) is int and bisect_right(spoken, ours) & 1))
            ):  # an add in place of nothing, or of the one dot it supersedes: by far the most frequent
                keys[key] = theirs
                unaccounted -= 1 if ours is None else 2
                if index is not None:
                    if ours is not None:
                        del index[ours]
                    index[theirs] = key
                touched.append(key)
                continue
            if ours == theirs:
                unaccounted -= 1 if isinstance(theirs, int) else len(theirs)
                continue
            joined = join_dot_sets(ours, context, theirs, delta_context)
            if joined != ours:
                self._replace(key, ours, joined)
                touched.append(key)
        if unaccounted:
            if unaccounted == 2 and count == 4 and index is not None and not delta.keys:
                return self._remove((spoken[0], spoken[2]), index)  # one dot, and that of the removal itself
            touched += self._drop_spoken(delta.keys, delta_context, spoken_count)
        return touched

    def _remove(self, dots: Iterable[Dot], index: dict[Dot, bytes]) -> list[bytes]:
        """Drop the live ones of these dots."""
        keys = self.keys
        touched: list[bytes] = []
        for dot in dots:
            key = index.pop(dot, None)
            if key is None:
                continue
            if keys[key] == dot:
                del keys[key]
            else:
                self._shrink(key, dot)
            touched.append(key)
        return touched if len(touched) < 2 else list(dict.fromkeys(touched))

    def _shrink(self, key: bytes, dot: Dot) -> None:
        """Take one of its several dots from a key; the index is the caller's."""
        self.keys[key] = cast("DotSet", dot_set(other for other in dots_of(self.keys[key]) if other != dot))

    def _replace(self, key: bytes, before: DotSet | None, after: DotSet | None) -> None:
        if after is None:
            del self.keys[key]
        else:
            self.keys[key] = after
        if self._index is not None:
            for dot in () if before is None else dots_of(before):
                del self._index[dot]
            for dot in () if after is None else dots_of(after):
                self._index[dot] = key

    def _drop_spoken(self, delta: Mapping[bytes, DotSet], delta_context: CausalContext, count: int) -> list[bytes]:
        """Drop live dots that the delta speaks for and does not hold, wherever they are."""
        if len(self.keys) <= _SCANNED_UP_TO or count > len(self.keys):
            every = ((dot, key) for key, dots in self.keys.items() for dot in dots_of(dots))
            found = [(dot, key) for dot, key in every if dot in delta_context]
        else:
            found = self._look_up(delta_context.bounds)
        keys, index = self.keys, self._index
        touched: list[bytes] = []
        for dot, key in found:
            theirs = delta.get(key)
            if theirs is not None and dot in dots_of(theirs):
                continue
            if keys[key] == dot:
                del keys[key]
            else:
                self._shrink(key, dot)
            if index is not None:
                del index[dot]
            touched.append(key)
        return touched if len(touched) < 2 else list(dict.fromkeys(touched))

    def _look_up(self, bounds: list[int]) -> list[tuple[Dot, bytes]]:
        """The live dots within flat intervals, with their keys."""
        index = self._index
        if index is None:
            index = self._index = {dot: key for key, dots in self.keys.items() for dot in dots_of(dots)}
        found: list[tuple[Dot, bytes]] = []
        for i in range(0, len(bounds), 2):
            for dot in range(bounds[i], bounds[i + 1]):
                key = index.get(dot)
                if key is not None:
                    found.append((dot, key))
        return found
