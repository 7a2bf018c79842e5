"""`ctx.state` of flags: what both share."""

from __future__ import annotations

from crdtmesh.crdts.errors import shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["Flag"]


class Flag(Snapshot[bool]):
    """Base of the flags; `if ctx.state:` and `ctx.state.value` read it."""

    __slots__ = ()

    def __init__(self, value: bool = False) -> None:
        """A flag that is on or off, as a test of a handler would want it."""
        super().__init__(value)

    @property
    def value(self) -> bool:
        """Whether it is on, with what this turn has done."""
        return self._value

    def enable(self) -> None:
        """Turns it on, over what this node has seen."""
        self._record("enable")
        self._value = True

    def disable(self) -> None:
        """Turns it off, over what this node has seen."""
        self._record("disable")
        self._value = False

    def _parse(self, value: PlainValue) -> bool:
        if value is not None and type(value) is not bool:
            raise ValueError(f"expected a bool for a {self.type_name}, got {shorten(value)}")
        return bool(value)

    def __bool__(self) -> bool:
        return self._value
