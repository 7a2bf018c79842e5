"""One window of a run as SVG, by hand: it needs no browser to be made, and any to be seen.

Each node is a lane. On it: bands of faults, the calls it was asked, stacked, and messages between lanes as arrows.
"""

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from simulations.pictures.picture import Arrow, Band, Moment, Operation, Picture
from simulations.pictures.window import ARROWS_MAX, Window, arrows_in
from simulations.scheduler import SECOND_NS

WIDTH: Final = 1600
LEFT: Final = 90
RIGHT: Final = 30
LANE: Final = 130
CALL_HEIGHT: Final = 9
CALL_ROWS: Final = 6
MOMENT_ROWS: Final = 4
ROW: Final = 13
FAILURES_SHOWN: Final = 6
CHARACTERS_MAX: Final = 190
TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)

COLOURS: Final = {
    "ok": "#2e8b57",
    "failed": "#9a9a9a",
    "unknown": "#e69f00",
    "open": "#b03060",
    "gossip": "#8fb3d9",
    "link": "#7b4fb5",
    "lost": "#d55e00",
    "broken": "#d00000",
}
BANDS: Final = {"down": "#f4c2c2", "cut": "#fde7b0", "slow": "#d9d9d9"}

_STYLE: Final = """
text { font: 11px "DejaVu Sans", Verdana, sans-serif; fill: #222; }
.title { font-size: 15px; font-weight: bold; } .node { font-size: 13px; font-weight: bold; }
.broken { fill: #d00000; font-weight: bold; } .small { font-size: 9px; fill: #555; }
"""


def svg_of(picture: Picture, window: Window) -> str:
    """Draws a window of a run."""
    return _Canvas(picture, window).draw()


