"""Calls that wait for a place.

A call waits when the owner of its actor is known but out of reach, or does not see itself as the owner: views of the
members differ for a moment, a link is being made. It is placed again every `RETRY_NS`, nothing having run so far, until
it has waited for `PLACE_WAIT_NS`; then its caller is told.
"""

from heapq import heappop, heappush
from typing import Final

from crdtmesh.runtime.turn import Turn, TurnPhase

__all__ = ["PLACE_WAIT_NS", "RETRY_NS", "Moves"]

RETRY_NS: Final = 100_000_000
"""A tenth of a second: a view is a gossip interval (0.2 s) behind, a link a round trip."""

PLACE_WAIT_NS: Final = 3_000_000_000
"""What dissemination takes on a cluster of hundreds, and far below any caller's patience."""


class Moves:
    """What waits for a place."""

    __slots__ = ("_live", "_waiting")

    def __init__(self, live: dict[int, Turn]) -> None:
        self._live = live
        self._waiting: list[tuple[int, int]] = []

    def wait(self, turn: Turn, now_ns: int) -> bool:
        """Has a call wait for its next try; False when it has waited for long enough."""
        if not turn.place_until_ns:
            turn.place_until_ns = now_ns + PLACE_WAIT_NS
        if now_ns >= turn.place_until_ns:
            return False
        turn.phase = TurnPhase.QUEUED
        turn.tried = ()
        heappush(self._waiting, (now_ns + RETRY_NS, turn.number))
        return True

    def due(self, now_ns: int) -> list[Turn]:
        """The calls whose next try is due; those that ended meanwhile are gone."""
        turns = []
        while self._waiting and self._waiting[0][0] <= now_ns:
            turn = self._live.get(heappop(self._waiting)[1])
            if turn is not None and turn.phase is TurnPhase.QUEUED and turn.caller is not None:
                turns.append(turn)
        return turns

    def next_ns(self) -> int | None:
        """When there is something to do."""
        return self._waiting[0][0] if self._waiting else None
