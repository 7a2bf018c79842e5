"""Operation ids: an update that was done under an id is not done again under it, so a retry of `unknown` is safe.

The ids of a key's updates are an entry beside it, hidden from readers: an add-wins set of (id, until when), which
changes in the same event as what the update did. So whoever has the update knows its id. An id is kept for
OPERATION_ID_MS, or until OPERATION_IDS_PER_KEY_MAX newer ones of the same key push it out.

A node knows the ids of the updates that it has. Retry where the update was sent to, also after a restart, or at a node
that has its token (`tokens`); two nodes of which neither has the other's update both do it.
"""

from collections.abc import Sequence
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.errors import LimitExceeded, shown
from crdtmesh.replication.outputs import EntryKey

SEPARATOR: Final = "\0"
"""Parts a key from the name of what is kept beside it; keys of users do not hold it."""

CELL_MARK: Final = f"{SEPARATOR}expires{SEPARATOR}"
"""Between the key of an entry and its type: the name of the cell that says when it expires (`expiring`)."""

# Much longer than anybody waits between a timeout and a retry.
OPERATION_ID_MS: Final = 600_000

# At about 60 bytes each they stay below the size at which an entry is worth a warning.
OPERATION_IDS_PER_KEY_MAX: Final = 1_024

OPERATION_ID_CHARS_MAX: Final = 128


def beside(key: EntryKey) -> EntryKey:
    """Where the operation ids of an entry are kept: in its shard."""
    return EntryKey(key.system, f"{key.key}{SEPARATOR}operations", "ORSet")


def check_operation_id(operation_id: str) -> None:
    """Refuses what is no id.

    Raises:
        LimitExceeded: it is empty or too long.
    """
    if not 0 < len(operation_id) <= OPERATION_ID_CHARS_MAX:
        raise LimitExceeded(
            f"an operation id of 1 to {OPERATION_ID_CHARS_MAX} characters expected, {shown(operation_id)} found"
        )


def is_repeated(kept: PlainValue, operation_id: str, *, wall_ms: int) -> bool:
    """Whether an id is among those that are kept, and not over."""
    return any(found == operation_id and until_ms > wall_ms for found, until_ms in _ids(kept))


def noting(kept: PlainValue, operation_id: str, *, wall_ms: int) -> list[Operation]:
    """The operations that add an id, and remove those that are over or too many."""
    ids = sorted(_ids(kept), key=lambda each: (each[1], each[0]))
    over = [each for each in ids if each[1] <= wall_ms]
    alive = ids[len(over) :]
    over += alive[: max(0, len(alive) + 1 - OPERATION_IDS_PER_KEY_MAX)]
    added = Operation("add", ((operation_id, wall_ms + OPERATION_ID_MS),))
    return [*(Operation("remove", (each,)) for each in over), added]


def _ids(kept: PlainValue) -> Sequence[tuple[str, int]]:
    pairs = kept if isinstance(kept, list | tuple) else ()
    return [
        (str(pair[0]), pair[1])
        for pair in pairs
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[1], int)
    ]
