"""`ctx.state` of a first-write-wins register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import normal
from crdtmesh.sdk.live.snapshot import Snapshot

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["FWWRegister"]


class FWWRegister(Snapshot[tuple[PlainValue, ...]], Generic[T]):
    """One value that the first write decides; of concurrent first writes all nodes keep the one with the earlier stamp.

    Until all nodes have heard of each other, the value may change to an earlier write.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "FWWRegister"

    def __init__(self, *value: T) -> None:
        """A register that holds `value` if one is given, as a test of a handler would want it."""
        super().__init__(tuple(map(normal, value[:1])))

    @property
    def value(self) -> T | None:
        """The value; None for a register that was never set, or cleared."""
        return cast("T | None", normal(self._value[0])) if self._value else None

    def set(self, value: T) -> None:
        """Writes a value if this node has seen none.

        Where None was written, this can't tell it from nothing: the node then drops the second write.

        Raises:
            InvalidValue: the mesh can't hold the value; nothing was changed.
        """
        written = normal(value)
        if not self._value:
            self._record("set", written)
            self._value = (written,)

    def clear(self) -> None:
        """Removes the value, so that the next write decides anew. A concurrent first write survives."""
        self._record("clear")
        self._value = ()

    def _parse(self, value: PlainValue) -> tuple[PlainValue, ...]:
        return () if value is None else (value,)
