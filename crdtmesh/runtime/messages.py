"""The values that go into a `Runtime` and come out of it.

What passes once per call is a plain tuple or stands in columns; nothing here is built by a constructor on the hot
path. `Call` and `TurnAnswer` *name* the fields of a tuple: the edge may pass `zip(ids, addresses, actions, ...)`
straight from a batch's columns, and what comes out are columns that it can hand to protobuf as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, NewType, TypeAlias

from crdtmesh.crdts.errors import InvalidOperation
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.levels import Level
from crdtmesh.runtime.definition import ActorAddress, Channel, Kind, StateKind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.runtime.workflow import Workflow

__all__ = [
    "COMMANDS",
    "CONFLICT",
    "MESSAGE",
    "NOOP_URL",
    "NO_PAYLOAD",
    "NO_TERMS",
    "STATE_CHANGED",
    "STATE_UNCHANGED",
    "STATE_VALUE",
    "STOP",
    "ActorOffer",
    "Call",
    "CallExtra",
    "CallFailure",
    "CallerId",
    "ChannelMessage",
    "HostId",
    "Offers",
    "Operations",
    "Outgoing",
    "ReplyColumns",
    "StateUpdate",
    "ToPeer",
    "TurnAnswer",
    "TurnColumns",
    "TurnEffects",
    "TurnFailure",
    "UpdateTerms",
]

HostId = NewType("HostId", int)
"""One open `ActorHost.Connect` stream; numbered by the edge, never used again."""

CallerId = NewType("CallerId", int)
"""One open `InvokeStream`, or one unary call; numbered by the edge, never used again."""

NO_PAYLOAD: Final = ""
"""The type URL of a call or reply without payload."""


NOOP_URL: Final = "type.googleapis.com/spawn.Noop"
"""The type URL of Spawn's explicit nothing."""

STATE_VALUE: Final = "type.googleapis.com/crdtmesh.v1.Value"
"""The type URL of what a read action answers."""

STATE_CHANGED: Final = "changed"
STATE_UNCHANGED: Final = "unchanged"
"""Stand in the place of the type URL in replies to `Runtime.update_state`."""


STOP: Final = "\x1fstop"
MESSAGE: Final = "\x1fmessage"
CONFLICT: Final = "\x1fconflict"
RESTORE: Final = "\x1frestore"
"""Starts an actor from one of its revisions; a call to where the actor runs, whose payload is the number in digits."""

COMMANDS: Final = frozenset({STOP, MESSAGE, CONFLICT})
"""Names of what nodes ask of each other beside calls (`commands`). Not printable, so no action has them."""


class CallExtra(NamedTuple):
    """What few calls carry.

    Attributes:
        metadata: passed on to the host.
        caller: the actor that calls, if any; passed on to the host.
        hops: pipes and forwards that led to this call.
        scheduled_ms: Unix time from which on it is to be made; 0 for now. Its reply then says that it is kept.
    """

    metadata: dict[str, str]
    caller: ActorAddress | None
    hops: int = 0
    scheduled_ms: int = 0


class UpdateTerms(NamedTuple):
    """What a caller asks of an update from outside, beside its operations.

    Attributes:
        level: how many voters have it when the reply comes; None: as the actor of the state says, else this node.
        operation_id: what was done under this id is not done again; empty for none.
        ttl_ms: how long the entries live from now; None: as the options say, else as they did.
        timeout_ms: for everything; 0 is the node's default.
    """

    level: Level | None = None
    operation_id: str = ""
    ttl_ms: int | None = None
    timeout_ms: int = 0


NO_TERMS: Final = UpdateTerms()
"""Whatever the actor and the options say."""


class Call(NamedTuple):
    """One call. Any tuple of these seven will do.

    `id` is unique among the caller's calls in flight; `timeout_ms` counts from arrival, 0 means the node's default;
    `type_url` and `payload` are the parts of an Any that nobody here reads.
    """

    id: int
    actor: ActorAddress
    action: str
    type_url: str = NO_PAYLOAD
    payload: bytes = b""
    timeout_ms: int = 0
    extra: CallExtra | None = None


class CallFailure(NamedTuple):
    """How a call failed."""

    id: int
    code: ErrorCode
    outcome: Outcome
    message: str


class TurnEffects(NamedTuple):
    """What a turn did, where that is more than operations.

    Attributes:
        operations: what it did to a replicated state.
        state: what it left as opaque state; None when it left it alone, tags included.
        workflow: what is to be done next; None for nothing.
        is_checkpoint: the state must be on disk before the reply. It always is, where there is anything to keep.
    """

    operations: Sequence[Operation] | InvalidOperation = ()
    state: OpaqueState | None = None
    workflow: Workflow | None = None
    is_checkpoint: bool = False


