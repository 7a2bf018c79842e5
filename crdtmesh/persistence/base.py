"""What a core asks of a disk: the record types and the `Store` protocol.

A store is two things: a *log*, to which whole messages are appended and whose oldest rows are cut away, and a table of
*state rows*, key to bytes. A group of records is written in one transaction: after a crash all of it is there or none.
What the bytes mean is the business of `crdtmesh.replication`. Driven by the node's glue, and by the simulator's disk,
which keeps a `StoreImage` and forgets the groups that were not synced.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

FORMAT_VERSION: Final = 2
"""Version of what is on disk. A store with a greater one is refused, never guessed at; `open` marks an older one with
this, since what is written to it from there on is of this one."""


class LogRecord(NamedTuple):
    """One row at the end of the log."""

    data: bytes


class StateRecord(NamedTuple):
    """One state row, which replaces an earlier one of the same key; `data=None` deletes it."""

    key: bytes
    data: bytes | None


class TrimLog(NamedTuple):
    """Deletes the `rows` oldest rows of the log, as it was before the group that holds this record."""

    rows: int


Record = LogRecord | StateRecord | TrimLog


class StateRows(NamedTuple):
    """Some state rows as they are read, many at once: an object for each would take longer than reading it.

    Attributes:
        keys: at least one; ascending.
        contents: the data of each.
    """

    keys: Sequence[bytes]
    contents: Sequence[bytes]

    def records(self) -> Iterator[StateRecord]:
        """One by one."""
        return map(StateRecord, self.keys, self.contents)


# Few, so that simulated restarts meet the seams between them often.
_ROWS_AT_ONCE: Final = 4

Loaded = StateRows | LogRecord
"""What a store gives at a start."""


def records_of(loaded: Iterable[Loaded]) -> Iterator[Record]:
    """What a store holds, record by record."""
    for each in loaded:
        if isinstance(each, StateRows):
            yield from each.records()
        else:
            yield each


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMeta:
    """Whose store it is.

    Attributes:
        node: name of the node that owns the directory.
        cluster: name of its cluster.
        format_version: layout on disk.
        is_fresh: the store was made by this `open` and holds nothing.
    """

    node: str
    cluster: str
    format_version: int = FORMAT_VERSION
    is_fresh: bool = False


Completion = Callable[[int, str | None], None]
"""Called as `(seq, error)`: all groups up to `seq` are on disk, or, with an error, `seq` and all later ones are not."""


class Store(Protocol):
    """A disk that takes groups of records in order.

    `open`, then `load` to its end, then `write` as often as needed, then `close`.
    """

    def open(self) -> StoreMeta:
        """Locks the directory and checks whose it is.

        Raises:
            StoreInUse, StoreForeign, StoreTooNew: refused, nothing was touched.
            CorruptRecord: it is no store, or a broken one; nothing was touched.
        """
        ...

    def load(self) -> Iterator[Loaded]:
        """Every state row in order of its key, then every log row in order of its writing.

        Raises:
            CorruptRecord: a row is not what was written.
        """
        ...

    def write(self, seq: int, records: Sequence[Record]) -> None:
        """Queues a group and returns at once; `seq` grows by one with every group.

        The completion given at construction is told, in order, on a thread of the store's choice. After a failure every
        group is answered with the error and none is written.
        """
        ...

    def close(self) -> None:
        """Writes what is queued, then releases the directory."""
        ...


@dataclass(slots=True)
class StoreImage:
    """What a disk holds after the groups applied so far: the reference for what records mean.

    Attributes:
        state: the state rows.
        log: the log rows, oldest first.
    """

    state: dict[bytes, bytes] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)

    def apply(self, records: Iterable[Record]) -> None:
        """Applies one group. Complexity: O(records), and O(log) when it trims."""
        length = len(self.log)
        for record in records:
            if isinstance(record, LogRecord):
                self.log.append(record.data)
            elif isinstance(record, TrimLog):
                count = min(record.rows, length)
                del self.log[:count]
                length -= count
            elif record.data is None:
                self.state.pop(record.key, None)
            else:
                self.state[record.key] = record.data

    def load(self) -> Iterator[Loaded]:
        """State rows in order of their key, then log rows."""
        rows = sorted(self.state.items())
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            yield StateRows(*zip(*rows[start : start + _ROWS_AT_ONCE], strict=True))
        for data in self.log:
            yield LogRecord(data)
