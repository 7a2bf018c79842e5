"""Peer links: one connection between each two nodes, multiplexed, bounded, and cheap per message.

`session` is the core, without I/O; `manager` gives it sockets. See `session` for the theory of operation, `frames`
for the bytes, `peering` for who dials. Names are loaded on first use, so that a simulation of sessions loads no
asyncio.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from crdtmesh.links.counters import LinkCounters
    from crdtmesh.links.errors import CloseReason, LinkError, MessageTooLargeError
    from crdtmesh.links.frames import Channel
    from crdtmesh.links.manager import LinkManager, LinkStatus
    from crdtmesh.links.options import Identity, LinkOptions, PeerAddress
    from crdtmesh.links.security import LinkSecurity, is_loopback
    from crdtmesh.links.session import Session

__all__ = [
    "Channel",
    "CloseReason",
    "Identity",
    "LinkCounters",
    "LinkError",
    "LinkManager",
    "LinkOptions",
    "LinkSecurity",
    "LinkStatus",
    "MessageTooLargeError",
    "PeerAddress",
    "Session",
    "is_loopback",
]

_MODULES: Final = {
    "Channel": "frames",
    "CloseReason": "errors",
    "Identity": "options",
    "LinkCounters": "counters",
    "LinkError": "errors",
    "LinkManager": "manager",
    "LinkOptions": "options",
    "LinkSecurity": "security",
    "LinkStatus": "manager",
    "MessageTooLargeError": "errors",
    "PeerAddress": "options",
    "Session": "session",
    "is_loopback": "security",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
