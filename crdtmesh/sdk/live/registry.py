"""Which live object stands for which data type."""

from __future__ import annotations

import importlib
from typing import Final

from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.live.base import LiveState
from crdtmesh.sdk.names import nearest

__all__ = ["LIVE_TYPES", "live_type"]

LIVE_TYPES: Final[dict[str, str]] = {
    "GSet": "crdtmesh.sdk.live.set_g",
    "GCounter": "crdtmesh.sdk.live.counter_g",
    "ExactCounter": "crdtmesh.sdk.live.counter_exact",
    "MVRegister": "crdtmesh.sdk.live.register_mv",
    "EWFlag": "crdtmesh.sdk.live.flag_ew",
    "DWFlag": "crdtmesh.sdk.live.flag_dw",
    "RWSet": "crdtmesh.sdk.live.set_rw",
    "ORMap": "crdtmesh.sdk.live.map_or",
    "RWMap": "crdtmesh.sdk.live.map_rw",
    "UWMap": "crdtmesh.sdk.live.map_uw",
    "ORMultiMap": "crdtmesh.sdk.live.multimap",
    "LWWMap": "crdtmesh.sdk.live.map_lww",
    "PNCounterMap": "crdtmesh.sdk.live.map_counter",
    "BoundedCounter": "crdtmesh.sdk.live.counter_bounded",
    "FWWRegister": "crdtmesh.sdk.live.register_fww",
    "JsonDocument": "crdtmesh.sdk.live.json_document",
    "LWWRegister": "crdtmesh.sdk.live.register_lww",
    "MaxRegister": "crdtmesh.sdk.live.register_max",
    "MinRegister": "crdtmesh.sdk.live.register_min",
    "ORSet": "crdtmesh.sdk.live.set_aw",
    "PNCounter": "crdtmesh.sdk.live.counter_pn",
    "Text": "crdtmesh.sdk.live.text",
    "TwoPhaseSet": "crdtmesh.sdk.live.set_2p",
    "Vote": "crdtmesh.sdk.live.vote",
}
"""Data type to the module that holds the live object of the same name."""


def live_type(name: str) -> type[LiveState]:
    """The live object's class for a data type.

    Raises:
        DefinitionError: no data type of this name has one; the message has the nearest known name.
    """
    module = LIVE_TYPES.get(name)
    if module is None:
        raise DefinitionError(f"state: no replicated type {name!r:.64}; {nearest(name, LIVE_TYPES)}")
    found: type[LiveState] = getattr(importlib.import_module(module), name)
    return found
