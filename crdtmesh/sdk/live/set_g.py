"""`ctx.state` of a grow-only set."""

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

__all__ = ["GSet"]


class GSet(Elements[T]):
    """A set that grows, until all of it is reset."""

    __slots__ = ()

    type_name: ClassVar[str] = "GSet"

    def add(self, element: T) -> None:
        """Puts an element in; one that is in has no effect.

        Raises:
            InvalidValue: the mesh can't hold the element; nothing was changed.
        """
        key, plain = identify(element)
        if key not in self._value:
            self._record("add", plain)
            self._value = {**self._value, key: plain}

    def reset(self) -> None:
        """Takes out all elements that this node has seen. An add concurrent with it survives."""
        self._record("reset")
        self._value = {}
