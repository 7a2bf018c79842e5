"""One call from its arrival to its one outcome, and who waits for it.

| phase | the call is | a deadline, or a lost caller, then means |
|---|---|---|
| QUEUED | in a mailbox, or not yet taken for a peer | it is taken out: not_applied |
| DISPATCHED | with a host or a peer | the caller is told `unknown`; a host's answer is still applied |
| RIDING | a read, answered by the node behind the turns before it | not_applied |
| HELD | done, its reply waits for the commit of what it could have seen | unknown |
| DONE | replied to, or nobody waits | - |

`caller` is None as soon as the caller has its reply, or no longer waits for one: so each call gets exactly one.
"""

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crdtmesh.crdts.operations import Operation
from crdtmesh.runtime.messages import CallerId, CallExtra, CallFailure, ReplyColumns

if TYPE_CHECKING:
    from crdtmesh.replication.levels import Level
    from crdtmesh.replication.outputs import EntryKey, EventRun
    from crdtmesh.runtime.activation import Activation
    from crdtmesh.runtime.definition import ActorAddress
    from crdtmesh.runtime.routes import Peer
    from crdtmesh.runtime.workflow import Workflow

__all__ = ["CallTuple", "Caller", "Turn", "TurnKind", "TurnPhase"]

CallTuple = tuple[int, "ActorAddress", str, str, bytes, int, CallExtra | None]
"""The fields of `messages.Call`."""


class TurnPhase(enum.Enum):
    """How far a call is; see the table above."""

    QUEUED = enum.auto()
    DISPATCHED = enum.auto()
    RIDING = enum.auto()
    HELD = enum.auto()
    DONE = enum.auto()


class TurnKind(enum.Enum):
    """Who does the work of a call."""

    HANDLER = enum.auto()
    """A host's handler."""
    READ = enum.auto()
    """The node: a default read action."""
    UPDATE = enum.auto()
    """The node: operations from outside, in the actor's queue."""
    STOP = enum.auto()
    """The node: takes the actor out of memory, in the actor's queue."""
    RESTORE = enum.auto()
    """The node: puts a revision in the place of the state, and takes the actor out of memory, in its queue."""


class Caller:
    """Somebody who waits for replies: a stream or the unary calls of the edge, or a peer.

    Attributes:
        id: the edge's number; None for a peer, and for the node itself.
        peer: name of the peer; None for a caller of the edge, and for the node itself.
        is_node: it is the node itself (`flows`).
        calls: what it waits for, by its own ids.
        out: replies that were not taken yet.
    """

    __slots__ = ("calls", "id", "is_node", "out", "peer")

    def __init__(self, caller_id: CallerId | None, peer: str | None) -> None:
        self.id = caller_id
        self.peer = peer
        self.calls: dict[int, Turn] = {}
        self.is_node = caller_id is None and peer is None
        self.out: ReplyColumns | None = None


class Turn:
    """A call on its way.

    Attributes:
        number: this node's own number; the turn's id on a host's stream, and the call's id towards a peer.
        caller: who waits; None when nobody does.
        id: the caller's number for it.
        call: the fields of `messages.Call`.
        activation: where it runs or waits; None while it has no place here.
        peer: where it was routed; None while it wasn't.
        is_internal: the node itself called; nobody waits, and what the answer asks for beside the state is ignored.
        is_void: what the host answers is thrown away: it ran on a copy that was wrong.
        has_written: it changed the state, in memory so far.
        type_url, payload, failure: the held reply.
        key, operations: of an UPDATE; None and empty otherwise.
        others: of an UPDATE of several entries: the further ones.
        operation_id: of what is not to be done twice; empty otherwise.
        ttl_ms: of an UPDATE that says how long its entries live from then on.
        write_level, read_level: that the call asks for; None when it does not say.
        run: what it wrote; None while it wrote nothing.
        workflow: what its answer asks to be done when the reply may leave.
        routed_as: the number of the call that its answer piped or forwarded to, among the node's own; 0 for none.
        tried: peers that had no host for it.
        place_until_ns: until when it waits for its actor's node to be in reach; 0 while it never had to.
    """

    # Defaults stand in the class, not in slots: most calls set none of them, and this saves a tenth of a call's cost.
    kind = TurnKind.HANDLER
    phase = TurnPhase.QUEUED
    activation: "Activation | None" = None
    peer: "Peer | None" = None
    is_internal = False
    is_void = False
    has_written = False
    type_url = ""
    payload = b""
    failure: CallFailure | None = None
    key: "EntryKey | None" = None
    operations: Sequence[Operation] = ()
    others: "Sequence[tuple[EntryKey, Sequence[Operation]]]" = ()
    operation_id = ""
    ttl_ms: int | None = None
    write_level: "Level | None" = None
    read_level: "Level | None" = None
    run: "EventRun | None" = None
    workflow: "Workflow | None" = None
    routed_as = 0
    tried: tuple[str, ...] = ()
    place_until_ns = 0

    def __init__(self, number: int, caller: Caller | None, call: CallTuple, deadline_ns: int) -> None:
        self.number = number
        self.caller = caller
        self.id = call[0]
        self.call = call
        self.deadline_ns = deadline_ns
