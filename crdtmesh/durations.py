"""Lengths of time as people write them, `90s`, `15m`, `1.5h`; and how long an update may wait for the disk."""

import re
from typing import Final

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FORM: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)")

SYNC_MS: Final = 0
NEVER_MS: Final = -1
"""As the interval of the modes `sync` and `none`."""

INTERVAL_DEFAULT_MS: Final = 100
INTERVAL_MS_MAX: Final = 60_000

_INTERVAL: Final = re.compile(r"interval(?:\((\d{1,5})\))?")


def duration_ms(text: str) -> int:
    """Milliseconds of a length of time: a number and one of ms, s, m, h, d.

    Raises:
        ValueError: says what is expected.
    """
    match = _FORM.fullmatch(text)
    length = round(float(match[1]) * _UNITS_MS[match[2]]) if match else 0
    if length < 1:
        raise ValueError(f"expected a length of time such as 90s, 15m, 12h or 7d, got {text!r:.64}")
    return length


def durability_ms(text: str) -> int:
    """The interval of a mode as people write it.

    Raises:
        ValueError: says what is expected.
    """
    if text in ("sync", "none"):
        return SYNC_MS if text == "sync" else NEVER_MS
    match = _INTERVAL.fullmatch(text)
    interval_ms = int(match[1] or INTERVAL_DEFAULT_MS) if match else 0
    if not 0 < interval_ms <= INTERVAL_MS_MAX:
        raise ValueError(f"expected sync, interval(1) to interval({INTERVAL_MS_MAX}), or none, got {text!r:.64}")
    return interval_ms
