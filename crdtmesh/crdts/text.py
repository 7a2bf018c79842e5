"""Text: characters that many replicas write at once, each insert and each deletion where its writer meant it.

State: DotFun from dot to a *piece*: an update of the text library, under the text that it belongs to. A text begins
with a mark, a piece without an update, and is named by the mark's dot; it is there while its mark is live. `clear` and
`set` supersede all that they have seen, marks included.
Join: that of DotFun. Value: what the library makes of the live updates of the text that is there, "" for none.

Who wins: characters that replicas insert concurrently are all kept, and what one of them writes in a row stays
together. `clear` and `set` win over concurrent inserts and deletions: those belong to a text that is gone. Two
replicas that begin a text concurrently do not get a mixture: the one whose mark has the smaller dot (replica id, then
number) is read, the other stays behind it and is read if that one is cleared by somebody who has not seen it.

Indices and counts are Unicode code points, as in Python.

Size: an update for each insert or deletion, until there are 32 of one writer and they weigh as much as what it merged
before: then its next change is one update with all that it has written, and supersedes the others. That is sound
because a writer merges its own updates only, so that nobody else merges them too, and because the mark has a dot of
its own, so that a concurrent `clear` ends the text whatever was merged. Deleted characters are not kept in a merged
update. One of 16 KiB is not merged again. After a `clear` nothing is kept but the dots.

The library comes with the extra `text`. A node without it keeps, joins, repairs and passes on texts as any other
state; only reading (None) and changing them needs the library. What peers send is checked before it becomes a piece,
with and without the library (`text_updates`), and the library is given nothing that would have to wait in it.
Source: YATA (Nicolaescu et al., GROUP 2016), by pycrdt.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdtmesh.crdts import values
from crdtmesh.crdts.base import WHOLE, Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer, require_ascending
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot, n_of, replica_of
from crdtmesh.crdts.errors import CodecError, InvalidOperation, shorten
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.stores import join_dot_funs, spoken_dots
from crdtmesh.crdts.text_updates import UPDATE_BYTES_MAX, parse
from crdtmesh.crdts.values import PlainValue

if TYPE_CHECKING:
    from crdtmesh.text.sequence import Sequence

MERGED_COUNT: Final = 32
"""Updates of one writer before they are merged: each merging sends what the writer has written, once more."""

FULL_BYTES: Final = 16 * 1024
"""A merged update of this size is not merged again. So a writer has at most about 16 KiB of small updates waiting."""

MERGED_BYTES_MAX: Final = 128 * 1024
"""Largest merged update, most of it deletions by all; a part of one dot must fit a 256 KiB frame."""

_PIECE_BYTES: Final = 12
"""What a piece takes in an encoded state besides its update, about."""

_CLIENT_BITS: Final = 53


class Home(NamedTuple):
    """A text's name: the dot of its mark, ordered the same everywhere."""

    replica_id: bytes
    dot: Dot


class Piece(NamedTuple):
    """An update of a text, or its mark.

    Attributes:
        home: the text.
        update: of the library; empty for the mark.
    """

    home: Home
    update: bytes


class Pieces:
    """DotFun⟨Piece⟩: a text, or a delta of one.

    Attributes:
        live: the function itself; `mutate` and queries only read it.
    """

    __slots__ = ("_ahead", "_home", "_sequence", "live")
    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __init__(self, live: dict[Dot, Piece] | None = None) -> None:
        self.live: dict[Dot, Piece] = {} if live is None else live
        # The library's document of the text `_home`, kept from one change to the next. A mutator changes it before its
        # delta is absorbed; meanwhile, and for ever if the delta is dropped, it is ahead of `live` by one piece.
        self._sequence: Sequence | None = None
        self._home: Home | None = None
        self._ahead: tuple[Dot, Piece] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pieces):
            return NotImplemented
        return self.live == other.live

    def __repr__(self) -> str:
        return f"Pieces({self.live!r:.200})"

    @property
    def home(self) -> Home | None:
        """The text that is there."""
        return min((piece.home for piece in self.live.values() if not piece.update), default=None)

    def open(self, home: Home, client_id: int | None) -> "Sequence":
        """The library's document of a text, for a writer or, with None, for a reader."""
        known = self._sequence
        if known is not None and self._home == home and self._ahead is None and client_id in {None, known.client_id}:
            return known
        sequence = _library()(1 if client_id is None else client_id)
        for _, piece in sorted(self.live.items()):
            if piece.home == home and piece.update:
                sequence.apply(piece.update)
        self._sequence, self._home, self._ahead = sequence, home, None
        return sequence

    def expect(self, dot: Dot, piece: Piece) -> None:
        """Take note that the open document has a piece that is to be absorbed next."""
        self._ahead = dot, piece

    def absorb(self, context: CausalContext, delta: Delta["Pieces"]) -> bool:
        """Join a delta in place; whether anything became different."""
        require_same_table(context, delta.context)
        live = self.live
        theirs = delta.store.live
        added = [
            (dot, piece)
            for dot, piece in theirs.items()
            if (dot not in context if (ours := live.get(dot)) is None else ours < piece)
        ]
        removed = [dot for dot in spoken_dots(live, delta.context) if dot not in theirs]
        is_own = self._ahead is not None and added == [self._ahead]
        if is_own:
            self._ahead = None
        elif any(live[dot].home == self._home for dot in removed) or any(dot in live for dot, _ in added):
            self._sequence = None
        for dot in removed:
            del live[dot]
        for dot, piece in added:
            live[dot] = piece
            if self._sequence is not None and not is_own and piece.home == self._home and piece.update:
                self._sequence.apply(piece.update)
        return bool(added or removed)