Operations: TypeAlias = Sequence[Operation] | InvalidOperation | TurnEffects
"""What a turn did: to its state; or why that can't be read, which refuses the turn in its place among the answers; or
these and more."""


class TurnAnswer(NamedTuple):
    """A host's answer to a turn. Any tuple of these four will do.

    `operations` are in order; empty when the turn changed nothing, the error itself when they can't be read.
    """

    turn: int
    type_url: str
    payload: bytes
    operations: Operations


class TurnFailure(NamedTuple):
    """A turn that left nothing.

    `code` is HANDLER_ERROR (the handler raised; `message` is its own words), UNKNOWN_ACTION (the host has no such
    action), INVALID_OPERATION (its mutations can't be read, and it stands behind no other answer of its actor; the
    host is given the whole state again), NO_HOST (the host could not be reached, so it did nothing), or HOST_LOST or
    TIMEOUT (it was reached and did not answer, so what it did is unknown).
    """

    turn: int
    message: str
    code: ErrorCode = ErrorCode.HANDLER_ERROR


class StateUpdate(NamedTuple):
    """Brings a host's copy of one actor's state up to date, before the turns of the same batch.

    Either `value` with `is_whole`, or the elements of a set that others added and removed; or, for an actor without
    replicated state, `opaque`.
    """

    actor: ActorAddress
    type_name: str
    is_whole: bool
    value: PlainValue
    added: Sequence[PlainValue] = ()
    removed: Sequence[PlainValue] = ()
    opaque: OpaqueState | None = None


class TurnColumns:
    """What one host is to be sent: states first, then turns, item i of every column being the i-th turn.

    Attributes:
        states: updates of copies, in order; before the turns.
        turns, actors, actions, type_urls, payloads, timeouts_ms: the columns; `timeouts_ms` is what is left.
        extras: (turn, extra) of the few turns that have one.
        cancelled: turns whose caller no longer waits.
        released: actors whose copy the host may drop; their next turn comes with a whole state.
    """

    __slots__ = (
        "actions",
        "actors",
        "cancelled",
        "extras",
        "payloads",
        "released",
        "states",
        "timeouts_ms",
        "turns",
        "type_urls",
    )

    def __init__(self) -> None:
        self.states: list[StateUpdate] = []
        self.turns: list[int] = []
        self.actors: list[ActorAddress] = []
        self.actions: list[str] = []
        self.type_urls: list[str] = []
        self.payloads: list[bytes] = []
        self.timeouts_ms: list[int] = []
        self.extras: list[tuple[int, CallExtra]] = []
        self.cancelled: list[int] = []
        self.released: list[ActorAddress] = []


class ReplyColumns:
    """What one caller is to be sent: item i of the columns is the i-th reply; failures stand apart."""

    __slots__ = ("failures", "ids", "payloads", "type_urls")

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.type_urls: list[str] = []
        self.payloads: list[bytes] = []
        self.failures: list[CallFailure] = []


class ChannelMessage(NamedTuple):
    """What an actor has published: the parts of an Any that nobody here reads."""

    type_url: str
    payload: bytes
    publisher: ActorAddress | None


class ToPeer(NamedTuple):
    """A message for the INVOKE channel of a peer. If the link refuses it, give it back by `Runtime.peer_refused`."""

    peer: str
    payload: bytes
    calls: tuple[int, ...]


class Outgoing(NamedTuple):
    """What is to be sent, emptied by taking it. The columns are the receiver's to keep."""

    hosts: list[tuple[HostId, TurnColumns]]
    callers: list[tuple[CallerId, ReplyColumns]]
    peers: list[ToPeer]
    messages: list[tuple[CallerId, ChannelMessage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorOffer:
    """What a node says of an actor that it has a host for.

    Attributes:
        address: the actor; instances of a template are not listed.
        state_type: full name of its state's type, or empty.
        actions: names of its actions, sorted.
        kind: NAMED or UNNAMED.
        state: what kind of state it has, which decides where it runs.
        is_available: see `placement.where`.
        channels: topics that it listens to.
    """

    address: ActorAddress
    state_type: str
    actions: tuple[str, ...]
    kind: Kind = Kind.NAMED
    state: StateKind = StateKind.NONE
    is_available: bool = False
    channels: tuple[Channel, ...] = ()


Offers: TypeAlias = Sequence[ActorOffer]
"""All actors that one node has hosts for."""
