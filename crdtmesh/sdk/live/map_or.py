"""`ctx.state` of a map of typed values whose keys are reset by their removal."""

from __future__ import annotations

from typing import ClassVar

from crdtmesh.sdk.live.mixed_maps import RemovedWithKey

__all__ = ["ORMap"]


class ORMap(RemovedWithKey):
    """A map from text to live objects: `ctx.state["stock", PNCounter].increment()`.

    An update survives a concurrent removal of its key as far as its type's own reset lets it.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "ORMap"
