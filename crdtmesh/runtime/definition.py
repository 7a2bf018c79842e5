"""How an actor and its actions are declared, and which declarations this version runs.

A definition comes from Spawn's `RegistrationRequest`; the adapter in `crdtmesh.wire` makes it. NAMED actors run, and
UNNAMED ones, which are templates: their instances have names of their own and bear the template's as parent. The other
kinds are refused here, with the reason; where an actor runs is decided in `placement`.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from crdtmesh.replication.levels import Level
from crdtmesh.runtime.errors import RegistrationRefused
from crdtmesh.runtime.opaque import NO_STATE, OpaqueState

__all__ = [
    "INIT_ACTIONS",
    "READ_ACTIONS",
    "RESOLVE_ACTION",
    "STATE_TYPE_PREFIX",
    "ActorAddress",
    "ActorDefinition",
    "Channel",
    "Kind",
    "StateKind",
    "address_of",
    "check_definitions",
    "check_name",
    "declared_as",
    "state_key",
]

STATE_TYPE_PREFIX: Final = "crdtmesh.v1."
"""A `state_type` that begins so names a replicated data type; the rest is the name in `crdtmesh.crdts.registry`."""

READ_ACTIONS: Final = frozenset({"get", "Get", "get_state", "getState", "GetState"})
"""Answered by the node with the state, unless the actor declares one of them itself: then all five go to its host."""

INIT_ACTIONS: Final = ("init", "Init", "setup", "Setup")
"""The first of these that an actor declares is called at each activation, without payload. Its answer counts for the
state alone; that it failed is nobody's business."""

RESOLVE_ACTION: Final = "resolve"
"""Called with each value of an opaque state that lost, while the one that won is the state; what it leaves stays."""

MESH_SYSTEM: Final = "_mesh"

OPAQUE_TYPE: Final = "LWWRegister"
"""The data type that holds an opaque state: it keeps values that were written concurrently until somebody saw them all,
and knows the later one by the hybrid clock."""

# Between parent and name in the key of an instance's state. No name has it, since names are printable.
_KEY_SEPARATOR: Final = "\x1f"

DEACTIVATION_TIMEOUT_MS: Final = 10_000
SNAPSHOT_INTERVAL_MS: Final = 2_000
"""Spawn's defaults."""

# A name is a key of the replicated state, travels with every delta and stands in messages to people. 256 bytes hold a
# URN with a UUID or two; a thousand names of this length make a quarter of a megabyte of directory.
NAME_SIZE_BYTES_MAX: Final = 256
# An SDK declares one action per method. 1,024 is far above any actor seen, and 256 KiB of names at worst.
ACTIONS_MAX: Final = 1_024
# Each is an item of a heap for every instance that was ever active.
TIMERS_MAX: Final = 64


class Kind(enum.IntEnum):
    """Spawn's kinds of actors, with the numbers of `spawn.actors.Kind`."""

    UNKNOWN = 0
    NAMED = 1
    UNNAMED = 2
    POOLED = 3
    PROXY = 4
    TASK = 5
    PROJECTION = 6


_KINDS_SERVED: Final = frozenset({Kind.UNKNOWN, Kind.NAMED, Kind.UNNAMED})


class StateKind(enum.Enum):
    """What an actor's state is; decides where the actor runs and how its turns are applied."""

    NONE = enum.auto()
    MERGED = enum.auto()
    """A replicated data type: concurrent changes merge."""
    OPAQUE = enum.auto()
    """Bytes that nobody here can merge."""


class ActorAddress(NamedTuple):
    """Which actor: its system and its name, and the UNNAMED template it was spawned from, if any."""

    system: str
    name: str
    parent: str = ""

    def __str__(self) -> str:
        return f"{self.system}/{self.name}"


