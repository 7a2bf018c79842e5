"""SWIM membership that speaks the memberlist wire protocol; usable without crdtmesh.

    async with gossip.Agent(gossip.AgentConfig(name="shop-1", join=(gossip.Endpoint("10.0.0.5", 7946),))) as agent:
        async for event in agent.events():
            print(event)

`Agent` runs a node in an event loop. `Swim` is the machine inside it, without I/O: bytes and time in, packets and
events out. Names are imported on first use, so that the machine can be used without asyncio and sockets.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossip.agent import Agent
    from gossip.agent_config import AgentConfig
    from gossip.config import LAN, LOCAL, WAN, SwimConfig, Versions
    from gossip.discovery.base import Announcement, Discovery
    from gossip.discovery.dns import DnsDiscovery
    from gossip.discovery.mdns import MdnsDiscovery
    from gossip.discovery.static import StaticDiscovery
    from gossip.driver import Core, CoreDriver
    from gossip.errors import BroadcastTooLarge, ConfigError, GossipError, JoinError, PortTaken, RejectReason
    from gossip.event_stream import EventStream
    from gossip.identity import Endpoint, NodeName, parse_endpoint
    from gossip.members import Member
    from gossip.messages import MemberState
    from gossip.outputs import (
        CloseStream,
        Event,
        JoinFinished,
        KeyringChanged,
        LeaveFinished,
        MemberChange,
        MemberEvent,
        NameConflict,
        OpenStream,
        Outgoing,
        PacketRejected,
        ProbeFinished,
        ProbeOutcome,
        Query,
        QueryFinished,
        QueryResponse,
        Refuted,
        SendDatagram,
        SendStream,
        StreamId,
        UserEvent,
        UserMessage,
        UserState,
    )
    from gossip.recorder import Counters
    from gossip.rules import TRANSITIONS, Claim
    from gossip.security import Keyring
    from gossip.serf import decode_tags, encode_tags
    from gossip.serf.config import SerfConfig
    from gossip.serf.intents import Status
    from gossip.serf.layer import Serf
    from gossip.swim import Swim
    from gossip.transport.base import Receiver, Transport
    from gossip.transport.memory import MemoryNetwork
    from gossip.transport.sockets import SocketTransport

_HOMES = {
    "agent": ("Agent",),
    "agent_config": ("AgentConfig",),
    "config": ("LAN", "LOCAL", "WAN", "SwimConfig", "Versions"),
    "discovery.base": ("Announcement", "Discovery"),
    "discovery.dns": ("DnsDiscovery",),
    "discovery.mdns": ("MdnsDiscovery",),
    "discovery.static": ("StaticDiscovery",),
    "driver": ("Core", "CoreDriver"),
    "errors": ("BroadcastTooLarge", "ConfigError", "GossipError", "JoinError", "PortTaken", "RejectReason"),
    "event_stream": ("EventStream",),
    "identity": ("Endpoint", "NodeName", "parse_endpoint"),
    "members": ("Member",),
    "messages": ("MemberState",),
    "outputs": (
        "CloseStream",
        "Event",
        "JoinFinished",
        "KeyringChanged",
        "LeaveFinished",
        "MemberChange",
        "MemberEvent",
        "NameConflict",
        "OpenStream",
        "Outgoing",
        "PacketRejected",
        "ProbeFinished",
        "ProbeOutcome",
        "Query",
        "QueryFinished",
        "QueryResponse",
        "Refuted",
        "SendDatagram",
        "SendStream",
        "StreamId",
        "UserEvent",
        "UserMessage",
        "UserState",
    ),
    "recorder": ("Counters",),
    "rules": ("TRANSITIONS", "Claim"),
    "security": ("Keyring",),
    "serf": ("decode_tags", "encode_tags"),
    "serf.config": ("SerfConfig",),
    "serf.intents": ("Status",),
    "serf.layer": ("Serf",),
    "swim": ("Swim",),
    "transport.base": ("Receiver", "Transport"),
    "transport.memory": ("MemoryNetwork",),
    "transport.sockets": ("SocketTransport",),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "LAN",
    "LOCAL",
    "TRANSITIONS",
    "WAN",
    "Agent",
    "AgentConfig",
    "Announcement",
    "BroadcastTooLarge",
    "Claim",
    "CloseStream",
    "ConfigError",
    "Core",
    "CoreDriver",
    "Counters",
    "Discovery",
    "DnsDiscovery",
    "Endpoint",
    "Event",
    "EventStream",
    "GossipError",
    "JoinError",
    "JoinFinished",
    "Keyring",
    "KeyringChanged",
    "LeaveFinished",
    "MdnsDiscovery",
    "Member",
    "MemberChange",
    "MemberEvent",
    "MemberState",
    "MemoryNetwork",
    "NameConflict",
    "NodeName",
    "OpenStream",
    "Outgoing",
    "PacketRejected",
    "PortTaken",
    "ProbeFinished",
    "ProbeOutcome",
    "Query",
    "QueryFinished",
    "QueryResponse",
    "Receiver",
    "Refuted",
    "RejectReason",
    "SendDatagram",
    "SendStream",
    "Serf",
    "SerfConfig",
    "SocketTransport",
    "StaticDiscovery",
    "Status",
    "StreamId",
    "Swim",
    "SwimConfig",
    "Transport",
    "UserEvent",
    "UserMessage",
    "UserState",
    "Versions",
    "decode_tags",
    "encode_tags",
    "parse_endpoint",
]


def __getattr__(name: str) -> object:
    """Imports a public name from its module when it is first used."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'gossip' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"gossip.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(_HOME_OF)
