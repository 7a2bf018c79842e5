"""`ctx.state` of a register that keeps the least number."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.sdk.live.register_max import Extreme

__all__ = ["MinRegister"]


class MinRegister(Extreme):
    """The least number that anyone has set."""

    __slots__ = ()

    type_name: ClassVar[str] = "MinRegister"
    is_greatest: ClassVar[bool] = False