class _Canvas:
    """One drawing: where things are, and the parts that are done."""

    def __init__(self, picture: Picture, window: Window) -> None:
        self._picture = picture
        self._window = window
        shown = min(FAILURES_SHOWN, len(picture.header.failures))
        self._top = 62 + ROW * shown + ROW * MOMENT_ROWS
        self._bottom = self._top + LANE * len(picture.nodes)
        self._lanes = {name: self._top + LANE * row + 22 for row, name in enumerate(picture.nodes)}
        self._scale = (WIDTH - LEFT - RIGHT) / (window.end_ns - window.begin_ns)

    def draw(self) -> str:
        height = self._bottom + 60
        size = f'width="{WIDTH}" height="{height}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height}">',
            f"<style>{_STYLE}</style><defs>",
            '<marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="5" markerHeight="5" orient="auto">',
            '<path d="M0,0 L6,3 L0,6 z" fill="context-stroke"/></marker>',
            f'<clipPath id="inside"><rect x="{LEFT}" width="{WIDTH - LEFT - RIGHT}" height="{height}"/></clipPath>',
            "</defs>",
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            *self._head(),
            *self._axis(),
            '<g clip-path="url(#inside)">',
            *self._bands(),
            *self._messages(),
            *self._calls(),
            *self._moments(),
            "</g>",
            *self._names(),
            *self._legend(),
            "</svg>",
        ]
        return "\n".join(parts)

    def _x(self, at_ns: int) -> float:
        return LEFT + (at_ns - self._window.begin_ns) * self._scale

    def _head(self) -> Iterator[str]:
        header, window = self._picture.header, self._window
        verdict = f"{len(header.failures)} broken promises" if header.failures else "all promises kept"
        yield _text(12, 22, f"seed {header.seed}: {verdict}", "title")
        span = f"{window.begin_ns / SECOND_NS:.3f} to {window.end_ns / SECOND_NS:.3f} s of "
        yield _text(12, 40, f"{span}{self._picture.end_ns / SECOND_NS:.1f} s; {header.replay}")
        for row, failure in enumerate(header.failures[:FAILURES_SHOWN]):
            more = f" (and {len(header.failures) - FAILURES_SHOWN} more)" if row == FAILURES_SHOWN - 1 else ""
            more = more if len(header.failures) > FAILURES_SHOWN else ""
            yield _text(12, 56 + ROW * row, failure[:CHARACTERS_MAX] + more, "broken")

    def _axis(self) -> Iterator[str]:
        span_s = (self._window.end_ns - self._window.begin_ns) / SECOND_NS
        step_s = next((tick for tick in TICKS if span_s / tick <= 20), TICKS[-1])
        number = int(self._window.begin_ns / SECOND_NS / step_s)
        while (at_s := number * step_s) * SECOND_NS <= self._window.end_ns:
            x = self._x(int(at_s * SECOND_NS))
            if x >= LEFT:
                yield _line(x, self._top - 4, x, self._bottom, "#eeeeee")
                yield _text(x - 8, self._bottom + 14, f"{at_s:g} s", "small")
            number += 1

    def _names(self) -> Iterator[str]:
        for name, y in self._lanes.items():
            yield _text(12, y + 4, name, "node")
            yield _line(LEFT, y, WIDTH - RIGHT, y, "#666666")

    def _bands(self) -> Iterator[str]:
        for band in self._picture.bands:
            if band.node in self._lanes and self._window.meets(band.begin_ns, band.end_ns):
                yield self._band(band)

    def _band(self, band: Band) -> str:
        # Thin ones over thick ones, so that a node that is down and cut off shows both.
        inset = {"down": 0, "cut": 5, "slow": 8}[band.kind]
        x, y = max(LEFT, self._x(band.begin_ns)), self._lanes[band.node] - 16 + inset
        width = max(2.0, min(WIDTH - RIGHT, self._x(band.end_ns)) - x)
        box = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{32 - 2 * inset}" fill="{BANDS[band.kind]}">'
        label = (
            _text(
                x + 3,
                self._lanes[band.node] + (13 if band.kind == "slow" else -6),
                band.text[: int(width / 6)],
                "small",
            )
            if width > 30
            else ""
        )
        return f"{box}<title>{escape(band.text)}</title></rect>{label}"

    def _messages(self) -> Iterator[str]:
        arrows, self._left_out = arrows_in(self._picture, self._window, ARROWS_MAX)
        for arrow in arrows:
            if arrow.source in self._lanes and arrow.target in self._lanes:
                yield self._arrow(arrow)

    def _arrow(self, arrow: Arrow) -> str:
        x, y, end = self._x(arrow.sent_ns), self._lanes[arrow.source], self._lanes[arrow.target]
        title = f"<title>{arrow.layer} {escape(arrow.what)}, {arrow.size} bytes, {arrow.source} to {arrow.target}"
        if arrow.came_ns is None:
            # Only the first part of the way: nobody knows where it was lost.
            end = y + (36 if end > y else -36)
            path = f'<path d="M{x:.1f},{y} L{x + 10:.1f},{end} m-3,-3 l6,6 m0,-6 l-6,6" stroke-dasharray="3 2"'
            return f'{path} stroke="{COLOURS["lost"]}" fill="none">{title}, lost</title></path>'
        width = 0.8 if arrow.layer == "gossip" else 1.2
        return (
            f'<path d="M{x:.1f},{y} L{self._x(arrow.came_ns):.1f},{end}" stroke="{COLOURS[arrow.layer]}" '
            f'stroke-width="{width}" stroke-opacity="0.7" fill="none" marker-end="url(#tip)">{title}</title></path>'
        )

    def _calls(self) -> Iterator[str]:
        rows: dict[str, list[float]] = {name: [0.0] * CALL_ROWS for name in self._lanes}
        inside = [each for each in self._picture.operations if self._window.meets(each.begin_ns, each.end_ns)]
        for operation in inside:
            if operation.node in rows:
                yield self._call(operation, rows[operation.node])

    def _call(self, operation: Operation, free: list[float]) -> str:
        begin = max(LEFT, self._x(operation.begin_ns))
        width = max(3.0, min(WIDTH - RIGHT, self._x(operation.end_ns)) - begin)
        is_broken = operation.mark == "broken"
        label = f"#{operation.number} {operation.text} -> {operation.outcome}"
        # A broken one is written out whatever it covers; others as far as the bar is long.
        room = 60 if is_broken else int(width / 5.5)
        row = next((row for row, until in enumerate(free) if until <= begin), CALL_ROWS - 1)
        free[row] = begin + width + 2 + (room * 5.5 if is_broken else 0)
        y = self._lanes[operation.node] + 18 + row * (CALL_HEIGHT + 5)
        edge = {"broken": COLOURS["broken"], "near": "#000000"}.get(operation.mark, "none")
        thick = 3 if is_broken else 1
        parts = [
            f'<rect x="{begin:.1f}" y="{y}" width="{width:.1f}" height="{CALL_HEIGHT}" rx="2" fill-opacity="0.75"',
            f' fill="{COLOURS[operation.outcome]}" stroke="{edge}" stroke-width="{thick}">',
            f"<title>{escape(f'{label} {operation.detail}')}</title></rect>",
        ]
        if room > 6:
            kind = "broken" if is_broken else "small"
            x = begin + width + 4 if is_broken else begin + 3
            parts.append(_text(x, y + 8, label[:room], kind))
        if operation.ran_on in self._lanes and is_broken:
            x = self._x(operation.ran_ns)
            parts.append(f'<circle cx="{x:.1f}" cy="{self._lanes[operation.ran_on]}" r="4" fill="{edge}"/>')
        return "".join(parts)

    def _moments(self) -> Iterator[str]:
        until = [0.0] * MOMENT_ROWS
        for moment in self._picture.moments:
            if self._window.meets(moment.at_ns, moment.at_ns):
                yield from self._moment(moment, until)

    def _moment(self, moment: Moment, until: list[float]) -> Iterator[str]:
        x = self._x(moment.at_ns)
        lane = self._lanes.get(moment.node)
        if moment.kind in ("member", "start") and lane is not None:
            title = f"<title>{escape(moment.text)}</title>"
            yield f'<circle cx="{x:.1f}" cy="{lane}" r="2.5" fill="#1f4e79">{title}</circle>'
            return
        colour = {"heal": "#2e8b57"}.get(moment.kind, "#aa0000")
        row = next((row for row, free in enumerate(until) if free <= x), MOMENT_ROWS - 1)
        text = f"{moment.text} {moment.node}".strip()[:60]
        until[row] = x + 6 * len(text) + 10
        y = self._top - 8 - ROW * row
        yield _line(x, y, x, self._bottom if lane is None else lane + 8, colour, dash="2 3")
        yield _text(x + 3, y, text, "small")

    def _legend(self) -> Iterator[str]:
        y, x = self._bottom + 34, 12.0
        entries = [(f"call {name}", COLOURS[name]) for name in ("ok", "failed", "unknown", "open")]
        entries += [(f"message of {name}", COLOURS[name]) for name in ("gossip", "link")]
        entries += [("lost message", COLOURS["lost"]), ("call of a broken promise", COLOURS["broken"])]
        entries += [("node down", BANDS["down"]), ("cut off", BANDS["cut"]), ("held up, disk full", BANDS["slow"])]
        for text, colour in entries:
            yield f'<rect x="{x}" y="{y - 9}" width="12" height="10" fill="{colour}"/>'
            yield _text(x + 16, y, text)
            x += 34 + 6.4 * len(text)
        notes = [f"{count} {name} are not in the trace" for name, count in self._picture.header.left_out.items()]
        if self._left_out:
            notes.insert(0, f"{self._left_out} messages of this window are not drawn; choose a narrower one")
        yield _text(12, y + 18, "; ".join(notes))


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    mark = f" class={quoteattr(kind)}" if kind else ""
    return f'<text x="{x:.1f}" y="{y}"{mark}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}" stroke="{colour}"{dashes}/>'
