"""Updates of the text library, read by our own hand before any library sees them.

A piece of a text is an update in the format that the library shares with its relatives (version 1 of Yjs): for each
client its blocks, one after the other from a clock on, then which clocks are deleted. What peers send is taken apart
here and refused unless it is what a text is made of: characters, and places whose characters are gone. Nothing else of
what the format can say (embedded values, formats, nested types, other names, gaps, bytes at the end) is ever written.
So a library gets no count, no length and no depth from outside that this has not checked, and a node without the
library refuses the same.

Clocks count UTF-16 code units, as the library does.
"""

from typing import Final, NamedTuple

from crdtmesh.crdts.errors import CodecError

CLOCK_MAX: Final = (1 << 31) - 1
"""Greatest clock: the library counts with 32 bits, and a writer who types ten characters a second gets there in seven
years."""

CLIENT_MAX: Final = (1 << 53) - 1
"""Greatest client id, as `text.client_id` makes them."""

UPDATE_BYTES_MAX: Final = 241 * 1024
"""Largest update: an insert of the largest value, 240 KiB, and what the format puts around it. A part of one dot must
fit a 256 KiB frame with its context and key."""

_ROOT: Final = b"\x01\x04text"
"""The parent of a block that has no neighbour: the root of this name."""

_GONE: Final = 0
_DELETED: Final = 1
_STRING: Final = 4
_HAS_LEFT: Final = 0x80
_HAS_RIGHT: Final = 0x40
"""Kinds of blocks, and marks of the neighbours that an item names; all in a block's first byte."""


class Block(NamedTuple):
    """Characters that stand together, or their places.

    Attributes:
        start: clock of the first.
        end: clock behind the last.
        needs: the neighbours that it was put between, as client and clock.
        data: its encoding.
    """

    start: int
    end: int
    needs: tuple[tuple[int, int], ...]
    data: bytes


class Update(NamedTuple):
    """An update, taken apart.

    Attributes:
        runs: client to its blocks, each of which begins where the one before it ends.
        deleted: client and the clocks that are deleted, the last one excluded.
    """

    runs: dict[int, list[Block]]
    deleted: list[tuple[int, int, int]]


def parse(data: bytes) -> Update:
    """Take an update apart.

    Raises:
        CodecError: it is no update of a text, or beyond a bound.
    Complexity: O(bytes); what it allocates is bounded by the bytes too.
    """
    if len(data) > UPDATE_BYTES_MAX:
        raise CodecError(f"expected an update of a text of at most {UPDATE_BYTES_MAX} bytes, got {len(data)}")
    reader = _Reader(data)
    runs: dict[int, list[Block]] = {}
    for _ in range(reader.number(len(data))):
        count, client, clock = reader.number(len(data)), reader.number(CLIENT_MAX), reader.number(CLOCK_MAX)
        if client in runs or not count:
            raise CodecError("expected each client of a text's update once, and with a block")
        runs[client] = blocks = []
        for _ in range(count):
            block = reader.block(client, clock)
            blocks.append(block)
            clock = block.end
    deleted = []
    for _ in range(reader.number(len(data))):
        client = reader.number(CLIENT_MAX)
        for _ in range(reader.number(len(data))):
            start = reader.number(CLOCK_MAX)
            deleted.append((client, start, start + reader.number(CLOCK_MAX - start, least=1)))
    if reader.at != len(data):
        raise CodecError(f"expected the end of a text's update, got {len(data) - reader.at} more bytes")
    return Update(runs, deleted)


def pack(runs: dict[int, list[Block]], deleted: list[tuple[int, int, int]]) -> bytes:
    """The update of these blocks and deletions; see `Update`."""
    packed = bytearray(pack_number(len(runs)))
    for client, blocks in runs.items():
        for number in (len(blocks), client, blocks[0].start):
            packed += pack_number(number)
        for block in blocks:
            packed += block.data
    spans: dict[int, list[tuple[int, int]]] = {}
    for client, start, end in deleted:
        spans.setdefault(client, []).append((start, end))
    packed += pack_number(len(spans))
    for client, ranges in spans.items():
        packed += pack_number(client) + pack_number(len(ranges))
        for start, end in ranges:
            packed += pack_number(start) + pack_number(end - start)
    return bytes(packed)


def pack_number(number: int) -> bytes:
    """A number in base 128 with the low digits first."""
    if number < 0x80:
        return bytes((number,))
    packed = bytearray()
    while number >= 0x80:
        packed.append(0x80 | number & 0x7F)
        number >>= 7
    packed.append(number)
    return bytes(packed)


class _Reader:
    """Reads an update from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self, most: int, *, least: int = 0) -> int:
        """A number within bounds, in its shortest form."""
        number = shift = 0
        data, at = self._data, self.at
        while True:
            if at >= len(data):
                raise CodecError("update of a text ends early")
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise CodecError("expected a number of at most 64 bits in a text's update")
        if not least <= number <= most or (not byte and shift):
            raise CodecError(f"expected a number in {least} .. {most} in a text's update, got {number}")
        self.at = at
        return number

    def block(self, client: int, clock: int) -> Block:
        """The block of a client that begins at a clock."""
        first = self.at
        if first >= len(self._data):
            raise CodecError("update of a text ends early")
        info = self._data[first]
        self.at = first + 1
        kind = info & ~(_HAS_LEFT | _HAS_RIGHT)
        needs: tuple[tuple[int, int], ...] = ()
        if kind in {_DELETED, _STRING}:
            needs = self._neighbours(info, client, clock)
        elif info != _GONE:
            raise CodecError(f"expected characters or their places in a text's update, got a block of kind {info}")
        if kind == _STRING:
            length = self._string()
            if length > CLOCK_MAX - clock:
                raise CodecError(f"expected a clock of at most {CLOCK_MAX} in a text's update")
        else:
            length = self.number(CLOCK_MAX - clock, least=1)
        return Block(clock, clock + length, needs, self._data[first : self.at])

    def _neighbours(self, info: int, client: int, clock: int) -> tuple[tuple[int, int], ...]:
        if not info & (_HAS_LEFT | _HAS_RIGHT):
            if not self._data.startswith(_ROOT, self.at):
                raise CodecError("expected the root of a text as the parent of characters without neighbours")
            self.at += len(_ROOT)
            return ()
        needs = []
        for mark in (_HAS_LEFT, _HAS_RIGHT):
            if info & mark:
                need = self.number(CLIENT_MAX), self.number(CLOCK_MAX - 1)
                if need[0] == client and need[1] >= clock:
                    raise CodecError("expected characters beside others that were there before them")
                needs.append(need)
        return tuple(needs)

    def _string(self) -> int:
        """Skip a text; the UTF-16 code units that it has."""
        size = self.number(len(self._data) - self.at, least=1)
        end = self.at + size
        if end > len(self._data):
            raise CodecError("update of a text ends early")
        encoded = self._data[self.at : end]
        self.at = end
        if encoded.isascii():
            return size
        try:
            return len(encoded.decode().encode("utf-16-le")) // 2
        except UnicodeDecodeError as error:
            raise CodecError(f"expected UTF-8 in a text's update: {error}") from None
