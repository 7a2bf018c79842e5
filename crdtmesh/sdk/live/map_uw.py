"""`ctx.state` of a map of typed values in which updates win over removals."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.sdk.live.mixed_maps import RemovedWithKey

__all__ = ["UWMap"]


class UWMap(RemovedWithKey):
    """A map from text to live objects: `ctx.state["cart", ORSet].add("milk")`.

    An update survives a concurrent removal of its key, with all that was under the key when it was made. For small
    values, and without counters that keep sums: `ExactCounter` is the one to use here.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "UWMap"