class Channel(NamedTuple):
    """A topic that an actor listens to, and the action that its messages run; empty for the default."""

    topic: str
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorDefinition:
    """What a host declares of one actor.

    Attributes:
        address: system, name and parent.
        kind: Spawn's kind; UNKNOWN means NAMED.
        is_stateful: the actor has a state that outlives its activation.
        state_type: `crdtmesh.v1.<Type>` for a replicated data type, any other name for an opaque state, or None.
        actions: names of what can be called.
        deactivation_timeout_ms: idle time after which the activation is dropped; 0 or less means the default.
        initial: the opaque state and the tags that an activation begins with when nothing else is known.
        write_level: what its writes wait for unless a call says otherwise; None for this node's disk.
        channels: topics that it listens to, and the action for each; an empty one means the default.
        timers: (action, period in milliseconds).
        is_eager: it is activated as soon as it is registered, and not only by its first call.
        is_available: an opaque state is served by another node when the actor's own is out of reach, at the price that
            both may write; the later one is kept, the other counted and put aside.
        revisions_max: earlier opaque states to keep; 0 for none.
        snapshot_interval_ms: the least time between two of them; 0 or less means the default.
    """

    address: ActorAddress
    kind: Kind = Kind.NAMED
    is_stateful: bool = False
    state_type: str | None = None
    actions: frozenset[str] = frozenset()
    deactivation_timeout_ms: int = DEACTIVATION_TIMEOUT_MS
    initial: OpaqueState = NO_STATE
    write_level: Level | None = None
    channels: tuple[Channel, ...] = ()
    timers: tuple[tuple[str, int], ...] = ()
    is_eager: bool = False
    is_available: bool = False
    revisions_max: int = 0
    snapshot_interval_ms: int = SNAPSHOT_INTERVAL_MS

    @property
    def type_name(self) -> str | None:
        """Name of the replicated data type, such as `PNCounter`; None for an actor without one."""
        if self.is_stateful and self.state_type and self.state_type.startswith(STATE_TYPE_PREFIX):
            return self.state_type.removeprefix(STATE_TYPE_PREFIX)
        return None

    @property
    def state(self) -> StateKind:
        """What kind of state the actor has."""
        if not self.is_stateful:
            return StateKind.NONE
        return StateKind.OPAQUE if self.type_name is None else StateKind.MERGED

    @property
    def entry_type(self) -> str | None:
        """Name of the data type of the entry that holds the state; None when there is none to hold."""
        return OPAQUE_TYPE if self.state is StateKind.OPAQUE else self.type_name

    @property
    def is_template(self) -> bool:
        """Instances can be spawned from it."""
        return self.kind is Kind.UNNAMED

    @property
    def idle_timeout_ns(self) -> int:
        """How long an activation without calls stays; Spawn's 0 and less mean the default."""
        timeout_ms = self.deactivation_timeout_ms
        return (timeout_ms if timeout_ms > 0 else DEACTIVATION_TIMEOUT_MS) * 1_000_000

    @property
    def revision_interval_ms(self) -> int:
        """The least time between two revisions; Spawn's 0 and less mean the default."""
        return self.snapshot_interval_ms if self.snapshot_interval_ms > 0 else SNAPSHOT_INTERVAL_MS

    @property
    def init_action(self) -> str | None:
        """What is called at each activation before anything else; None for nothing."""
        return next((action for action in INIT_ACTIONS if action in self.actions), None)

    @property
    def resolves(self) -> bool:
        """The actor wants to see the values of its opaque state that were written at two places at once."""
        return self.state is StateKind.OPAQUE and RESOLVE_ACTION in self.actions

    @property
    def answers_reads(self) -> bool:
        """Whether the read actions go to the host."""
        return not READ_ACTIONS.isdisjoint(self.actions)


def declared_as(address: ActorAddress) -> ActorAddress:
    """The address under which hosts declare an actor: of an instance that of its template, else its own."""
    return ActorAddress(address.system, address.parent) if address.parent else address


def state_key(address: ActorAddress) -> str:
    """The key under which an actor's state is kept in its system; an instance's tells its parent too."""
    return f"{address.parent}{_KEY_SEPARATOR}{address.name}" if address.parent else address.name


def address_of(system: str, key: str) -> ActorAddress:
    """The actor whose state is kept under a key; the inverse of `state_key`."""
    parent, separator, name = key.partition(_KEY_SEPARATOR)
    return ActorAddress(system, name, parent) if separator else ActorAddress(system, key)


def check_definitions(definitions: Iterable[ActorDefinition]) -> None:
    """Lets definitions pass that this version can run.

    Raises:
        RegistrationRefused: for the first that it can't; says what to change.
    """
    for definition in definitions:
        check_name("actor system", definition.address.system)
        check_name("actor", definition.address.name)
        if definition.address.system == MESH_SYSTEM:
            raise RegistrationRefused(f"actor system {MESH_SYSTEM!r} is the mesh's own; choose another name")
        _check_kind(definition)
        if len(definition.actions) > ACTIONS_MAX:
            raise RegistrationRefused(
                f"at most {ACTIONS_MAX} actions expected, got {len(definition.actions)} for actor {definition.address}"
            )
        if len(definition.timers) > TIMERS_MAX or any(period_ms < 1 for _, period_ms in definition.timers):
            raise RegistrationRefused(
                f"actor {definition.address}: at most {TIMERS_MAX} timers of 1 ms or more expected, "
                f"got {len(definition.timers)}, the shortest of {min(period for _, period in definition.timers)} ms"
            )
        for action in definition.actions:
            check_name(f"action of actor {definition.address}", action)


def check_name(label: str, name: str) -> None:
    """Lets a name pass that can be one.

    Raises:
        RegistrationRefused: it can't; says why.
    """
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= NAME_SIZE_BYTES_MAX:
        raise RegistrationRefused(f"{label} name of 1 to {NAME_SIZE_BYTES_MAX} bytes expected, got {size} bytes")
    if not name.isprintable():
        raise RegistrationRefused(f"{label} name of printable characters expected, got {name[:64]!r}")


def _check_kind(definition: ActorDefinition) -> None:
    if definition.kind not in _KINDS_SERVED:
        raise RegistrationRefused(
            f"actor {definition.address}: kind NAMED or UNNAMED expected, got {definition.kind.name}; "
            f"this version runs no actors of that kind"
        )
