"""What the demo shows while it runs: a live table on a terminal, plain lines otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType

Kind = Literal["table", "lines", "silent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One node at one moment.

    Attributes:
        lag: how many events it is behind the furthest node.
        lost: promises that its state breaks; None until the end, when all nodes have had time to agree.
    """

    node: str
    state: str
    members: int
    calls_per_s: float
    acknowledged: int
    unknown: int
    refused: int
    lag: int
    lost: int | None = None


class Display(Protocol):
    """Where the demo's progress goes."""

    def say(self, text: str) -> None:
        """One event."""

    def show(self, rows: Sequence[Row]) -> None:
        """All nodes, about once a second."""

    def close(self) -> None:
        """No more of either."""


def open_display(kind: Kind) -> Display:
    """The display of that kind."""
    if kind == "table":
        return TableDisplay()
    return LineDisplay() if kind == "lines" else SilentDisplay()


class SilentDisplay:
    """Events on standard error, for `--format json`."""

    def say(self, text: str) -> None:
        """One event."""
        print(text, file=sys.stderr, flush=True)

    def show(self, rows: Sequence[Row]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineDisplay:
    """One line for each event, and one for all nodes every second."""

    def say(self, text: str) -> None:
        """One event."""
        print(text, flush=True)

    def show(self, rows: Sequence[Row]) -> None:
        """One line."""
        parts = [
            f"{row.node}: {row.state}, {row.members} members, {row.calls_per_s:.0f} calls/s, lag {row.lag}, "
            f"unknown {row.unknown}, lost {_lost(row)}"
            for row in rows
        ]
        print("  " + " | ".join(parts), flush=True)

    def close(self) -> None:
        """Nothing."""


class TableDisplay:
    """A table that is redrawn in place, with the last events under it."""

    EVENTS_SHOWN = 6

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4)
        self._live.start()
        self._rows: Sequence[Row] = ()
        self._events: list[str] = []

    def say(self, text: str) -> None:
        """One event."""
        self._events.append(text)
        self._draw()

    def show(self, rows: Sequence[Row]) -> None:
        """The table anew."""
        self._rows = rows
        self._draw()

    def close(self) -> None:
        """Leaves the last table on the screen."""
        with contextlib.suppress(Exception):  # a terminal that went away must not hide the demo's result
            self._live.stop()

    def _draw(self) -> None:
        self._live.update(self._picture())

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title="crdtmesh demo")
        for head in ("node", "state", "members", "calls/s", "acknowledged", "unknown", "refused", "lag", "lost"):
            table.add_column(head, justify="left" if head in ("node", "state") else "right")
        for row in self._rows:
            table.add_row(
                row.node,
                Text(row.state, style="green" if row.state == "ready" else "red"),
                *(str(row.members), f"{row.calls_per_s:.0f}", str(row.acknowledged), str(row.unknown)),
                *(str(row.refused), str(row.lag), _lost(row)),
            )
        return Group(table, *(Text(event) for event in self._events[-self.EVENTS_SHOWN :]))


def _lost(row: Row) -> str:
    return "-" if row.lost is None else str(row.lost)
