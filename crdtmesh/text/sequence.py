"""One text in pycrdt (yrs, the YATA algorithm): the only module that knows the library.

Indices here are code points, as in Python; the library counts bytes of UTF-8.
"""

from collections.abc import Iterable
from typing import Any, Final

from pycrdt import Doc, Text, get_state, merge_updates

_ROOT: Final = "text"
"""The name of the text within the library's document, in every update."""


class Sequence:
    """A document of the library that holds one text.

    Args:
        client_id: who writes here, at most 53 bits. Two writers under one id diverge silently and for ever.
    """

    __slots__ = ("_doc", "_has_all", "_is_settled", "_made", "_taken", "_text", "client_id")

    def __init__(self, client_id: int) -> None:
        self.client_id: Final = client_id
        # The node may collect garbage in any of its threads.
        self._doc: Doc[Any] = Doc(client_id=client_id, allow_multithreading=True)
        self._text: Text = self._doc.get(_ROOT, type=Text)
        self._made: list[bytes] = []
        self._taken: list[bytes] = []
        self._is_settled = True
        self._has_all = False
        # Observed for the document's whole life: older versions crashed when observers were taken off.
        self._doc.observe(lambda event: self._made.append(event.update))

    def __str__(self) -> str:
        """The text. An update shows when all it builds on has been applied."""
        self._settle()
        return str(self._text)

    def apply(self, update: bytes) -> None:
        """Take in an update, in any order and any number of times; one that is malformed says nothing."""
        try:
            self._doc.apply_update(update)
        except ValueError:
            return
        finally:
            self._made.clear()
        self._taken.append(update)
        self._is_settled = len(self._taken) == 1

    def _settle(self) -> None:
        """Apply what came again and again, until that changes nothing.

        The library forgets some of the updates that waited for others: which ones depends on the order in which they
        came, so that replicas with the same updates would read different texts.
        """
        if self._is_settled:
            return
        before = None
        while (now := (self._doc.get_state(), str(self._text))) != before:
            before = now
            for update in self._taken:
                self._doc.apply_update(update)
        self._made.clear()
        self._is_settled = True

    def has_all(self, updates: Iterable[bytes]) -> bool:
        """Whether none of this writer's own updates waits for others: then what it writes next follows them.

        One that waits has taken its place in the writer's numbering, and the library doesn't count it: an edit would
        take that place again, and two contents under one number diverge silently.
        """
        if not self._has_all:
            self._settle()
            written = _read_vector(self._doc.get_state()).get(self.client_id, 0)
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
        known = _read_vector(self._doc.get_state())
        known.pop(self.client_id, None)
        if after:
            # The library tells where an update ends only for one that starts at the beginning.
            known[self.client_id] = _read_vector(get_state(merge_updates(*after))).get(self.client_id, 0)
        return self._doc.get_update(_vector(known))

    def _take(self) -> bytes:
        [update] = self._made
        self._made.clear()
        return update


def _bytes_before(text: str, index: int) -> int:
    return index if text.isascii() else len(text[:index].encode())


def _read_vector(data: bytes) -> dict[int, int]:
    """Client to clock, from the library's encoding: a count, and pairs."""
    numbers = _numbers(data, len(data))
    return dict(zip(numbers[1::2], numbers[2::2], strict=True))


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
    encoded = bytearray()
    for number in (len(clocks), *(each for pair in clocks.items() for each in pair)):
        rest = number
        while rest >= 0x80:
            encoded.append(0x80 | rest & 0x7F)
            rest >>= 7
        encoded.append(rest)
    return bytes(encoded)