class Text:
    """The data type; see the module for its meaning.

    Operations: `insert(index, text)`, `delete(index, count)`, `set(text)`, `clear()`.
    """

    name: Final = "Text"
    operations: Final[Mapping[str, tuple[int, int]]] = {
        "insert": (2, 2),
        "delete": (2, 2),
        "set": (1, 1),
        "clear": (0, 0),
    }

    def bottom(self) -> Pieces:
        """No text."""
        return Pieces()

    def is_bottom(self, store: Pieces) -> bool:
        """Whether the store holds nothing."""
        return not store.live

    def dots(self, store: Pieces) -> Iterator[Dot]:
        """The live dots."""
        return iter(store.live)

    def copy(self, store: Pieces) -> Pieces:
        """A store that can be changed independently; pieces are immutable and shared."""
        return Pieces(store.live.copy())

    def restrict(self, store: Pieces, keep: Callable[[Dot], bool]) -> Pieces:
        """The pieces whose dot is to be kept."""
        return Pieces({dot: piece for dot, piece in store.live.items() if keep(dot)})

    def join(self, a: Pieces, a_context: CausalContext, b: Pieces, b_context: CausalContext) -> Pieces:
        """The join, as a new store."""
        require_same_table(a_context, b_context)
        return Pieces(join_dot_funs(a.live, a_context, b.live, b_context))

    def absorb(self, store: Pieces, context: CausalContext, delta: Delta[Pieces]) -> tuple[Pieces, Touched]:
        """The join in place; O(pieces of the store or dots of the delta, whichever are fewer)."""
        return store, WHOLE if store.absorb(context, delta) else ()

    def mutate(self, store: Pieces, operation: Operation, mutation: Mutation) -> Delta[Pieces] | None:
        """The delta of an operation; inserting and deleting nothing, and clearing no text, have none.

        Raises:
            InvalidOperation: as everywhere, and where the text library is not installed.
        """
        require_operation(self.name, operation, self.operations)
        values.encode(tuple(operation.arguments))
        if operation.name == "clear" or operation.arguments == ("",):
            return self._cleared(store, mutation)
        if operation.name == "set":
            [text] = operation.arguments
            return self._begun(store, _text(text), mutation)
        index, what = operation.arguments
        home = store.home
        if home is None and operation.name == "insert" and index == 0 and what != "":
            return self._begun(store, _text(what), mutation)
        return self._edited(store, home, operation, mutation)

    def _cleared(self, store: Pieces, mutation: Mutation) -> Delta[Pieces] | None:
        if not store.live:
            return None
        return Delta(Pieces(), CausalContext(mutation.table, (mutation.next_dot(), *store.live)))

    def _begun(self, store: Pieces, text: str, mutation: Mutation) -> Delta[Pieces]:
        """A new text in place of all that is there."""
        make = _library()
        mark = mutation.next_dot()
        home = Home(mutation.table.id_of(mutation.replica), mark)
        update = make(client_id(home.replica_id, home)).insert(0, text)
        dot = mutation.next_dot()
        begun = Pieces({mark: Piece(home, b""), dot: Piece(home, update)})
        return Delta(begun, CausalContext(mutation.table, (mark, dot, *store.live)))

    def _edited(
        self, store: Pieces, home: Home | None, operation: Operation, mutation: Mutation
    ) -> Delta[Pieces] | None:
        index, what = operation.arguments
        if home is None:
            length, sequence = 0, None
        else:
            sequence = store.open(home, client_id(mutation.table.id_of(mutation.replica), home))
            length = len(str(sequence))
        start = _number(index, length)
        if operation.name == "insert":
            if not _text(what):
                return None
        elif not _number(what, length - start):
            return None
        assert sequence is not None
        assert home is not None
        dot = mutation.next_dot()
        own = _own(store, home, mutation.replica)
        if not sequence.has_all(own.values()):
            sequence = store.open(home, client_id(mutation.table.id_of(mutation.replica), home, n_of(dot)))
        edit: Callable[[int, Any], bytes] = sequence.insert if operation.name == "insert" else sequence.delete
        update = edit(start, what)
        superseded: list[Dot] = []
        if len(store.live) >= MERGED_COUNT and len(store.live) % 8 == 0:
            superseded, update = _merged(store, home, sequence, update, mutation.replica)
        piece = Piece(home, update)
        store.expect(dot, piece)
        if len(update) > UPDATE_BYTES_MAX:
            raise InvalidOperation(f"Text.{operation.name} makes an update of {len(update)} bytes; do it in parts")
        return Delta(Pieces({dot: piece}), CausalContext(mutation.table, (dot, *superseded)))

    def stamp(self, store: Pieces) -> Stamp | None:
        """None: this type has no stamps."""
        return None

    def value(self, store: Pieces) -> str | None:
        """The text; None where the library is not installed."""
        home = store.home
        if home is None:
            return ""
        try:
            return str(store.open(home, None))
        except InvalidOperation:
            return None

    def encode(self, store: Pieces, writer: Writer) -> None:
        """Write the number of texts, and for each its name, the number of its pieces, and their dots and updates."""
        homes: dict[Home, list[Dot]] = {}
        for dot, piece in store.live.items():
            homes.setdefault(piece.home, []).append(dot)
        writer.integer(len(homes))
        for home in sorted(homes):
            writer.replica(replica_of(home.dot))
            writer.integer(n_of(home.dot))
            writer.integer(len(homes[home]))
            for rank, dot in writer.ranked(homes[home]):
                writer.integer(rank)
                writer.binary(store.live[dot].update)

    def decode(self, reader: Reader) -> Pieces:
        """Read texts in the order of their names, each with at least one piece."""
        live: dict[Dot, Piece] = {}
        homes: list[Home] = []
        for _ in range(reader.count()):
            replica = reader.replica()
            home = Home(reader.table.id_of(replica), replica << DOT_BITS | reader.integer(N_MAX, least=1))
            if homes and not homes[-1] < home:
                raise CodecError("expected texts in the order of their names, each once")
            homes.append(home)
            ranks = []
            for _ in range(_at_least_one(reader.count())):
                ranks.append(reader.rank())
                dot = reader.dot_at(ranks[-1])
                update = reader.binary()
                live[dot] = Piece(home, update)
                if (dot == home.dot) == bool(update):
                    raise CodecError("expected a mark under the dot that names a text, and updates elsewhere")
                if update:
                    parse(update)
            require_ascending(ranks)
        return Pieces(live)


