"""The commit barrier: what may leave before the disk has what it could have seen. Nothing.

Records of one flush form a *group*. A ticket or a message that appears while records are open or groups are pending
waits for the latest of them; with nothing pending it leaves at once. Every step is O(1) for each ticket.
"""

from collections import deque
from collections.abc import Hashable

from crdtmesh.persistence.base import Record
from crdtmesh.replication.outputs import Persist

Send = tuple[str | None, bytes]
"""A peer's name, or None for every peer with a link, and a message."""


class Group:
    """Records written together, and what waits for them."""

    __slots__ = ("records", "sends", "seq", "tickets")

    def __init__(self) -> None:
        self.seq = 0
        self.records: list[Record] = []
        self.tickets: list[Hashable] = []
        self.sends: list[Send] = []


class CommitBarrier:
    """Orders tickets and messages behind the groups they may depend on."""

    __slots__ = ("_latest", "_open", "_pending", "_seq")

    def __init__(self) -> None:
        self._seq = 0
        self._open = Group()
        self._pending: deque[Group] = deque()
        # Where a newcomer waits: the open group once it has records, else the last pending one, else nowhere.
        self._latest: Group | None = None

    @property
    def is_clear(self) -> bool:
        """Nothing is waited for."""
        return self._latest is None

    @property
    def is_open_awaited(self) -> bool:
        """Whether something may be waiting for the open group."""
        return self._latest is self._open

    def record(self, record: Record) -> None:
        """Adds a record to the open group; everything from here on waits for it."""
        self._open.records.append(record)
        self._latest = self._open

    def postpone(self, record: Record) -> None:
        """Adds a record for which nobody needs to wait. The order of records is kept."""
        self._open.records.append(record)

    def expect(self) -> None:
        """Announces a record of the open group that is added before it is closed."""
        self._latest = self._open

    def wait(self, ticket: Hashable) -> bool:
        """Holds a ticket; False when there is nothing to wait for."""
        if self._latest is None:
            return False
        self._latest.tickets.append(ticket)
        return True

    def hold(self, peer: str | None, message: bytes) -> bool:
        """Holds a message; False when there is nothing to wait for."""
        if self._latest is None:
            return False
        self._latest.sends.append((peer, message))
        return True

    @property
    def row_count(self) -> int:
        """Number of records in the open group."""
        return len(self._open.records)

    def close_group(self) -> Persist | None:
        """Ends the open group, if it has records."""
        group = self._open
        if not group.records:
            return None
        self._seq += 1
        group.seq = self._seq
        self._pending.append(group)
        self._open = Group()
        persist = Persist(group.seq, group.records)
        group.records = []
        return persist

    def persisted(self, seq: int) -> list[Group]:
        """The groups up to `seq`, which are on disk now; unknown and repeated numbers give none."""
        done: list[Group] = []
        while self._pending and self._pending[0].seq <= seq:
            done.append(self._pending.popleft())
        # The open group stays where newcomers wait, also while its records are only expected (test_commits).
        if done and self._latest is not self._open:
            self._latest = self._pending[-1] if self._pending else None
        return done

    def abandon(self) -> list[Group]:
        """Every group that will never be on disk, the open one included, emptied."""
        groups = [*self._pending, self._open]
        self._pending.clear()
        self._open = Group()
        self._latest = None
        return groups
