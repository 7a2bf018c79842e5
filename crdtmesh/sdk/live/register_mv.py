"""`ctx.state` of a register that keeps concurrent values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from crdtmesh.sdk.live.base import identify
from crdtmesh.sdk.live.elements import Elements

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["MVRegister"]


class MVRegister(Elements[T]):
    """All values that were written concurrently, until somebody writes one over them.

    It reads as a tuple: empty when nothing was set, of one value in the usual case.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "MVRegister"

    def set(self, value: T) -> None:
        """Writes a value over all that this node has seen.

        Raises:
            InvalidValue: the mesh can't hold the value; nothing was changed.
        """
        key, plain = identify(value)
        self._record("set", plain)
        self._value = {key: plain}

    def resolve(self, choose: Callable[[tuple[T, ...]], T]) -> None:
        """Writes what `choose` makes of the values, if there are several.

        Raises:
            InvalidValue: the mesh can't hold what it chose; nothing was changed.
        """
        if len(self._value) > 1:
            key, plain = identify(choose(self.value))
            self._record("resolve", plain)
            self._value = {key: plain}

    def clear(self) -> None:
        """Removes the values that this node has seen. A concurrent write survives."""
        self._record("clear")
        self._value = {}
