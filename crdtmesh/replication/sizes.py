"""The encoded sizes of entries, and their limits. Sizes are estimated, and measured when an estimate passes a limit."""

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication.carrying import encoded
from crdtmesh.replication.entry import Entry
from crdtmesh.replication.errors import LimitExceeded
from crdtmesh.replication.options import ENTRY_BYTES_MAX, ENTRY_BYTES_SOFT


def measure(entry: Entry, table: ReplicaTable) -> int:
    """The encoded size of an entry, exactly. Complexity: O(entry)."""
    live = CausalContext(table, entry.data_type.dots(entry.store))
    entry.size_bytes = len(encoded(entry.data_type, entry.store, live))
    return entry.size_bytes


def require_room(entry: Entry, table: ReplicaTable, size_bytes: int) -> bool:
    """Counts an update of roughly this size; an entry is measured when the sum of such estimates passes a limit.

    Returns:
        Whether the entry is above the soft limit.

    Raises:
        LimitExceeded: the update would push the entry above the hard limit; nothing was changed.
    """
    estimate = entry.size_bytes + size_bytes
    if estimate <= ENTRY_BYTES_SOFT:
        entry.size_bytes = estimate
        return False
    if not entry.is_large or estimate > ENTRY_BYTES_MAX:
        estimate = measure(entry, table) + size_bytes
    if estimate > ENTRY_BYTES_MAX:
        raise LimitExceeded(
            f"entry {entry.key.key!r:.64} of {entry.size_bytes} bytes would exceed {ENTRY_BYTES_MAX} bytes with "
            f"{size_bytes} more; split it over several keys"
        )
    entry.size_bytes = estimate
    return estimate > ENTRY_BYTES_SOFT
