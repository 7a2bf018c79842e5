"""What the runtime needs of the replicated state: the part of `replication.Replica` that turns use.

The rule of one writer for each key is kept here: while a snapshot is open every update of its key goes through it, and
an update from outside a turn waits in the actor's mailbox until none is open.
"""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from crdtmesh.crdts.base import Touched
from crdtmesh.replication.outputs import EntryKey

__all__ = ["EntryView", "Snapshot", "States", "UpdateResult"]


class EntryView(Protocol):
    """An entry as it is now."""

    @property
    def version(self) -> int:
        """Grows with every change of the entry."""
        ...

    def value(self) -> Any:
        """The plain value."""
        ...


class Snapshot(Protocol):
    """An entry as the turns in flight see it: as it was, and their own changes."""

    @property
    def version(self) -> int:
        """The entry's version that this equals, own changes included."""
        ...

    @property
    def is_detached(self) -> bool:
        """Others changed the entry since."""
        ...

    def value(self) -> Any:
        """The plain value."""
        ...

    def close(self) -> None:
        """Ends the snapshot."""
        ...


class UpdateResult(Protocol):
    """What an update did."""

    @property
    def event(self) -> object | None:
        """The event; None for a no-op."""
        ...

    @property
    def touched(self) -> Touched:
        """Which elements it changed."""
        ...

    @property
    def entry(self) -> EntryView:
        """The entry afterwards."""
        ...


class States(Protocol):
    """The replicated state of this node."""

    def snapshot(self, key: EntryKey) -> Snapshot:
        """Opens the entry for turns."""
        ...

    def update(
        self,
        key: EntryKey,
        operations: Sequence[Any],
        *,
        ticket: Hashable | None,
        wall_ms: int,
        view: Any = None,
    ) -> UpdateResult:
        """All of the operations, or an error and none of them."""
        ...

    def read(self, key: EntryKey) -> EntryView | None:
        """The entry; None when it has no state."""
        ...

    def barrier(self, ticket: Hashable) -> None:
        """Brings `Committed(ticket)` when all that could have been seen so far is on disk."""
        ...
