"""Plain tables: columns padded with spaces, so that `awk` and people read the same."""

from __future__ import annotations

from collections.abc import Sequence

import click


def echo_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows under a head."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
