"""`ctx.state` of a disable-wins flag."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.sdk.live.flags import Flag

__all__ = ["DWFlag"]


class DWFlag(Flag):
    """A flag that a disable turns off over every concurrent enable."""

    __slots__ = ()

    type_name: ClassVar[str] = "DWFlag"

    def reset(self) -> None:
        """Forgets what this node has seen, and so is off. An enable concurrent with it survives."""
        self._record("reset")
        self._value = False
