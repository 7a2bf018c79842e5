"""`ctx.state` of a map of typed values in which removals win over updates."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.sdk.live.mixed_maps import MixedMap

__all__ = ["RWMap"]


class RWMap(MixedMap):
    """A map from text to live objects: `ctx.state["cart", ORSet].add("milk")`.

    The removal of a key wins over every concurrent update of it.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "RWMap"

    def remove(self, key: str) -> None:
        """Removes a key. It counts for an absent key too: updates elsewhere that have not seen this are beaten."""
        self._record("remove", key)
        self._forget(key)

    def reset(self) -> None:
        """Forgets all updates and removals that this node has seen, and removes nothing else."""
        self._record("reset")
        self._children, self._written = {}, {}
