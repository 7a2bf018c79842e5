"""An actor in memory: its life cycle, as a table, and what it holds.

An activation binds an actor to one host of this node. It has a mailbox, the turns in flight at the host, and for a
state the *view*: the snapshot that these turns see. A replicated state is local, so LOADING lasts no time; an opaque
one waits in it until a majority was asked for what it has.

|          | bound | loaded | load_failed | redefined | idle | drained | host_lost |
|----------|-------|--------|-------------|-----------|------|---------|-----------|
| COLD     | LOADING |      |             |           |      |         |           |
| LOADING  |       | ACTIVE | COLD        | DRAINING  |      |         | COLD      |
| ACTIVE   |       |        |             | DRAINING  | COLD |         | COLD      |
| DRAINING |       |        |             | DRAINING  |      | COLD    | COLD      |

COLD activations are dropped; what waits in their mailbox is placed again.
"""

import enum
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from crdtmesh.crdts.base import WHOLE, Touched
from crdtmesh.replication.entry import Snapshot
from crdtmesh.replication.levels import MAJORITY
from crdtmesh.replication.outputs import EntryKey, EventRun
from crdtmesh.runtime.definition import ActorDefinition, StateKind, state_key
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.runtime.turn import Turn

if TYPE_CHECKING:
    from crdtmesh.runtime.hosts import Host

__all__ = ["STALE", "TRANSITIONS", "Activation", "Happening", "Phase"]

STALE: Final = -1
"""No version of an entry: the host's copy is none that we could name."""

# Elements that others touched, kept to tell the host of them alone. Above this the whole state is about as short.
TOUCHED_MAX: Final = 1_024


class Phase(enum.Enum):
    """Where in its life an activation is."""

    COLD = enum.auto()
    LOADING = enum.auto()
    ACTIVE = enum.auto()
    DRAINING = enum.auto()


class Happening(enum.Enum):
    """What moves an activation on."""

    BOUND = enum.auto()
    """A host was chosen."""
    LOADED = enum.auto()
    """The state is there."""
    REDEFINED = enum.auto()
    """Its host is no longer the one to run it, or means another state by it."""
    IDLE = enum.auto()
    """Nothing happened for the deactivation timeout."""
    DRAINED = enum.auto()
    """The last turn in flight was answered."""
    HOST_LOST = enum.auto()
    LOAD_FAILED = enum.auto()
    """Too few nodes could be asked for the state."""


TRANSITIONS: Final = MappingProxyType(
    {
        (Phase.COLD, Happening.BOUND): Phase.LOADING,
        (Phase.LOADING, Happening.LOADED): Phase.ACTIVE,
        (Phase.LOADING, Happening.LOAD_FAILED): Phase.COLD,
        (Phase.LOADING, Happening.REDEFINED): Phase.DRAINING,
        (Phase.LOADING, Happening.HOST_LOST): Phase.COLD,
        (Phase.ACTIVE, Happening.REDEFINED): Phase.DRAINING,
        (Phase.ACTIVE, Happening.IDLE): Phase.COLD,
        (Phase.ACTIVE, Happening.HOST_LOST): Phase.COLD,
        (Phase.DRAINING, Happening.REDEFINED): Phase.DRAINING,
        (Phase.DRAINING, Happening.DRAINED): Phase.COLD,
        (Phase.DRAINING, Happening.HOST_LOST): Phase.COLD,
    }
)
"""The whole life cycle; what is not in it can't happen."""


class Activation:
    """One actor in memory.

    Attributes:
        definition: as its host declares it.
        state: what kind of state the definition says.
        key: the entry of its state; None for an actor without state.
        host: where its turns run.
        mailbox: calls that wait, in order.
        in_flight: turns at the host, and reads riding behind them, in order.
        view: open exactly while turns are in flight, for an actor with a state.
        copy_version: the entry's version that the host's copy equals while nothing is in flight, or STALE.
        seen_version: the greatest version of the entry that is accounted for in `touched` or in the copy.
        touched: elements that others changed since the copy; None means that only the whole state will do.
        is_blocked: it waits for its host to have room.
        resolves: what lost of an opaque state is shown to the actor.
        resolved_version: the entry's version at which the actor was last shown that.
        write_level: what its writes wait for unless a call says otherwise; None for this node's disk.
        unconfirmed: the last write that has not reached its level yet; replies that show it wait for it too.
        revised_ms: wall-clock time before which no further revision is due.
        memory: the opaque state of an actor without replicated state; as long-lived as the activation.
        used_ns: when it last had something to do.
    """

    __slots__ = (
        "copy_version",
        "definition",
        "host",
        "in_flight",
        "is_blocked",
        "key",
        "mailbox",
        "memory",
        "phase",
        "resolved_version",
        "resolves",
        "revised_ms",
        "seen_version",
        "state",
        "touched",
        "unconfirmed",
        "used_ns",
        "view",
        "write_level",
    )

    def __init__(self, definition: ActorDefinition, host: "Host", *, now_ns: int) -> None:
        address = definition.address
        type_name = definition.entry_type
        self.definition = definition
        self.state = definition.state
        self.key = None if type_name is None else EntryKey(address.system, state_key(address), type_name)
        self.host = host
        self.phase = Phase.COLD
        self.mailbox: deque[Turn] = deque()
        self.in_flight: deque[Turn] = deque()
        self.view: Snapshot | None = None
        self.copy_version = STALE
        self.seen_version = STALE
        self.touched: set[bytes] | None = None
        self.is_blocked = False
        self.write_level = definition.write_level or (MAJORITY if definition.state is StateKind.OPAQUE else None)
        self.unconfirmed: EventRun | None = None
        self.resolves = definition.resolves
        self.resolved_version = STALE
        self.revised_ms = 0
        self.memory: OpaqueState = definition.initial
        self.used_ns = now_ns

    def happen(self, happening: Happening) -> None:
        """Moves on by the table; anything else is a mistake of ours."""
        self.phase = TRANSITIONS[self.phase, happening]

    def forget_copy(self) -> None:
        """The host's copy can't be trusted: only the whole state will do."""
        self.copy_version = STALE
        self.touched = None

    def account(self, touched: Touched, version: int) -> None:
        """Somebody else changed the entry."""
        if version <= self.seen_version:
            return
        if self.touched is not None:
            is_gap = version != self.seen_version + 1
            if is_gap or touched is WHOLE or len(self.touched) + len(touched) > TOUCHED_MAX:
                # After a gap something changed of which nobody told us what.
                self.touched = None
            else:
                self.touched.update(touched)
        self.seen_version = version

    def account_own(self, version: int) -> None:
        """A turn changed the entry; its host's copy has that already."""
        if version > self.seen_version + 1:
            self.touched = None
        self.seen_version = version

    def note_copy(self, version: int) -> None:
        """The host's copy is being made equal to the entry at this version."""
        self.copy_version = self.seen_version = version
        self.touched = set()

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return not self.mailbox and not self.in_flight

    @property
    def idle_deadline_ns(self) -> int:
        """When it is put out of memory, if nothing happens until then."""
        return self.used_ns + self.definition.idle_timeout_ns
