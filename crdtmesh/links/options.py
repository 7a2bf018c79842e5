"""Settings of the peer links, and who a node is to its peers."""

from dataclasses import dataclass, fields
from typing import Final

__all__ = ["Identity", "LinkOptions", "PeerAddress"]

NAME_BYTES_MAX: Final = 128
START_ID_BYTES_MAX: Final = 32
# A hello is the only frame a stranger may send, and all of it has to fit HANDSHAKE_FRAME_SIZE_BYTES_MAX (1,024): two
# names of 128, a start id of 32, 16 capabilities of 32 and their msgpack headers make 860 bytes.
CAPABILITIES_MAX: Final = 16
CAPABILITY_BYTES_MAX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a node says of itself in its hello.

    Attributes:
        cluster: the cluster's name; nodes of other clusters are refused.
        node: the node's name, unique in the cluster; at most 128 bytes of UTF-8.
        start_id: fresh id of this run of the process, 1 to 32 bytes.
        capabilities: names of optional features that this node speaks, at most 16 of 32 bytes.
    """

    cluster: str
    node: str
    start_id: bytes
    capabilities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for label, text in (("cluster", self.cluster), ("node", self.node)):
            size = len(text.encode())
            if not 1 <= size <= NAME_BYTES_MAX:
                raise ValueError(f"{label} name of 1 to {NAME_BYTES_MAX} bytes expected, got {size} bytes")
        if not 1 <= len(self.start_id) <= START_ID_BYTES_MAX:
            raise ValueError(f"start_id of 1 to {START_ID_BYTES_MAX} bytes expected, got {len(self.start_id)} bytes")
        if len(self.capabilities) > CAPABILITIES_MAX:
            raise ValueError(f"at most {CAPABILITIES_MAX} capabilities expected, got {len(self.capabilities)}")
        for name in self.capabilities:
            size = len(name.encode())
            if not 1 <= size <= CAPABILITY_BYTES_MAX:
                raise ValueError(f"capability of 1 to {CAPABILITY_BYTES_MAX} bytes expected, got {size} bytes")


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where membership says a peer's link port is, and which start of that peer it means."""

    host: str
    port: int
    start_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Limits and times of peer links; one value for all links of a node.

    Attributes:
        message_size_bytes_max: largest payload of one message, sent or received. Too small and a large entry can
            never be replicated; too large and each peer may make us hold that much. Must be the same on every node.
        window_size_bytes: what one peer may have sent on one channel without our having taken it. Too small and
            throughput falls to window / round trip; too large and a slow receiver holds more memory. A message may
            overdraw it once, so the worst case for a peer is 4 x (window + message_size_bytes_max).
        queue_size_bytes_max: what may wait on one channel to be sent to one peer; a message costs its length
            plus 64 bytes. A full queue refuses; it must hold the largest message.
        keepalive_interval_s: a ping is sent after this long without hearing from the peer.
        idle_timeout_s: the link is given up after this long without hearing from the peer; leave room for at
            least two pings. Membership detects dead nodes faster: this is for dead *connections*.
        handshake_timeout_s: from the start of a dial, or from an accepted connection, to an admitted hello; above
            connect_timeout_s. Also how long an unknown node waits for membership to learn of it.
        drain_timeout_s: how long an orderly close may spend on sending what is queued.
        connect_timeout_s: for the TCP connection of one dial.
        dial_delay_s: how much later than the lower name the higher name dials.
        backoff_min_s: first delay after a failed dial or a lost link; it doubles, with jitter, up to the next.
        backoff_max_s: longest delay between two dials of one peer.
        connections_pending_max: connections that have no admitted peer yet; beyond, the oldest is dropped. Each
            holds about 3 kB (a session and at most 1 kB of hello).
    """

    message_size_bytes_max: int = 8 << 20
    window_size_bytes: int = 1 << 20
    queue_size_bytes_max: int = 16 << 20
    keepalive_interval_s: float = 3.0
    idle_timeout_s: float = 10.0
    handshake_timeout_s: float = 5.0
    drain_timeout_s: float = 2.0
    connect_timeout_s: float = 3.0
    dial_delay_s: float = 0.5
    backoff_min_s: float = 0.1
    backoff_max_s: float = 10.0
    connections_pending_max: int = 128

    def __post_init__(self) -> None:
        for item in fields(self):
            if getattr(self, item.name) <= 0:
                raise ValueError(f"{item.name} > 0 expected, got {getattr(self, item.name)}")
        if not 1 << 10 <= self.message_size_bytes_max <= 1 << 30:
            raise ValueError(f"message_size_bytes_max of 1 KiB to 1 GiB expected, got {self.message_size_bytes_max}")
        if not 1 << 12 <= self.window_size_bytes <= 1 << 31:
            raise ValueError(f"window_size_bytes of 4 KiB to 2 GiB expected, got {self.window_size_bytes}")
        if self.queue_size_bytes_max < self.message_size_bytes_max + 64:
            raise ValueError(
                f"queue_size_bytes_max={self.queue_size_bytes_max} cannot hold one message of "
                f"message_size_bytes_max={self.message_size_bytes_max}; raise it"
            )
        if self.idle_timeout_s < 2 * self.keepalive_interval_s:
            raise ValueError(
                f"idle_timeout_s={self.idle_timeout_s} leaves no room for two pings; "
                f"at least twice keepalive_interval_s={self.keepalive_interval_s} expected"
            )
        if self.handshake_timeout_s <= self.connect_timeout_s:
            raise ValueError(
                f"handshake_timeout_s={self.handshake_timeout_s} leaves no time after "
                f"connect_timeout_s={self.connect_timeout_s}; raise it"
            )
        if self.backoff_max_s < self.backoff_min_s:
            raise ValueError(f"backoff_max_s={self.backoff_max_s} below backoff_min_s={self.backoff_min_s}; raise it")
