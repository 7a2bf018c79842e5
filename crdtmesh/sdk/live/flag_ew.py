"""`ctx.state` of an enable-wins flag."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.sdk.live.flags import Flag

__all__ = ["EWFlag"]


class EWFlag(Flag):
    """A flag that an enable turns on over every concurrent disable."""

    __slots__ = ()

    type_name: ClassVar[str] = "EWFlag"
