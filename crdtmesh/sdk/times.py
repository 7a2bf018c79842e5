"""When a call for later is to be made, as it travels."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

__all__ = ["scheduled_ms"]

DELAY_S_MAX: Final = 366 * 24 * 3_600.0
"""Further away than that needs a time: on the wire, what is below 10^11 ms is a delay."""


def scheduled_ms(at: datetime | None, delay: float | None) -> int:
    """Spawn's `scheduled_to`: Unix milliseconds for a time, milliseconds from now for a delay, 0 for neither.

    Args:
        at: a time with a time zone.
        delay: in seconds.

    Raises:
        ValueError: both are given, the time has no zone, or the delay is negative or longer than a year.
    """
    if at is not None and delay is not None:
        raise ValueError("expected at or delay, got both")
    if at is not None:
        if at.tzinfo is None:
            raise ValueError(f"at: expected a time with a time zone, got {at}; such as datetime.now(UTC)")
        return math.ceil(at.timestamp() * 1_000)
    if delay is None:
        return 0
    if not 0 <= delay <= DELAY_S_MAX:
        raise ValueError(f"delay: expected 0 to {DELAY_S_MAX:.0f} s, got {delay}; use at for later times")
    return max(1, math.ceil(delay * 1_000))
