"""Lengths of time as people write them: `90s`, `15m`, `1.5h`."""

import re
from typing import Final

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FORM: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)")


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
