"""The logical clock that puts the messages of a Serf cluster in order."""

TIME_MAX = 2**63
"""Times are u64 on the wire. Those in the upper half are refused, so a forged one can't make anyone's clock wrap."""


class LamportClock:
    """Counts what was seen; starts at 1.

    Source: Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System" (1978).
    """

    def __init__(self) -> None:
        self.time = 1

    def increment(self) -> int:
        """The time before, for a message that leaves now; the clock goes on by one."""
        self.time += 1
        return self.time - 1

    def witness(self, time: int) -> None:
        """Moves past a time that somebody else used."""
        self.time = max(self.time, time + 1)
