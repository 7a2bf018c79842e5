"""The bytes of a JSON document: its tree, written from the root, each place once.

    place     = header (element? contents)
    element   = shared suffix (replica n)?       in a list: its position, as what it shares with the one before and
                                                 the rest; then the dot that made it
    contents  = writes objects keys lists elements places, each as the header says

What makes it small: the keys and positions above a fact are written once for all facts below them, times are written as
differences, and an element that was not written again says with one bit that its dot is that of its scalar.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final, TypeVar

from crdtmesh.crdts import values
from crdtmesh.crdts.clock import TIME_MAX
from crdtmesh.crdts.codec import Reader, Writer, require_ascending
from crdtmesh.crdts.dots import DOT_BITS, N_MAX, Dot
from crdtmesh.crdts.errors import CodecError, InvalidValue
from crdtmesh.crdts.json_tree import Fact, Facts, Kind, Node, Path, Uid
from crdtmesh.crdts.positions import require_position
from crdtmesh.crdts.stores import DotSet, dot_set, dots_of

T = TypeVar("T")

STEPS_MAX: Final = 16
"""Longest path of a fact. With the root and an empty container at the end a document reads as at most 17 containers
within each other, so that it fits into the outermost 28 levels of a value even four maps deep (`map_or`)."""

KEY_BYTES_MAX: Final = 4096
"""Longest key in canonical bytes. 16 of them, or of positions, leave a part of one dot within a 256 KiB frame."""

POSITIONS_BYTES_MAX: Final = 64 * 1024 * 1024
"""Most bytes of positions in a message. What they share is written once, so a short message could ask for a thousand
times its size; the 350,000 elements of an entry of 4 MiB may still have 190 bytes each."""

_WRITES: Final = 0b11
"""In the header: how many writes there are. 0: none; 1: one; 2: several, and their number follows; 3: one, whose dot
is the one that made the element."""
_ONE: Final = 1
_SEVERAL: Final = 2
_MAKER: Final = 3
_OBJECT: Final = 4
_KEYS: Final = 8
_LIST: Final = 16
_ELEMENTS: Final = 32
_PLACES: Final = 64
_HEADER_MAX: Final = 127


def require_key(key: str) -> None:
    """Refuse a key that is too long.

    Raises:
        InvalidValue: it is longer than `KEY_BYTES_MAX`, or no valid Unicode.
    """
    size = len(values.encode(key))
    if size > KEY_BYTES_MAX:
        raise InvalidValue(f"key of {size} bytes exceeds {KEY_BYTES_MAX}; keep long texts as values")


def write_facts(facts: Facts, writer: Writer) -> None:
    """Write a document, after its context."""
    _Encoder(writer).place(facts.root, None, b"")


def read_facts(reader: Reader) -> Facts:
    """Read a document, after its context.

    Raises:
        CodecError: the items are not a canonical document.
    """
    decoder = _Decoder(reader)
    decoder.root()
    return Facts(decoder.facts)


class _Encoder:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._time = 0

    def place(self, node: Node, uid: Uid | None, before: bytes) -> None:
        """Write one place and all below.

        Args:
            node: the place.
            uid: the element that it is, if it is one.
            before: position of the element before it in the order of identities.
        """
        writer = self._writer
        writes, objects, lists, places = (
            [dot for dot, fact in node.facts.items() if fact.kind is kind] for kind in Kind
        )
        code = min(len(writes), _SEVERAL)
        if uid is not None and writes == [uid.dot]:
            code = _MAKER
        writer.integer(
            code
            | (_OBJECT if objects else 0)
            | (_KEYS if node.keys else 0)
            | (_LIST if lists else 0)
            | (_ELEMENTS if node.elements else 0)
            | (_PLACES if places else 0)
        )
        if uid is not None:
            self._element(uid, before, with_dot=code != _MAKER)
        self._writes(node, writes)
        _write_dots(writer, objects)
        if node.keys:
            writer.integer(len(node.keys))
            for name, key in sorted((values.encode(key), key) for key in node.keys):
                writer.value(name)
                self.place(node.keys[key], None, b"")
        _write_dots(writer, lists)
        if node.elements:
            writer.integer(len(node.elements))
            before = b""
            for each in sorted(node.elements):
                self.place(node.elements[each], each, before)
                before = each.position
        if places:
            writer.integer(len(places))
            for rank, dot in writer.ranked(places):
                writer.integer(rank)
                writer.binary(node.facts[dot].data)

    def _element(self, uid: Uid, before: bytes, *, with_dot: bool) -> None:
        shared = _shared(before, uid.position)
        self._writer.integer(shared)
        self._writer.binary(uid.position[shared:])
        if with_dot:
            self._writer.replica(uid.dot >> DOT_BITS)
            self._writer.integer(uid.dot & N_MAX)

    def _writes(self, node: Node, writes: list[Dot]) -> None:
        writer = self._writer
        if len(writes) > 1:
            writer.integer(len(writes))
        for rank, dot in writer.ranked(writes):
            fact = node.facts[dot]
            writer.integer(rank)
            writer.integer(fact.time - self._time)
            writer.value(fact.data)
            self._time = fact.time


class _Decoder:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._time = 0
        self._room = POSITIONS_BYTES_MAX
        self.facts: dict[Dot, Fact] = {}

    def root(self) -> None:
        header = self._reader.integer(_HEADER_MAX)
        if header == 0:
            return
        if header != _KEYS:
            raise CodecError(f"a document is an object with keys, got {header}")
        self._contents((), header, None)

    def _place(self, path: Path) -> None:
        """Read what stands under a key."""
        header = self._reader.integer(_HEADER_MAX, least=1)
        if header & _WRITES == _MAKER or header & _PLACES:
            raise CodecError("only elements of lists have a dot that made them, and places")
        self._contents(path, header, None)

    def _contents(self, path: Path, header: int, maker: Dot | None) -> None:
        if len(path) > STEPS_MAX:
            raise CodecError(f"a document is nested deeper than {STEPS_MAX}")
        if header & _WRITES != _MAKER:
            self._writes(path, header & _WRITES, maker)
        if header & _OBJECT:
            self._marks(path, Kind.OBJECT)
        if header & _KEYS:
            names = self._several(lambda: self._key(path))
            require_ascending(names)
        if header & _LIST:
            self._marks(path, Kind.LIST)
        if header & _ELEMENTS:
            self._elements(path)
        if header & _PLACES:
            ranks = self._several(lambda: self._moved(path))
            require_ascending(ranks)

    def _writes(self, path: Path, code: int, maker: Dot | None) -> None:
        if code == _ONE:
            self._write(path, maker)
        elif code == _SEVERAL:
            ranks = self._several(lambda: self._write(path, None), least=2)
            require_ascending(ranks)

    def _write(self, path: Path, maker: Dot | None) -> int:
        rank = self._reader.rank()
        dot = self._reader.dot_at(rank)
        if dot == maker:
            raise CodecError("an element whose only write is the one that made it has a shorter form")
        self._scalar(path, dot)
        return rank

    def _scalar(self, path: Path, dot: Dot) -> None:
        reader = self._reader
        time = self._time + reader.integer(TIME_MAX, least=-TIME_MAX)
        data = reader.value()
        if not 0 <= time <= TIME_MAX or data[0] in _CONTAINERS:
            raise CodecError("expected a time of 63 bits and a scalar")
        self._time = time
        self.facts[dot] = Fact(path, Kind.REGISTER, time, reader.table.id_of(dot >> DOT_BITS), data)

    def _marks(self, path: Path, kind: Kind) -> None:
        dots: DotSet = self._reader.dots()
        fact = Fact(path, kind)
        self.facts.update((dot, fact) for dot in dots_of(dots))

    def _key(self, path: Path) -> bytes:
        name = self._reader.value()
        key = values.decode(name)
        if not isinstance(key, str) or len(name) > KEY_BYTES_MAX:
            raise CodecError(f"expected a key of at most {KEY_BYTES_MAX} bytes")
        self._place((*path, key))
        return name

    def _moved(self, path: Path) -> int:
        rank = self._reader.rank()
        dot = self._reader.dot_at(rank)
        data = self._reader.binary()
        require_position(data)
        self.facts[dot] = Fact(path, Kind.PLACE, data=data)
        return rank

    def _elements(self, path: Path) -> None:
        before: list[Uid] = []

        def element() -> Uid:
            uid = self._element(path, before[-1].position if before else b"")
            before[:] = [uid]
            return uid

        if any(not a < b for a, b in pairwise(self._several(element))):
            raise CodecError("expected the elements of a list in ascending order, each once")

    def _element(self, path: Path, before: bytes) -> Uid:
        reader = self._reader
        header = reader.integer(_HEADER_MAX, least=1)
        shared = reader.integer(len(before))
        position = before[:shared] + reader.binary()
        if shared != _shared(before, position):
            raise CodecError("a position shares more with the one before than it says")
        require_position(position)
        self._room -= len(position)
        if self._room < 0:
            raise CodecError(f"the positions of a document exceed {POSITIONS_BYTES_MAX} bytes")
        if header & _WRITES == _MAKER:
            dot = reader.dot()
            uid = Uid(position, reader.table.id_of(dot >> DOT_BITS), dot)
            self._scalar((*path, uid), dot)
        else:
            replica = reader.replica()
            dot = replica << DOT_BITS | reader.integer(N_MAX, least=1)
            uid = Uid(position, reader.table.id_of(replica), dot)
        self._contents((*path, uid), header, uid.dot)
        return uid

    def _several(self, read: Callable[[], T], *, least: int = 1) -> list[T]:
        count = self._reader.count()
        if count < least:
            raise CodecError(f"expected at least {least} items, got {count}")
        return [read() for _ in range(count)]


_CONTAINERS: Final = frozenset((*range(0xC7, 0xCA), *range(0xD4, 0xD9)))
"""First bytes of msgpack ext items, which lists and dicts are in canonical bytes."""


def _write_dots(writer: Writer, dots: list[Dot]) -> None:
    several = dot_set(dots)
    if several is not None:
        writer.dots(several)


def _shared(before: bytes, position: bytes) -> int:
    """How many leading bytes two positions share."""
    length = min(len(before), len(position))
    if before[:length] == position[:length]:
        return length
    return next(at for at in range(length) if before[at] != position[at])
