"""The errors of gossip, and the closed set of reasons for which it refuses what a peer sent.

    GossipError
    ├── ConfigError         an option is out of range or contradicts another; nothing was started
    ├── PortTaken           another process listens on the port; nothing was started
    ├── BroadcastTooLarge   a message can never fit a packet; nothing was queued
    ├── JoinError           no endpoint answered; the agent keeps running
    └── DecodeError         bytes that are no valid message; never leaves `Swim`, which turns it into an event

Nothing here is raised for what a peer sent, except inside the codec: the machine counts it by `RejectReason`.
"""

import enum


class GossipError(Exception):
    """Base of everything that gossip raises to its caller."""


class ConfigError(GossipError):
    """An option can't be used; nothing was started."""


class PortTaken(GossipError):
    """Another process listens on the wanted port; nothing was started.

    `host` and `port` name what was wanted.
    """

    def __init__(self, host: str, port: int, transport: str) -> None:
        super().__init__(f"port {port} ({transport}) on {host} is already in use; choose another port to bind, or 0")
        self.host = host
        self.port = port


class BroadcastTooLarge(GossipError):
    """A message is larger than any packet may be; nothing was queued."""


class JoinError(GossipError):
    """None of the endpoints answered; the table is unchanged and the agent keeps running."""


class RejectReason(enum.StrEnum):
    """Why something that a peer sent was dropped. A closed set: it labels a metric."""

    TOO_LARGE = "too_large"
    """A length above its limit, or decompressed output above the limit."""
    MALFORMED = "malformed"
    """Bytes that end early, are no msgpack, or hold fields of a wrong type or range."""
    UNKNOWN_TYPE = "unknown_type"
    """A message type that this version does not know."""
    NOT_SUPPORTED = "not_supported"
    """A known type on a transport where it does not belong."""
    CHECKSUM = "checksum"
    """The CRC does not match."""
    DEPTH = "depth"
    """Compound or compressed messages nested too deeply."""
    LABEL = "label"
    """Another label, or none where one is wanted: a packet of another cluster."""
    DECRYPTION = "decryption"
    """No key of the ring opens it, or it is plain where encryption is wanted."""
    VERSION = "version"
    """Protocol or application versions that can't work with ours."""
    WRONG_NAME = "wrong_name"
    """A ping for a node of another name at our address."""
    UNKNOWN_TARGET = "unknown_target"
    """An indirect ping for, or from, somebody who is no member."""
    INCARNATION = "incarnation"
    """An incarnation too far above the one known, or close to the end of its range."""
    CLOCK = "clock"
    """A logical time of the Serf layer too far ahead of ours, or close to the end of its range."""
    NAME_CONFLICT = "name_conflict"
    """A name that a live member at another address holds."""
    ADDRESS = "address"
    """An announced address outside the allowed networks."""
    MEMBERS_FULL = "members_full"
    """The member table is full."""
    STREAMS_FULL = "streams_full"
    """Too many inbound streams are open."""
    STREAM_TIMEOUT = "stream_timeout"
    """A stream that did not finish in time."""
    UNEXPECTED = "unexpected"
    """A valid message that answers nothing that was asked."""


class DecodeError(GossipError):
    """Bytes from a peer that can't be used; no state was changed.

    `reason` is the member of the closed set, `str()` adds what was expected and what came.
    """

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
