"""Timers as data: a key and a due time, armed, re-armed and cancelled without callbacks.

Each arming has its own epoch, so an entry that was cancelled or replaced is recognised as stale when it comes up.
"""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_STALE_MIN = 64


class Timers(Generic[K]):
    """Due times by key; equal due times come up in the order of arming."""

    __slots__ = ("_armed", "_epoch", "_heap")

    def __init__(self) -> None:
        self._armed: dict[K, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, K]] = []
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, key: K, due_ns: int) -> None:
        """Sets the due time of `key`, replacing an earlier one.

        Complexity: O(log armed), amortised.
        """
        self._epoch += 1
        self._armed[key] = (due_ns, self._epoch)
        heapq.heappush(self._heap, (due_ns, self._epoch, key))
        if len(self._heap) > _STALE_MIN + 2 * len(self._armed):
            self._heap = [(due, epoch, key) for key, (due, epoch) in self._armed.items()]
            heapq.heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Forgets a key; one that is not armed is no error."""
        self._armed.pop(key, None)

    def is_armed(self, key: K) -> bool:
        """Whether the key has a due time."""
        return key in self._armed

    def next_due_ns(self) -> int | None:
        """The earliest due time."""
        self._skip_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> tuple[K, int] | None:
        """Removes and returns the earliest key due at or before now, and when it was due."""
        self._skip_stale()
        if not self._heap or self._heap[0][0] > now_ns:
            return None
        due_ns, _, key = heapq.heappop(self._heap)
        del self._armed[key]
        return key, due_ns

    def _skip_stale(self) -> None:
        heap, armed = self._heap, self._armed
        while heap and armed.get(heap[0][2]) != heap[0][:2]:
            heapq.heappop(heap)
