"""Local health: how much this node should doubt itself before it doubts others.

Source: Lifeguard (arXiv:1707.00788), section on the local health multiplier.
"""


class Awareness:
    """A score from 0 (healthy) to `maximum - 1`; a probe round waits score + 1 intervals.

    Args:
        maximum: one more than the highest score.
        is_enabled: false keeps the score at 0, which is plain SWIM.
    """

    __slots__ = ("_maximum", "score")

    def __init__(self, maximum: int, *, is_enabled: bool = True) -> None:
        self._maximum = maximum if is_enabled else 1
        self.score = 0

    def add(self, delta: int) -> None:
        """Worsens the score by `delta`, or betters it by a negative one; it stays within its bounds."""
        self.score = min(max(self.score + delta, 0), self._maximum - 1)

    def scale_ns(self, interval_ns: int) -> int:
        """An interval stretched by the score."""
        return interval_ns * (self.score + 1)
