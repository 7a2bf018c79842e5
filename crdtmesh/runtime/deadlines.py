"""Which call's deadline is next, in O(log n), without an entry's removal when its call ends in time."""

import heapq
from collections.abc import Iterator, Mapping

from crdtmesh.runtime.turn import Turn

__all__ = ["Deadlines"]


class Deadlines:
    """A heap of (deadline, turn number); what has ended stays until it comes up, or until it is most of the heap."""

    __slots__ = ("_heap", "_live")

    def __init__(self, live: Mapping[int, Turn]) -> None:
        self._heap: list[tuple[int, int]] = []
        self._live = live

    def add(self, deadline_ns: int, number: int) -> None:
        """Adds a turn. Complexity: O(1) for deadlines that grow, O(log n) otherwise, amortised."""
        heap = self._heap
        heapq.heappush(heap, (deadline_ns, number))
        if len(heap) & 0xFFF == 0 and len(heap) > 2 * len(self._live) + 4096:
            live = self._live
            heap[:] = [item for item in heap if item[1] in live]
            heapq.heapify(heap)

    def due(self, now_ns: int) -> Iterator[Turn]:
        """Takes out the turns whose deadline is at or before now."""
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            turn = self._live.get(heapq.heappop(heap)[1])
            if turn is not None:
                yield turn

    def next_ns(self) -> int | None:
        """The next deadline of a turn that has not ended. Complexity: O(log n) amortised."""
        heap, live = self._heap, self._live
        while heap and heap[0][1] not in live:
            heapq.heappop(heap)
        return heap[0][0] if heap else None
