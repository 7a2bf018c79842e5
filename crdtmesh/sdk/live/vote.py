"""`ctx.state` of a vote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.snapshot import Snapshot

__all__ = ["Vote"]


class Vote(Snapshot[tuple[int, int]]):
    """One ballot for each start of a node; the node that runs the handler casts its own.

    The tally is that at the start of the turn, since the copy here does not know which of the ballots is the own one.
    It counts nodes that are no longer members; compare it with the number of members yourself.
    """

    __slots__ = ()

    type_name: ClassVar[str] = "Vote"

    def __init__(self, *, votes_for: int = 0, votes_against: int = 0) -> None:
        """A vote with these ballots, as a test of a handler would want it."""
        super().__init__((votes_for, votes_against))

    @property
    def votes_for(self) -> int:
        """How many say yes."""
        return self._value[0]

    @property
    def votes_against(self) -> int:
        """How many say no."""
        return self._value[1]

    @property
    def value(self) -> dict[str, PlainValue]:
        """The tally, as the data type reads."""
        return {"against": self._value[1], "for": self._value[0]}

    def vote(self, ballot: bool) -> None:
        """Casts this node's ballot, in place of its last one.

        Raises:
            InvalidOperation: neither True nor False; nothing was changed.
        """
        if type(ballot) is not bool:
            raise InvalidOperation(f"vote: expected True or False, got {shorten(ballot)}; withdraw takes a vote back")
        self._record("vote", ballot)

    def withdraw(self) -> None:
        """Takes this node's ballot back."""
        self._record("withdraw")

    def reset(self) -> None:
        """Takes back all ballots that this node has seen."""
        self._record("reset")
        self._value = (0, 0)

    def _parse(self, value: PlainValue) -> tuple[int, int]:
        if value is None:
            return 0, 0
        if isinstance(value, Mapping):
            yes, no = value.get("for"), value.get("against")
            if isinstance(yes, int) and isinstance(no, int):
                return yes, no
        raise ValueError(f"expected a tally for a Vote, got {shorten(value)}")
