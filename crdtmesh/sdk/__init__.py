"""What a Python user imports: actor definitions, live state, the host, the client. Talks to a node by gRPC only.

    from crdtmesh.sdk import Client, Context, ORSet, System, action

This module stays light: a name's module is imported when the name is first used, and gRPC only by `Client` and `Host`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from crdtmesh.sdk.actors import System
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.context import ActorRef, Context
    from crdtmesh.sdk.errors import CallError, SdkError
    from crdtmesh.sdk.host import Host
    from crdtmesh.sdk.live.counter_bounded import BoundedCounter
    from crdtmesh.sdk.live.counter_exact import ExactCounter
    from crdtmesh.sdk.live.counter_g import GCounter
    from crdtmesh.sdk.live.counter_pn import PNCounter
    from crdtmesh.sdk.live.flag_dw import DWFlag
    from crdtmesh.sdk.live.flag_ew import EWFlag
    from crdtmesh.sdk.live.json_document import JsonDocument, JsonList, JsonObject
    from crdtmesh.sdk.live.map_counter import PNCounterMap
    from crdtmesh.sdk.live.map_lww import LWWMap
    from crdtmesh.sdk.live.map_or import ORMap
    from crdtmesh.sdk.live.map_rw import RWMap
    from crdtmesh.sdk.live.map_uw import UWMap
    from crdtmesh.sdk.live.multimap import ORMultiMap
    from crdtmesh.sdk.live.register_fww import FWWRegister
    from crdtmesh.sdk.live.register_lww import LWWRegister
    from crdtmesh.sdk.live.register_max import MaxRegister
    from crdtmesh.sdk.live.register_min import MinRegister
    from crdtmesh.sdk.live.register_mv import MVRegister
    from crdtmesh.sdk.live.set_2p import TwoPhaseSet
    from crdtmesh.sdk.live.set_aw import ORSet
    from crdtmesh.sdk.live.set_g import GSet
    from crdtmesh.sdk.live.set_rw import RWSet
    from crdtmesh.sdk.live.text import Text
    from crdtmesh.sdk.live.vote import Vote
    from crdtmesh.sdk.marks import action, listens, timer

__all__ = [
    "ActorRef",
    "BoundedCounter",
    "CallError",
    "Client",
    "Context",
    "DWFlag",
    "EWFlag",
    "ExactCounter",
    "FWWRegister",
    "GCounter",
    "GSet",
    "Host",
    "JsonDocument",
    "JsonList",
    "JsonObject",
    "LWWMap",
    "LWWRegister",
    "MVRegister",
    "MaxRegister",
    "MinRegister",
    "ORMap",
    "ORMultiMap",
    "ORSet",
    "PNCounter",
    "PNCounterMap",
    "RWMap",
    "RWSet",
    "SdkError",
    "System",
    "Text",
    "TwoPhaseSet",
    "UWMap",
    "Vote",
    "action",
    "listens",
    "timer",
]

_MODULES: Final = {
    "PNCounterMap": "live.map_counter",
    "LWWMap": "live.map_lww",
    "ORMap": "live.map_or",
    "ORMultiMap": "live.multimap",
    "RWMap": "live.map_rw",
    "UWMap": "live.map_uw",
    "RWSet": "live.set_rw",
    "DWFlag": "live.flag_dw",
    "EWFlag": "live.flag_ew",
    "MVRegister": "live.register_mv",
    "ExactCounter": "live.counter_exact",
    "GCounter": "live.counter_g",
    "GSet": "live.set_g",
    "BoundedCounter": "live.counter_bounded",
    "CallError": "errors",
    "Client": "client",
    "Context": "context",
    "FWWRegister": "live.register_fww",
    "Host": "host",
    "JsonDocument": "live.json_document",
    "JsonList": "live.json_document",
    "JsonObject": "live.json_document",
    "LWWRegister": "live.register_lww",
    "MaxRegister": "live.register_max",
    "MinRegister": "live.register_min",
    "ORSet": "live.set_aw",
    "PNCounter": "live.counter_pn",
    "SdkError": "errors",
    "System": "actors",
    "Text": "live.text",
    "TwoPhaseSet": "live.set_2p",
    "Vote": "live.vote",
    "action": "marks",
    "listens": "marks",
    "timer": "marks",
    "ActorRef": "context",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
