"""How far a range of seeds is: a bar on a terminal, a line now and then elsewhere, always on standard error."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from simulations.report import Report

LINES_EVERY_S: Final = 30.0


class SeedProgress:
    """Shows progress while it is open.

    Args:
        total: seeds to run now.
        clock_s: real time.
    """

    def __init__(self, total: int, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._done = 0
        self._clock_s = clock_s
        self._begun_s = self._told_s = clock_s()
        self._task: TaskID | None = None
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            # What is printed meanwhile goes above the bar.
            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        """Shows the bar."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes the bar away, whatever happened."""
        if self._bar is not None:
            self._bar.stop()

    @property
    def per_minute(self) -> float:
        """Seeds per minute of real time."""
        return self._done / max(1e-9, self._clock_s() - self._begun_s) * 60

    def update(self, report: Report) -> None:
        """One seed more has ended."""
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, description=self._text(report))
        elif self._clock_s() - self._told_s >= LINES_EVERY_S and self._done < self._total:
            self._told_s = self._clock_s()
            left_min = (self._total - self._done) / self.per_minute
            click.echo(f"{self._done}/{self._total} seeds, {self._text(report)}, {left_min:.0f} min left", err=True)

    def summary(self, jobs: int) -> str:
        """The pace of the whole, for planning."""
        elapsed_s = self._clock_s() - self._begun_s
        processes = "1 process" if jobs == 1 else f"{jobs} processes"
        seeds = "1 seed" if self._done == 1 else f"{self._done} seeds"
        return f"{seeds} in {elapsed_s:.0f} s with {processes}: {self.per_minute:.1f} seeds per minute"

    def _text(self, report: Report) -> str:
        return (
            f"{len(report.failed)} failed, {report.virtual_hours:.2f} virtual hours, "
            f"{self.per_minute:.1f} seeds per minute"
        )
