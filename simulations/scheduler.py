"""Virtual time: one clock, one heap of events, and named random streams split from one seed.

An event is what happens at an instant; two events of one instant happen in the order in which they were scheduled.
Nothing is ever cancelled: whoever schedules knows by an epoch of its own whether a late event still means anything.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from typing import Final

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000

Action = Callable[[], object]


class Scheduler:
    """The clock of one run. It moves only inside `run_until`, from event to event."""

    __slots__ = ("_heap", "_sequence", "events_run", "now_ns")

    def __init__(self) -> None:
        self.now_ns = 0
        self.events_run = 0
        # The sequence number makes every entry different, so actions are never compared.
        self._heap: list[tuple[int, int, Action]] = []
        self._sequence = 0

    def at(self, time_ns: int, action: Action) -> None:
        """Schedules an action; a time that has passed means now, behind what is already due. Complexity: O(log n)."""
        self._sequence += 1
        heapq.heappush(self._heap, (max(time_ns, self.now_ns), self._sequence, action))

    def after(self, delay_ns: int, action: Action) -> None:
        """Schedules an action `delay_ns` from now."""
        self.at(self.now_ns + delay_ns, action)

    def run_until(self, time_ns: int) -> None:
        """Runs every event due at or before `time_ns`, those scheduled meanwhile too, and leaves the clock there."""
        heap = self._heap
        while heap and heap[0][0] <= time_ns:
            self.now_ns, _, action = heapq.heappop(heap)
            self.events_run += 1
            action()
        self.now_ns = max(self.now_ns, time_ns)


class SeedStreams:
    """Independent random streams, each a function of the seed and its own name.

    A new draw in one stream, or a new stream, leaves all others as they were: a seed that failed before a change to the
    workload still sees the same network after it.
    """

    __slots__ = ("_seed",)

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def stream(self, *name: str | int) -> random.Random:
        """The stream of this name, from its beginning. Equal in every process: `hash()` has no part in it."""
        text = "/".join(str(part) for part in (self._seed, *name))
        return random.Random(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=32).digest(), "big"))
