"""Options of the protocol, and the three presets.

Seconds as floats here; the machine turns them into integer nanoseconds once. All members of one cluster should run
with the same intervals: a node suspects others by its *own* timing.
"""

import ipaddress
from dataclasses import dataclass, fields
from typing import Any

from gossip.errors import ConfigError
from gossip.packets import COMPOUND_OVERHEAD_BYTES
from gossip.security import LABEL_SIZE_BYTES_MAX, Keyring

NANOSECONDS = 1_000_000_000

PACKET_SIZE_BYTES_MIN = 768
"""An announcement with the longest name and the longest metadata still has to fit into one packet."""


def to_ns(seconds: float) -> int:
    """Seconds of an option as integer nanoseconds."""
    return round(seconds * NANOSECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What this node speaks and announces: ranges and current version of protocol and application.

    The application's triple must suit the whole cluster, since one member with another breaks every push/pull of
    agents that know it: 2, 5, 4 beside Serf agents; 0, 0, 0 among applications that set none.

    Source: memberlist's compatibility check.
    """

    protocol_min: int = 1
    protocol_max: int = 5
    protocol: int = 2
    application_min: int = 2
    application_max: int = 5
    application: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.protocol_min <= self.protocol <= self.protocol_max <= 5:
            raise ConfigError(f"expected 1 <= protocol_min <= protocol <= protocol_max <= 5, got {self}")
        if not 0 <= self.application_min <= self.application <= self.application_max <= 255:
            raise ConfigError(f"expected application_min <= application <= application_max in a byte, got {self}")

    @property
    def wire(self) -> bytes:
        """The six bytes of an announcement."""
        return bytes(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class SwimConfig:
    """Options of one node. The defaults are the `lan` preset.

    Raises:
        ConfigError: an option is out of range or contradicts another.
    """

    probe_interval_s: float = 1.0
    """A member is probed once per interval. Shorter finds failures sooner and costs packets in proportion."""
    probe_timeout_s: float = 0.5
    """How long a direct answer may take before others are asked; above the 99th percentile of the round trip."""
    indirect_probes: int = 3
    """How many members are asked to probe on our behalf."""
    is_stream_probe_enabled: bool = True
    """Whether a silent member is tried over TCP, too: it tells lost packets from a lost member."""

    gossip_interval_s: float = 0.2
    """Rhythm of packets that carry nothing but updates; only while there are updates."""
    gossip_nodes: int = 3
    """Receivers per gossip interval."""
    gossip_to_the_dead_s: float = 30.0
    """For so long the dead are still told what happens, so that a wrongly declared one can refute; then forgotten."""
    retransmit_multiplier: int = 4
    """Each update is sent this many times per decimal digit of the number of members."""

    suspicion_multiplier: int = 4
    """Probe intervals (times log10 of the members) until a suspect is declared dead, when others confirm."""
    suspicion_max_multiplier: int = 6
    """How much longer it takes when nobody confirms."""
    local_health_max: int = 8
    """Bound of the health score; a probe round waits score + 1 intervals for its answer."""

    push_pull_interval_s: float = 30.0
    """Rhythm of whole-table exchanges with a random member; 0 switches them off."""
    reconnect_interval_s: float = 10.0
    """Rhythm of attempts to reach members that failed, which heals partitions; 0 switches them off."""
    reconnect_timeout_s: float = 86_400.0
    """For so long a failed member is tried again."""
    stream_timeout_s: float = 10.0
    """A stream exchange, dialling included, may take no longer."""
    leave_timeout_s: float = 5.0
    """A graceful leave waits so long for its notice to be sent often enough."""
    dead_reclaim_s: float | None = 0.0
    """How long a member must be dead before its name may come back from another address; None: never.

    memberlist's default is never, which locks a node that restarts on another port out until it is forgotten. Ours is
    at once: the incarnation still has to be newer, so a stale announcement can't bring the old address back.
    """

    packet_size_bytes_max: int = 1_400
    """Budget of one datagram; below the path's MTU less headers."""
    stream_size_bytes_max: int = 4 * 1024 * 1024
    """What one stream may hold. A state takes up to 800 bytes: 10,000 typical members need 2.5 MB."""
    streams_max: int = 128
    """Inbound streams open at once, as many nodes may join in one second. All of them together hold 32 MiB at
    most."""
    members_max: int = 10_000
    """Entries of the member table; about 1.5 kB each."""
    broadcasts_max: int = 4_096
    """Queued user messages; the oldest is dropped for a new one."""
    incarnation_jump_max: int = 1 << 20
    """How far one announcement may raise a known member's incarnation. Refutations raise it by one each."""
    networks_allowed: tuple[str, ...] = ()
    """Networks (`10.0.0.0/8`) in which members may announce addresses; empty: all."""

    label: str = ""
    """Name of the cluster on every packet; others are dropped. Agents older than memberlist 0.3 know no labels."""
    keyring: Keyring | None = None
    """Keys that seal everything; None: plain text."""
    is_incoming_verified: bool = True
    """False accepts plain text beside sealed, while a cluster migrates to encryption."""
    is_outgoing_verified: bool = True
    """False sends plain text although there are keys, while a cluster migrates to encryption."""
    is_compression_enabled: bool = False
    """Whether to compress what is sent; everyone reads both. Off, unlike memberlist: LZW in Python costs more time
    than the bytes it saves on a packet."""
    versions: Versions = Versions()

    is_local_health_enabled: bool = True
    """Lifeguard's first part: a slow node waits longer before it blames others."""
    is_dynamic_suspicion_enabled: bool = True
    """Lifeguard's second part: suspicion times shrink with confirmations; without it they are the minimum."""
    is_buddy_enabled: bool = True
    """Lifeguard's third part: a suspect learns of the suspicion with the next ping."""

    def __post_init__(self) -> None:
        for name in ("probe_interval_s", "probe_timeout_s", "gossip_interval_s", "stream_timeout_s", "leave_timeout_s"):
            _require(self, name, above=0)
        for name in ("push_pull_interval_s", "reconnect_interval_s", "reconnect_timeout_s", "gossip_to_the_dead_s"):
            _require(self, name, at_least=0)
        for name in ("indirect_probes", "gossip_nodes"):
            _require(self, name, at_least=0)
        for name in (
            "retransmit_multiplier",
            "suspicion_multiplier",
            "suspicion_max_multiplier",
            "local_health_max",
            "streams_max",
            "members_max",
            "broadcasts_max",
            "incarnation_jump_max",
        ):
            _require(self, name, at_least=1)
        _require(self, "packet_size_bytes_max", at_least=PACKET_SIZE_BYTES_MIN)
        if self.probe_timeout_s > self.probe_interval_s:
            raise ConfigError(
                f"probe_timeout_s={self.probe_timeout_s} must not exceed probe_interval_s={self.probe_interval_s}: "
                "indirect probes happen in the rest of the interval"
            )
        if len(self.label.encode()) > LABEL_SIZE_BYTES_MAX:
            raise ConfigError(f"expected a label of at most {LABEL_SIZE_BYTES_MAX} bytes, got {len(self.label)}")
        for network in self.networks_allowed:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ConfigError(f"expected a network such as 10.0.0.0/8 in networks_allowed: {error}") from None

    @property
    def packet_room_bytes(self) -> int:
        """What a packet holds of messages when they are joined into a compound, label and sealing apart."""
        return self.packet_size_bytes_max - COMPOUND_OVERHEAD_BYTES


def _require(config: Any, name: str, *, above: float | None = None, at_least: float | None = None) -> None:
    value = getattr(config, name)
    if above is not None and not value > above:
        raise ConfigError(f"expected {name} above {above}, got {value}")
    if at_least is not None and not value >= at_least:
        raise ConfigError(f"expected {name} of at least {at_least}, got {value}")


LAN = SwimConfig()
"""Machines of one site: failures are declared 4 to 24 seconds after the first suspicion in a small cluster."""

WAN = SwimConfig(
    probe_interval_s=5.0,
    probe_timeout_s=3.0,
    gossip_interval_s=0.5,
    gossip_nodes=4,
    gossip_to_the_dead_s=60.0,
    suspicion_multiplier=6,
    push_pull_interval_s=60.0,
    reconnect_interval_s=30.0,
    stream_timeout_s=30.0,
)
"""Links of high delay and loss."""

LOCAL = SwimConfig(
    probe_timeout_s=0.2,
    indirect_probes=1,
    gossip_interval_s=0.1,
    gossip_to_the_dead_s=15.0,
    retransmit_multiplier=2,
    suspicion_multiplier=3,
    push_pull_interval_s=15.0,
    reconnect_interval_s=3.0,
    stream_timeout_s=1.0,
)
"""Several processes on one machine."""
