"""The messages of the protocol as values.

One dataclass per message type of the wire; field names are ours, the codec knows the wire's. Addresses stay bytes, as
they came: other implementations compare them literally, so what is gossiped on must not change form.
"""

import enum
from dataclasses import dataclass

from gossip.identity import NO_NAME, NodeName


class MessageType(enum.IntEnum):
    """The first byte of every message."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    NACK = 11
    HAS_CRC = 12
    ERROR = 13
    LABEL = 244


class MemberState(enum.IntEnum):
    """What is believed of a member; the numbers are the wire's."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks `node` for an ack with the same sequence number; an empty name addresses whoever listens there."""

    sequence: int
    node: NodeName
    source_address: bytes = b""
    source_port: int = 0
    source_node: NodeName = NO_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class IndirectPing:
    """Asks the receiver to ping `node` at `target` and to pass on its ack; `nack` asks for a word on failure, too."""

    sequence: int
    node: NodeName
    target: bytes
    port: int
    nack: bool
    source_address: bytes = b""
    source_port: int = 0
    source_node: NodeName = NO_NAME


@dataclass(frozen=True, slots=True)
class Ack:
    """Answers a ping. `payload` is the application's: Serf puts network coordinates there."""

    sequence: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Nack:
    """Tells the sender of an indirect ping that the target did not answer us either."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """`accuser` got no answer from `node` while it was at `incarnation`."""

    incarnation: int
    node: NodeName
    accuser: NodeName


@dataclass(frozen=True, slots=True)
class Dead:
    """`accuser` declares `node` dead at `incarnation`; a node that names itself is leaving."""

    incarnation: int
    node: NodeName
    accuser: NodeName

    @property
    def is_leave(self) -> bool:
        """Whether the node said so itself."""
        return self.accuser == self.node


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """`node` is alive at this address, with this metadata, as of `incarnation`."""

    incarnation: int
    node: NodeName
    address: bytes
    port: int
    meta: bytes = b""
    versions: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One member as the sender of a push/pull sees it."""

    node: NodeName
    address: bytes
    port: int
    incarnation: int
    state: MemberState
    meta: bytes = b""
    versions: bytes = b""


@dataclass(frozen=True, slots=True)
class PushPull:
    """The whole table of the sender, and opaque state of its application. Streams only."""

    is_join: bool
    states: tuple[NodeState, ...]
    user_state: bytes = b""


@dataclass(frozen=True, slots=True)
class User:
    """A message of the application, unread."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The peer could not use our stream; the text is opaque. Streams only."""

    text: str


Message = Ping | IndirectPing | Ack | Nack | Suspect | Dead | Alive | PushPull | User | ErrorReply
