"""Options of an agent: one node of the cluster, its addresses, and how it finds the others."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from gossip.config import LAN, SwimConfig
from gossip.discovery.base import Discovery
from gossip.errors import ConfigError
from gossip.identity import Endpoint
from gossip.metrics import MetricsHook
from gossip.serf import encode_tags
from gossip.serf.config import SerfConfig

DEFAULT_BIND = Endpoint("127.0.0.1", 7946)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Options of an agent.

    Raises:
        ConfigError: an option contradicts another.
    """

    name: str
    """Unique in the cluster."""
    bind: Endpoint = DEFAULT_BIND
    """IP address and port for UDP and TCP; port 0 takes a free one."""
    advertise: Endpoint | None = None
    """What others are told to use, if it is not what is bound; needed when binding to all addresses."""
    cluster: str = "default"
    """Name under which discovery looks for others. Packets are bound to a cluster by `swim.label` and keys."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Metadata in the form that Serf shows; 512 bytes together."""
    join: tuple[Endpoint, ...] = ()
    """Endpoints or DNS names of other nodes; tried until one answers, again whenever this node is alone, and
    now and then while they are no members."""
    discoveries: tuple[Discovery, ...] = ()
    """Ways to find nodes beside the list."""
    join_interval_s: float = 1.0
    """How often joining is tried while this node is alone, and candidates are looked at."""
    is_insecure: bool = False
    """Written out to run beyond loopback without keys: then anyone who reaches the port controls the membership."""
    swim: SwimConfig = LAN
    """Options of the protocol."""
    metrics: MetricsHook | None = None
    """Called with each measured value; see `gossip.metrics`."""
    serf: SerfConfig | None = None
    """Options of the Serf layer; None leaves it out, for clusters of plain memberlist applications."""

    def __post_init__(self) -> None:
        try:
            address = ipaddress.ip_address(self.bind.host)
        except ValueError:
            raise ConfigError(f"expected an IP address to bind, got {self.bind.host[:64]!r}") from None
        if address.is_unspecified and self.advertise is None:
            raise ConfigError(f"binding to {self.bind.host} needs advertise: the address that others are to use")
        if not address.is_loopback and self.swim.keyring is None and not self.is_insecure:
            raise ConfigError(
                f"binding to {self.bind.host} without a keyring lets anyone control the membership; "
                "set swim.keyring, or write is_insecure=True"
            )
        if self.join_interval_s <= 0:
            raise ConfigError(f"expected join_interval_s above 0, got {self.join_interval_s}")
        encode_tags(self.tags)
