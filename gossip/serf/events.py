"""Which messages with a time were seen lately, so that each one counts once and spreads on once."""

from collections.abc import Hashable
from typing import Generic, TypeVar

RING_TIMES = 512
"""Times remembered; what is older is dropped unseen. The value of the other implementation."""

SAME_TIME_MAX = 64
"""Messages of one time. Two share a time when their senders had not heard of each other: 64 at once are plenty."""

T = TypeVar("T", bound=Hashable)


class Ring(Generic[T]):
    """The recent messages by their time."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[int, dict[T, None]]] = {}
        self.minimum = 0

    def add(self, time: int, item: T, *, clock: int) -> bool:
        """True if the item is new; what is older than the ring, or than the minimum, is not.

        Complexity: O(1).
        """
        if time < self.minimum or (clock > RING_TIMES and time < clock - RING_TIMES):
            return False
        index = time % RING_TIMES
        slot = self._slots.get(index)
        if slot is None or slot[0] < time:
            self._slots[index] = (time, {item: None})
            return True
        if slot[0] > time or item in slot[1] or len(slot[1]) >= SAME_TIME_MAX:
            return False
        slot[1][item] = None
        return True

    def items(self) -> list[tuple[int, T]]:
        """Everything kept, by time."""
        return [
            (time, item) for time, items in sorted(self._slots.values(), key=lambda slot: slot[0]) for item in items
        ]
