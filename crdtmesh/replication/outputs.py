"""What a replica hands to its driver, and the names both use for entries."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Literal, NamedTuple

from crdtmesh.crdts.base import Touched
from crdtmesh.crdts.values import PlainValue
from crdtmesh.persistence.base import Record

if TYPE_CHECKING:
    from crdtmesh.replication.explaining import Explanation


class EntryKey(NamedTuple):
    """Identity of an entry: two types under one name are two entries, and are never merged.

    Attributes:
        system: namespace; picks the shard.
        key: name within the system, at most 1,024 bytes as UTF-8.
        type_name: a registered data type, such as "ORSet".
    """

    system: str
    key: str
    type_name: str


# --- outgoing


class SendTo(NamedTuple):
    """A payload for a peer. A repair travels behind pushes; both may be lost, repeated and reordered without harm."""

    peer: str
    payload: bytes
    is_repair: bool = False


class Persist(NamedTuple):
    """A group of records for the store; answer with `persisted(seq)` or `persist_failed(seq, reason)`."""

    seq: int
    records: list[Record]


Outgoing = SendTo | Persist


# --- events


class Committed(NamedTuple):
    """All that this ticket could have seen is on disk: the reply may go out."""

    ticket: Hashable


class CommitFailed(NamedTuple):
    """What this ticket waited for will never be on disk; whether it survives is unknown."""

    ticket: Hashable
    reason: str


class LevelTimeout(NamedTuple):
    """The time is over and a level was not reached. An update stays and keeps spreading: its outcome is unknown.

    Attributes:
        ticket: of the call.
        acks: voters that were counted, this node among them if it counts.
        needed: how many the level asks for.
    """

    ticket: Hashable
    acks: int
    needed: int


class ReadAt(NamedTuple):
    """What an entry reads as, joined from as many voters as its level asks for; they all have it on disk now.

    Attributes:
        ticket: of the read.
        found: whether there is any state.
        value: fresh plain data; None if there is no state.
        version: the entry's version in this run that the value shows; 0 if there is no state.
    """

    ticket: Hashable
    found: bool
    value: PlainValue
    version: int


class PeerExplained(NamedTuple):
    """What a peer knows of a key, as `Replica.explain_at` asked; None when it did not answer in time."""

    ticket: Hashable
    explanation: "Explanation | None"


class Changed(NamedTuple):
    """An entry's state changed in memory. Show it to others only behind a `barrier`.

    Attributes:
        key: which entry.
        touched: canonical bytes of the elements that became different, or WHOLE.
        local: an `update` of this replica did it.
        version: grows with every change of the entry in this run.
        is_expired: the clock did it: readers see no entry any more, because it has expired.
    """

    key: EntryKey
    touched: Touched
    local: bool
    version: int
    is_expired: bool = False


class CaughtUp(NamedTuple):
    """Everything that some peer had of a system, when it was first compared in this run, is applied here."""

    system: str


class ShardTaken(NamedTuple):
    """A peer has handed over a whole shard, and it is applied here.

    Attributes:
        system, shard: which.
        shards: how many the system has; one comes after the other.
        peer: from whom.
        entries: that came with it.
        took_ns: since it was offered.
    """

    system: str
    shard: int
    shards: int
    peer: str
    entries: int
    took_ns: int


class Reconciled(NamedTuple):
    """Everything that some peer had, of all systems, when it was asked after the start, is applied here."""


AlarmKind = Literal[
    "identity_doubled",  # an event of our own replica id that we did not issue
    "event_forged",  # one event's dots with two contents
    "clock_drift",  # a peer's stamp is further ahead than drift_max_ms
    "entry_large",  # an entry passed the soft size limit
    "entry_refused",  # a peer's entry is above the hard size limit
    "audit_mismatch",  # two replicas applied the same and hold something else; they are made equal
]


class Alarm(NamedTuple):
    """Something that an operator should see."""

    kind: AlarmKind
    detail: str


class IdentityNeeded(NamedTuple):
    """Updates are refused until `renew_identity` was called with 16 fresh random bytes."""


class Rejected(NamedTuple):
    """A peer's payload was not understood, or broke a limit; nothing changed. `reason` is from a closed set."""

    peer: str
    reason: str
    detail: str


class ReadOnly(NamedTuple):
    """A commit failed; from here on nothing is applied and nothing acknowledged. Reload, or stop."""

    reason: str


Event = (
    Committed
    | CommitFailed
    | LevelTimeout
    | ReadAt
    | PeerExplained
    | Changed
    | CaughtUp
    | ShardTaken
    | Reconciled
    | Alarm
    | IdentityNeeded
    | Rejected
    | ReadOnly
)


class EventRun(NamedTuple):
    """The dots of one event: numbers `first` to `last` of one replica id, in one shard of the entry's system."""

    replica_id: bytes
    first: int
    last: int
    shard: int
