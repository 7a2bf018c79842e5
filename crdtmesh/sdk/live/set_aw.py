"""`ctx.state` of an add-wins set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from crdtmesh.crdts import values
from crdtmesh.crdts.errors import InvalidValue, shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import LiveState, identify

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["ORSet"]


class ORSet(LiveState, Generic[T]):
    """A set in which an add wins over every concurrent removal of the same element.

    Elements are told apart as the mesh does: `True`, `1`, `1.0` and `"1"` are four. Lists come back as tuples. The
    order of iteration means nothing.
    """

    __slots__ = ("_elements", "_undo")

    type_name: ClassVar[str] = "ORSet"

    def __init__(self, elements: Iterable[T] = ()) -> None:
        """A set of `elements`, as a test of a handler would want it."""
        super().__init__()
        # Canonical bytes to element. Python's own equality would merge 1, 1.0 and True.
        self._elements: dict[bytes, PlainValue] = {}
        # What the turn changed, newest last: keys, each with the element that was there before.
        self._undo: list[tuple[bytes, PlainValue | _Absent]] = []
        self.load_value([cast("PlainValue", element) for element in elements])

    def add(self, element: T) -> None:
        """Puts an element in.

        Adding one that is there counts too: it then survives removals elsewhere that have not seen this add.

        Raises:
            InvalidValue: the mesh can't hold the element; nothing was changed.
        """
        key, plain = identify(element)
        self._record("add", plain)
        self._undo.append((key, self._elements.get(key, ABSENT)))
        self._elements[key] = plain

    def remove(self, element: T) -> None:
        """Takes an element out.

        Raises:
            KeyError: it is not in the set; nothing was changed.
        """
        if not self._take_out(element):
            raise KeyError(element)

    def discard(self, element: T) -> None:
        """Takes an element out if it is in the set."""
        self._take_out(element)

    def clear(self) -> None:
        """Takes all elements out that this node has seen."""
        if not self._elements:
            return
        self._record("clear")
        self._undo.extend(self._elements.items())
        self._elements.clear()

    def load_value(self, value: PlainValue) -> None:
        """Takes a whole state over: a sequence of elements."""
        if value is not None and not isinstance(value, list | tuple):
            raise ValueError(f"expected a list for an ORSet, got {shorten(value)}")
        self._elements = dict(map(identify, value or ()))
        self._operations = []
        self._undo.clear()

    def apply_change(self, added: Sequence[PlainValue], removed: Sequence[PlainValue]) -> None:
        """Takes over what other writers added and removed."""
        for element in removed:
            self._elements.pop(values.encode(element), None)
        for element in added:
            key, plain = identify(element)
            self._elements[key] = plain

    def roll_back(self) -> None:
        """Undoes this turn's changes."""
        self._operations = []
        for key, element in reversed(self._undo):
            if isinstance(element, _Absent):
                self._elements.pop(key, None)
            else:
                self._elements[key] = element
        self._undo.clear()

    def commit(self) -> None:
        """Makes this turn's changes the state."""
        self._operations = []
        self._undo.clear()

    def _take_out(self, element: T) -> bool:
        key = values.encode(cast("PlainValue", element))
        if key not in self._elements:
            return False
        self._record("remove", self._elements[key])
        self._undo.append((key, self._elements.pop(key)))
        return True

    def __contains__(self, element: object) -> bool:
        try:
            return values.encode(cast("PlainValue", element)) in self._elements
        except InvalidValue:
            return False

    def __iter__(self) -> Iterator[T]:
        return iter(cast("Iterable[T]", self._elements.values()))

    def __len__(self) -> int:
        return len(self._elements)

    def __repr__(self) -> str:
        return f"ORSet({shorten(list(self._elements.values()), 200)})"


class _Absent:
    """Marks an element that was not in the set."""

    __slots__ = ()


ABSENT = _Absent()
