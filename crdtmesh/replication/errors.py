"""Errors of replication's commands. Nothing that a peer sends raises: that becomes a `Rejected` event.

    MeshError
    └── ReplicationError           carries `outcome`
        ├── StorageFailed          the disk failed earlier; this replica is read-only
        ├── IdentityLost           the replica id was seen elsewhere; a new one is awaited
        ├── LimitExceeded          a key, an entry, an update or a count is above its limit
        ├── BatchInvalid           the entries of one update can't be one event
        ├── TtlInvalid             a ttl for an entry that can't be removed
        ├── TokenInvalid           a session token that no node of this cluster has made
        └── SnapshotInUse          a caller broke the rule of one writer per key

`UnknownType` and `InvalidOperation` of `crdtmesh.crdts` pass through commands unchanged; nothing was applied then.
"""

from typing import Final, Literal

from crdtmesh.errors import MeshError

Outcome = Literal["not_applied", "unknown"]

REPR_CHARS_MAX: Final = 64


class ReplicationError(MeshError):
    """Base of the errors of commands; unless `outcome` says otherwise nothing was applied."""

    outcome: Outcome = "not_applied"


class StorageFailed(ReplicationError):
    """An earlier commit failed, so this replica takes no more updates; nothing was applied."""


class IdentityLost(ReplicationError):
    """Another process writes under this replica's id; nothing was applied, retry when a new id was taken."""


class LimitExceeded(ReplicationError):
    """A named limit would be exceeded; nothing was applied."""


class BatchInvalid(ReplicationError):
    """The entries of one update lie in several shards or one is named twice; nothing was applied."""


class TtlInvalid(ReplicationError):
    """A ttl was named for an entry whose type can't be removed; nothing was applied."""


class TokenInvalid(ReplicationError):
    """Bytes that are no session token of this cluster; nothing was done."""


class SnapshotInUse(ReplicationError):
    """A key with an open snapshot was updated past it, or opened twice: our own caller's mistake; nothing applied."""


def shown(value: object) -> str:
    """The `repr` of a value, bounded, for an error message."""
    text = repr(value)
    return text if len(text) <= REPR_CHARS_MAX else text[: REPR_CHARS_MAX - 1] + "…"
