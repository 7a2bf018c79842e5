"""`ctx.state` of a two-phase set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

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

__all__ = ["TwoPhaseSet"]


class TwoPhaseSet(Snapshot[dict[bytes, PlainValue]], Generic[T]):
    """A set whose removed elements never return, until a `reset`.

    Elements are told apart as the mesh does: `True`, `1`, `1.0` and `"1"` are four. What was removed before this
    turn is not in the copy here, so an add of it shows until the turn ends, and then has no effect.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "TwoPhaseSet"

    def __init__(self, elements: Iterable[T] = ()) -> None:
        """A set of `elements`, as a test of a handler would want it."""
        super().__init__(dict(map(identify, elements)))

    @property
    def value(self) -> tuple[T, ...]:
        """The elements, with what this turn has changed so far."""
        return cast("tuple[T, ...]", tuple(self._value.values()))

    def add(self, element: T) -> None:
        """Puts an element in, unless it was ever removed.

        Raises:
            InvalidValue: the mesh can't hold the element; nothing was changed.
        """
        key, plain = identify(element)
        self._record("add", plain)
        self._value = {**self._value, key: plain}

    def remove(self, element: T) -> None:
        """Takes an element out for good, whether or not it is in.

        Raises:
            InvalidValue: the mesh can't hold the element; nothing was changed.
        """
        key, plain = identify(element)
        self._record("remove", plain)
        self._value = {other: each for other, each in self._value.items() if other != key}

    def reset(self) -> None:
        """Forgets the adds and removals that this node has seen. Those concurrent with it survive."""
        self._record("reset")
        self._value = {}

    def _parse(self, value: PlainValue) -> dict[bytes, PlainValue]:
        if value is not None and not isinstance(value, list | tuple):
            raise ValueError(f"expected a list for a TwoPhaseSet, got {shorten(value)}")
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