def client_id(replica_id: bytes, home: Home, edit: int = 0) -> int:
    """The library's name for a writer of a text: another one for each replica id and each text.

    Args:
        replica_id: of the writer.
        home: the text.
        edit: number of the edit's own dot, for one that can't go on under the usual name because earlier ones wait.
    """
    named = replica_id + home.replica_id + n_of(home.dot).to_bytes(8, "big")
    if edit:
        named += edit.to_bytes(8, "big")
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big") >> (64 - _CLIENT_BITS)


def _merged(store: Pieces, home: Home, sequence: "Sequence", update: bytes, replica: int) -> tuple[list[Dot], bytes]:
    """What an edit supersedes and brings, now that there are many pieces.

    Pieces of texts that are gone are superseded too: nothing can make them show again.
    """
    marked = {piece.home for piece in store.live.values() if not piece.update}
    gone = [dot for dot, piece in store.live.items() if piece.home not in marked]
    own = {
        dot: each
        for dot, each in _own(store, home, replica).items()
        if sequence.begins(each)[0] in {0, sequence.client_id}
    }
    full = [dot for dot, each in own.items() if len(each) >= FULL_BYTES]
    loose = {dot: len(each) for dot, each in own.items() if dot not in full}
    greatest = max(loose.values(), default=0)
    if len(loose) < MERGED_COUNT or sum(loose.values()) + _PIECE_BYTES * len(loose) < 2 * greatest:
        return gone, update
    history = sequence.own_history([own[dot] for dot in full])
    return ([*gone, *loose], history) if len(history) <= MERGED_BYTES_MAX else (gone, update)


def _own(store: Pieces, home: Home, replica: int) -> dict[Dot, bytes]:
    """The updates of a text that one replica wrote."""
    return {
        dot: piece.update
        for dot, piece in store.live.items()
        if piece.home == home and piece.update and replica_of(dot) == replica
    }


@cache
def _library() -> "Callable[[int], Sequence]":
    try:
        from crdtmesh.text.sequence import Sequence
    except ImportError as error:
        raise InvalidOperation(
            "texts are changed by the library pycrdt, which is not installed; pip install 'crdtmesh[text]'"
        ) from error
    return Sequence


def _text(value: PlainValue) -> str:
    if not isinstance(value, str):
        raise InvalidOperation(f"Text takes text, got {shorten(value)}")
    return value


def _number(value: PlainValue, greatest: int) -> int:
    if type(value) is not int or not 0 <= value <= greatest:
        raise InvalidOperation(f"Text: expected a number of code points in 0 .. {greatest}, got {shorten(value)}")
    return value


def _at_least_one(count: int) -> int:
    if not count:
        raise CodecError("expected at least one piece of a text")
    return count


TEXT: Final = Text()
"""The data type's only instance."""
