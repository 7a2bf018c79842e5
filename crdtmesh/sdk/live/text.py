"""`ctx.state` of a text."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import normal
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["Text"]


class Text(Snapshot[str]):
    """A text that many write at once: `ctx.state.insert(0, "Dear ")`. Indices are code points, as in Python."""

    __slots__ = ()

    type_name: ClassVar[str] = "Text"

    def __init__(self, text: str = "") -> None:
        """A text of `text`, as a test of a handler would want it."""
        super().__init__(text)

    @property
    def value(self) -> str:
        """The text, with what this turn has changed so far."""
        return self._value

    def insert(self, index: int, text: str) -> None:
        """Inserts text before the character at an index.

        Raises:
            InvalidOperation: the index is out of range, or the mesh can't hold the text; nothing was changed.
        """
        at = self._within(index, len(self._value))
        written = _written(text)
        if written:
            self._record("insert", at, written)
            self._value = self._value[:at] + written + self._value[at:]

    def append(self, text: str) -> None:
        """Inserts text at the end; raises what `insert` does."""
        self.insert(len(self._value), text)

    def delete(self, index: int, count: int = 1) -> None:
        """Deletes characters from an index on.

        Raises:
            InvalidOperation: they are not all there; nothing was changed.
        """
        at = self._within(index, len(self._value))
        if self._within(count, len(self._value) - at):
            self._record("delete", at, count)
            self._value = self._value[:at] + self._value[at + count :]

    def set(self, text: str) -> None:
        """Begins a new text in place of this one, whatever others insert into this one meanwhile.

        Raises:
            InvalidOperation: the mesh can't hold the text; nothing was changed.
        """
        self._record("set", _written(text))
        self._value = text

    def clear(self) -> None:
        """Takes away the whole text, and what others insert into it meanwhile."""
        if self._value:
            self._record("clear")
            self._value = ""

    @staticmethod
    def _within(number: int, greatest: int) -> int:
        if type(number) is not int or not 0 <= number <= greatest:
            raise InvalidOperation(f"expected a number of characters in 0 .. {greatest}, got {shorten(number)}")
        return number

    def _parse(self, value: PlainValue) -> str:
        if value is not None and not isinstance(value, str):
            raise ValueError(f"expected a text for a Text, got {shorten(value)}")
        return value or ""

    def __str__(self) -> str:
        return self._value

    def __len__(self) -> int:
        return len(self._value)


def _written(text: str) -> str:
    written = normal(text)
    if not isinstance(written, str):
        raise InvalidOperation(f"expected text, got {shorten(text)}")
    return written
