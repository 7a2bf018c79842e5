"""What a Python user imports: actor definitions, live state, the host, the client. Talks to a node by gRPC only.

    from crdtmesh.sdk import Client, Context, ORSet, System, action

This module stays light: a name's module is imported when the name is first used, and gRPC only by `Client` and `Host`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from crdtmesh.sdk.actors import System, action
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.context import Context
    from crdtmesh.sdk.errors import CallError, SdkError
    from crdtmesh.sdk.host import Host
    from crdtmesh.sdk.live.counter_pn import PNCounter
    from crdtmesh.sdk.live.register_lww import LWWRegister
    from crdtmesh.sdk.live.set_aw import ORSet

__all__ = [
    "CallError",
    "Client",
    "Context",
    "Host",
    "LWWRegister",
    "ORSet",
    "PNCounter",
    "SdkError",
    "System",
    "action",
]

_MODULES: Final = {
    "CallError": "errors",
    "Client": "client",
    "Context": "context",
    "Host": "host",
    "LWWRegister": "live.register_lww",
    "ORSet": "live.set_aw",
    "PNCounter": "live.counter_pn",
    "SdkError": "errors",
    "System": "actors",
    "action": "actors",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
