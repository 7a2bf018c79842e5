"""One text in pycrdt (yrs, the YATA algorithm): the only module that knows the library.

The library gets an update's blocks and deletions only when all they build on is there. It has a place for updates that
wait, and must not be asked to use it: what comes out of there depends on the order in which updates came, and the time
it takes grows with the square of what waits, so that a peer who sends updates that never can be applied would bring a
node to a stop. Here whatever waits is kept by what it waits for, and an update costs O(its blocks · log of what waits).

Indices here are code points, as in Python; the library counts bytes of UTF-8, and clocks in UTF-16 code units.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any, Final

from pycrdt import Doc, Text, get_state, merge_updates

from crdtmesh.crdts.text_updates import Block, pack, pack_number, parse

_ROOT: Final = "text"
"""The name of the text within the library's document, in every update."""


class Sequence:
    """A document of the library that holds one text.

    Args:
        client_id: who writes here, at most 53 bits. Two writers under one id diverge silently and for ever.
    """

    __slots__ = (
        "_clocks",
        "_deletions",
        "_doc",
        "_has_all",
        "_is_settled",
        "_made",
        "_ready",
        "_text",
        "_waited",
        "_waiting",
        "client_id",
    )

    def __init__(self, client_id: int) -> None:
        self.client_id: Final = client_id
        # The node may collect garbage in any of its threads.
        self._doc: Doc[Any] = Doc(client_id=client_id, allow_multithreading=True)
        self._text: Text = self._doc.get(_ROOT, type=Text)
        self._made: list[bytes] = []
        # How far each client's blocks are there, with all that they build on.
        self._clocks: dict[int, int] = {}
        # Those of them that the library does not have yet, and what is deleted and it does not know.
        self._ready: dict[int, list[Block]] = {}
        self._deletions: list[tuple[int, int, int]] = []
        self._is_settled = True
        self._has_all = False
        # By client, what waits until its clock gets to a number: a heap of that number, a number that breaks ties, and
        # the client and the blocks that wait, with the place of the first one.
        self._waiting: dict[int, list[tuple[int, int, int, list[Block], int]]] = {}
        self._waited = 0
        # Observed for the document's whole life: older versions crashed when observers were taken off.
        self._doc.observe(lambda event: self._made.append(event.update))

    def __str__(self) -> str:
        """The text. An update shows when all it builds on has been applied."""
        self._settle()
        return str(self._text)

    def apply(self, update: bytes) -> None:
        """Take in an update, in any order and any number of times.

        Raises:
            CodecError: it is no update of a text; nothing was changed.
        """
        runs, deleted = parse(update)
        self._is_settled = False
        self._deletions += deleted
        self._take_in([(client, blocks, 0) for client, blocks in runs.items()])

    def _take_in(self, going: list[tuple[int, list[Block], int]]) -> None:
        """Make blocks ready, of some clients from some places on, and all that waited for them."""
        while going:
            client = going[-1][0]
            self._advance(*going.pop())
            waiting = self._waiting.get(client, [])
            while waiting and waiting[0][0] <= self._clocks.get(client, 0):
                going.append(heappop(waiting)[2:])

    def _advance(self, client: int, blocks: list[Block], first: int) -> None:
        """Make blocks of a client ready, up to one that has to wait."""
        clocks = self._clocks
        ready = self._ready.setdefault(client, [])
        for at in range(first, len(blocks)):
            block = blocks[at]
            clock = clocks.get(client, 0)
            if block.end <= clock:
                continue
            missing = self._missing(client, block, clock)
            if missing is not None:
                of, until = missing
                self._waited += 1
                heappush(self._waiting.setdefault(of, []), (until, self._waited, client, blocks, at))
                return
            if ready and ready[-1].end != block.start:
                # It begins with what another one brought; in one update each must begin where the one before it ends.
                self._flush()
                ready = self._ready.setdefault(client, [])
            ready.append(block)
            clocks[client] = block.end

    def _missing(self, client: int, block: Block, clock: int) -> tuple[int, int] | None:
        """A client whose clock must get further before a block can be there, and how far."""
        if block.start > clock:
            return client, block.start
        for of, needed in block.needs:
            if self._clocks.get(of, 0) <= needed:
                return of, needed + 1
        return None

    def _settle(self) -> None:
        if not self._is_settled:
            self._flush()
            self._is_settled = True

    def _flush(self) -> None:
        """Give the library what is ready, and what is deleted of all it has then."""
        deleted, kept = [], []
        for client, start, end in self._deletions:
            clock = self._clocks.get(client, 0)
            if start < clock:
                deleted.append((client, start, min(end, clock)))
            if end > clock:
                kept.append((client, max(start, clock), end))
        ready = {client: blocks for client, blocks in self._ready.items() if blocks}
        self._ready, self._deletions = {}, kept
        if ready or deleted:
            self._doc.apply_update(pack(ready, deleted))
            self._made.clear()

    def has_all(self, updates: Iterable[bytes]) -> bool:
        """Whether none of this writer's own updates waits for others: then what it writes next follows them.

        One that waits has taken its place in the writer's numbering, and the library doesn't have it: an edit would
        take that place again, and two contents under one number diverge silently.
        """
        if not self._has_all:
            written = self._clocks.get(self.client_id, 0)
            starts = (start for client, start in map(self.begins, updates) if client == self.client_id)
            # Once it has all it keeps them: what is written here later follows.
            self._has_all = all(start < written for start in starts)
        return self._has_all

    @staticmethod
    def begins(update: bytes) -> tuple[int, int]:
        """The client and the number that an update of one writer begins with; (0, 0) for one that only deletes."""
        clients, _, client, start = (*_numbers(update, 4), 0, 0, 0)[:4]
        return (client, start) if clients else (0, 0)

    def insert(self, index: int, text: str) -> bytes:
        """Insert before a code point, and return the update."""
        self._text.insert(_bytes_before(str(self), index), text)
        self._clocks[self.client_id] = self._clocks.get(self.client_id, 0) + len(text.encode("utf-16-le")) // 2
        self._take_in([(self.client_id, [], 0)])
        return self._take()

    def delete(self, index: int, count: int) -> bytes:
        """Delete code points, and return the update."""
        text = str(self)
        start, stop = _bytes_before(text, index), _bytes_before(text, index + count)
        del self._text[start:stop]
        return self._take()

    def own_history(self, after: list[bytes]) -> bytes:
        """One update with what this writer has written here, and all deletions, its own and those of others.

        Args:
            after: earlier answers, whose contents are left out.
        """
        self._settle()
        known = self._clocks | {self.client_id: 0}
        if after:
            # The library tells where an update ends only for one that starts at the beginning.
            ends = get_state(merge_updates(*after))
            numbers = _numbers(ends, len(ends))
            known[self.client_id] = dict(zip(numbers[1::2], numbers[2::2], strict=True)).get(self.client_id, 0)
        return self._doc.get_update(_vector(known))

    def _take(self) -> bytes:
        [update] = self._made
        self._made.clear()
        return update


def _bytes_before(text: str, index: int) -> int:
    return index if text.isascii() else len(text[:index].encode())


def _numbers(data: bytes, count: int) -> list[int]:
    """The first numbers in the library's encoding: in base 128 with the low digits first."""
    numbers: list[int] = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
            if len(numbers) == count:
                break
    return numbers


def _vector(clocks: dict[int, int]) -> bytes:
    """The library's encoding of client to clock."""
    return b"".join(map(pack_number, (len(clocks), *(each for pair in clocks.items() for each in pair))))
