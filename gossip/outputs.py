"""What the machine gives out: directives for its driver, and events for its user.

Directives are carried out in order. Stream ids are the machine's own and never used again.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NewType

from gossip.errors import RejectReason
from gossip.identity import Endpoint, NodeName
from gossip.members import Member

StreamId = NewType("StreamId", int)


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send one packet; losing it is allowed."""

    destination: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect, write `data`, then report what comes back, and the end, under this id."""

    stream: StreamId
    destination: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class SendStream:
    """Write to an open stream."""

    stream: StreamId
    data: bytes


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close a stream once what was written has left; nothing more is to be reported for it."""

    stream: StreamId


Outgoing = SendDatagram | OpenStream | SendStream | CloseStream


class MemberChange(enum.StrEnum):
    """What happened to a member."""

    JOINED = "joined"
    """It is new, or back from dead or left."""
    UPDATED = "updated"
    """Its metadata or address changed while it was present; a quick restart shows as this."""
    SUSPECTED = "suspected"
    """It did not answer somebody; it has a while to refute."""
    REFUTED = "refuted"
    """It was suspect and proved to be alive."""
    LEFT = "left"
    """It departed by itself."""
    DIED = "died"
    """It is declared failed."""


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """A change of one member; `previous` is the entry before it, None for a name not known before."""

    change: MemberChange
    member: Member
    previous: Member | None


@dataclass(frozen=True, slots=True)
class PacketRejected:
    """Something from a peer was dropped. `detail` is bounded and free of payload, fit for a rate-limited log line."""

    reason: RejectReason
    source: Endpoint | None
    detail: str


@dataclass(frozen=True, slots=True)
class NameConflict:
    """Two nodes claim one name: the holder keeps it, the claimant is ignored while the holder is present."""

    name: NodeName
    holder: Endpoint
    claimant: Endpoint


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A message of the application, from a peer; the same one may come more than once."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class UserState:
    """State of the application that came with a peer's table; `is_join` if this node had asked to join there."""

    payload: bytes
    is_join: bool = False


@dataclass(frozen=True, slots=True)
class JoinFinished:
    """The contact that `join` or a reconnect made with an endpoint; `error` is None if it answered and was merged."""

    endpoint: Endpoint
    error: str | None


@dataclass(frozen=True, slots=True)
class LeaveFinished:
    """The notice of leaving was sent often enough, or its time is up: the sockets may close."""

    is_complete: bool


class ProbeOutcome(enum.StrEnum):
    """How a probe round ended."""

    ACKED = "acked"
    """The member answered the direct ping, or somebody reached it for us."""
    STREAM_ONLY = "stream_only"
    """It answered over TCP but not over UDP: look at the network's UDP rules."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProbeFinished:
    """One probe round is over; `duration_ns` is the round trip if it was acked.

    `payload` is what the application of the target put into a direct answer; empty if others had to help.
    """

    target: NodeName
    outcome: ProbeOutcome
    duration_ns: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Refuted:
    """This node contradicted a claim about itself, with this incarnation."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class UserEvent:
    """An event of the application that reached everybody in a Serf cluster; each one comes once.

    `time` is the cluster's event clock. `can_coalesce` means that only the newest of this name matters.
    """

    name: str
    payload: bytes
    time: int
    can_coalesce: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question of the application to this node. `deadline_ns` is by this node's clock: later answers are lost."""

    name: str
    payload: bytes
    time: int
    number: int
    asker: Endpoint
    asker_name: NodeName
    relay_factor: int
    deadline_ns: int
    responder: "Callable[[Query, bytes], None] | None" = field(default=None, compare=False, repr=False)

    def respond(self, payload: bytes) -> None:
        """Answers; later than the deadline nothing is sent. Works on events that an agent gave out.

        Raises:
            BroadcastTooLarge: the answer does not fit; nothing was sent.
        """
        if self.responder is not None:
            self.responder(self, payload)


QueryId = tuple[int, int]
"""Names one question of this node: its time and its number."""


@dataclass(frozen=True, slots=True)
class QueryResponse:
    """What a member answered; one without an answer but with an ack has `is_ack`."""

    query: QueryId
    node: NodeName
    payload: bytes
    is_ack: bool


@dataclass(frozen=True, slots=True)
class QueryFinished:
    """The time for answers is over."""

    query: QueryId


@dataclass(frozen=True, slots=True)
class KeyringChanged:
    """A query of an operator changed the keys; whoever keeps them in a file should write it again."""

    operation: str


Event = (
    MemberEvent
    | PacketRejected
    | NameConflict
    | UserMessage
    | UserState
    | JoinFinished
    | LeaveFinished
    | ProbeFinished
    | Refuted
    | UserEvent
    | Query
    | QueryResponse
    | QueryFinished
    | KeyringChanged
)
