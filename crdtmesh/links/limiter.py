"""A bound on log lines that a peer can cause."""

from typing import Final

__all__ = ["LogLimiter"]

_WINDOW_NS: Final = 10_000_000_000


class LogLimiter:
    """Permits a number of lines per ten seconds and counts the rest."""

    __slots__ = ("_left", "_lines", "_suppressed", "_window_end_ns")

    def __init__(self, lines: int = 10) -> None:
        self._lines = lines
        self._left = lines
        self._suppressed = 0
        self._window_end_ns = 0

    def permit(self, *, now_ns: int) -> int | None:
        """Whether a line may be written now.

        Returns:
            None when not; else the number of lines suppressed since the last permitted one.
        """
        if now_ns >= self._window_end_ns:
            self._window_end_ns = now_ns + _WINDOW_NS
            self._left = self._lines
        if not self._left:
            self._suppressed += 1
            return None
        self._left -= 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
