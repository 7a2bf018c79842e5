"""`ctx.state` of a remove-wins set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from crdtmesh.sdk.live.base import identify
from crdtmesh.sdk.live.elements import Elements

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["RWSet"]


class RWSet(Elements[T]):
    """A set in which a removal wins over every concurrent add of the same element."""

    __slots__ = ()

    type_name: ClassVar[str] = "RWSet"

    def add(self, element: T) -> None:
        """Puts an element in, over every removal that this node has seen.

        Raises:
            InvalidValue: the mesh can't hold the element; nothing was changed.
        """
        key, plain = identify(element)
        self._record("add", plain)
        self._value = {**self._value, key: plain}

    def remove(self, element: T) -> None:
        """Takes an element out; also one that is not in, since an add elsewhere may be on its way.

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
