"""`ctx.state` of a register that keeps the greatest number."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.crdts import values
from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import normal
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["Extreme", "MaxRegister"]


class Extreme(Snapshot[int | float | None]):
    """What `MaxRegister` and `MinRegister` share."""

    __slots__ = ()

    is_greatest: ClassVar[bool]

    def __init__(self, value: float | None = None) -> None:
        """A register at `value`, as a test of a handler would want it."""
        super().__init__(self._parse(normal(value)))

    @property
    def value(self) -> int | float | None:
        """The number, with what this turn has set; None for a register that was never set, or cleared."""
        return self._value

    def set(self, number: float) -> None:
        """Takes a number in; it has no effect unless it is beyond the value.

        Raises:
            InvalidOperation: it is neither an int nor a float, or the mesh can't hold it; nothing was changed.
        """
        written = normal(number)
        if isinstance(written, bool) or not isinstance(written, int | float):
            raise InvalidOperation(f"set: expected an int or a float, got {shorten(number)}; convert it first")
        if self._value is not None:
            old, new = ((each, values.encode(each)) for each in (self._value, written))
            if new <= old if self.is_greatest else new >= old:
                return
        self._record("set", written)
        self._value = written

    def clear(self) -> None:
        """Removes the numbers that this node has seen. A concurrent set survives."""
        self._record("clear")
        self._value = None

    def _parse(self, value: PlainValue) -> int | float | None:
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise ValueError(f"expected a number for a {self.type_name}, got {shorten(value)}")


class MaxRegister(Extreme):
    """The greatest number that anyone has set."""

    __slots__ = ()

    type_name: ClassVar[str] = "MaxRegister"
    is_greatest: ClassVar[bool] = True
