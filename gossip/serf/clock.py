"""The logical clock that puts the messages of a Serf cluster in order."""

TIME_MAX = 2**63
"""Times are u64 on the wire. Those in the upper half are refused, so a forged one can't make anyone's clock wrap."""

TIME_CLAIM_MAX = 2**62
"""The highest time believed of anyone: above it there is room for more messages of our own than anybody can send."""

TIME_JUMP_MAX = 2**32
"""How far ahead of ours a time may be. A split cluster needs 50 days of 1,000 events a second to drift that far apart;
who forges times needs a thousand million messages to use up the range."""


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

    def allows(self, time: int) -> bool:
        """Whether a time of somebody else is plausible; others are to be dropped with the message that bears them."""
        return time <= min(self.time + TIME_JUMP_MAX, TIME_CLAIM_MAX)

    def witness(self, time: int) -> None:
        """Moves past a time that somebody else used."""
        self.time = max(self.time, time + 1)
