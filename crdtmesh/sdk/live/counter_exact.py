"""`ctx.state` of a counter with an exact reset."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.sdk.live.counter_pn import PNCounter

__all__ = ["ExactCounter"]


class ExactCounter(PNCounter):
    """A counter that goes up and down; of what is concurrent with a `reset`, exactly that survives it."""

    __slots__ = ()

    type_name: ClassVar[str] = "ExactCounter"

    def __repr__(self) -> str:
        return f"ExactCounter({self.value})"
