"""Which part of a run a picture shows."""

import re
from dataclasses import dataclass
from typing import Final

from simulations.pictures.picture import Arrow, Picture
from simulations.scheduler import SECOND_NS

BEFORE: Final = 0.25
"""Part of the width that lies before what the picture is about."""

ARROWS_MAX: Final = 1_500
"""More cover each other."""


@dataclass(frozen=True, slots=True)
class Window:
    """An interval of virtual nanoseconds."""

    begin_ns: int
    end_ns: int

    def meets(self, begin_ns: int, end_ns: int) -> bool:
        """Whether an interval, or an instant, is at least partly inside."""
        return begin_ns <= self.end_ns and end_ns >= self.begin_ns


def window_of(picture: Picture, around: str | None, seconds: float | None) -> Window:
    """The window that was asked for.

    Args:
        picture: of the whole run.
        around: `7` for call 7, `12.5s` for an instant; None for the first call that broke a promise, or for the whole
            run if none did.
        seconds: width; None for 4 around something, and for the whole run otherwise.

    Raises:
        ValueError: there is no such call, or it is neither.
    """
    if around is None:
        broken = picture.broken()
        if not broken:
            return _clipped(picture, 0, int(seconds * SECOND_NS) if seconds else picture.end_ns)
        centre_ns = broken[0].begin_ns
    elif re.fullmatch(r"\d+(\.\d+)?s", around):
        centre_ns = int(float(around[:-1]) * SECOND_NS)
    elif around.isdigit():
        begins = [operation.begin_ns for operation in picture.operations if operation.number == int(around)]
        if not begins:
            raise ValueError(f"no call {around} in this trace; it has {len(picture.operations)} calls")
        centre_ns = begins[0]
    else:
        raise ValueError(f"expected the number of a call, or seconds such as 12.5s, got {around!r:.64}")
    width_ns = int((seconds or 4.0) * SECOND_NS)
    return _clipped(picture, centre_ns - int(BEFORE * width_ns), width_ns)


def arrows_in(picture: Picture, window: Window, most: int) -> tuple[list[Arrow], int]:
    """The messages to draw, and how many are left out: those nearest to the broken call, or to the begin, are kept."""
    inside = [arrow for arrow in picture.arrows if window.meets(arrow.sent_ns, arrow.came_ns or arrow.sent_ns)]
    centre_ns = window.begin_ns
    for operation in picture.broken():
        if window.meets(operation.begin_ns, operation.begin_ns):
            centre_ns = operation.begin_ns
            break
    nearest = sorted(inside, key=lambda arrow: abs(arrow.sent_ns - centre_ns))[:most]
    return sorted(nearest, key=lambda arrow: arrow.sent_ns), len(inside) - len(nearest)


def _clipped(picture: Picture, begin_ns: int, width_ns: int) -> Window:
    begin_ns = max(0, min(begin_ns, picture.end_ns - width_ns))
    return Window(begin_ns, max(begin_ns + 1, min(picture.end_ns, begin_ns + width_ns)))
