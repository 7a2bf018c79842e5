"""Live objects that hold elements told apart as the mesh does: `True`, `1`, `1.0` and `"1"` are four."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, cast

from crdtmesh.crdts import values
from crdtmesh.crdts.errors import InvalidValue, shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import identify
from crdtmesh.sdk.live.snapshot import Snapshot

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Elements"]


class Elements(Snapshot[dict[bytes, PlainValue]], Generic[T]):
    """Base of live objects that read as a sequence of distinct elements."""

    __slots__ = ()

    def __init__(self, elements: Iterable[T] = ()) -> None:
        """A state that holds `elements`, as a test of a handler would want it."""
        super().__init__(dict(map(identify, elements)))

    @property
    def value(self) -> tuple[T, ...]:
        """The elements, with what this turn has changed so far."""
        return cast("tuple[T, ...]", tuple(self._value.values()))

    def _parse(self, value: PlainValue) -> dict[bytes, PlainValue]:
        if value is not None and not isinstance(value, list | tuple):
            raise ValueError(f"expected a list for a {self.type_name}, got {shorten(value)}")
        return dict(map(identify, value or ()))

    def __contains__(self, element: object) -> bool:
        try:
            return values.encode(cast("PlainValue", element)) in self._value
        except InvalidValue:
            return False

    def __iter__(self) -> Iterator[T]:
        return iter(self.value)

    def __len__(self) -> int:
        return len(self._value)
