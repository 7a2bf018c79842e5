"""`python -m simulations show TRACE`: draws a run."""

from pathlib import Path
from typing import Final

import click

from simulations.pictures.page import page_of
from simulations.pictures.picture import picture_of
from simulations.pictures.svg import svg_of
from simulations.pictures.window import window_of
from simulations.tracefile import read

SUFFIXES: Final = {".svg": svg_of, ".html": page_of}


@click.command()
@click.argument("trace", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="FILE.svg or FILE.html; beside the trace.")
@click.option("--around", metavar="CALL|TIME", help="Number of a call, or virtual seconds such as 12.5s.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Width; 4, or all if nothing is broken.")
def show(trace: Path, out: Path | None, around: str | None, seconds: float | None) -> None:
    """Draws a trace: nodes, messages, faults, calls, and the call that broke a promise.

    An SVG shows one window; a page of HTML has the whole run, begins at that window, zooms and filters.
    """
    out = out or trace.with_suffix(".html")
    if out.suffix not in SUFFIXES:
        raise click.UsageError(f"expected --out FILE.svg or FILE.html, got {str(out)[-64:]!r}")
    try:
        picture = picture_of(*read(trace))
        window = window_of(picture, around, seconds)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    out.write_text(SUFFIXES[out.suffix](picture, window), encoding="utf-8")
    click.echo(
        f"{out}: {len(picture.nodes)} nodes, {len(picture.arrows)} messages, {len(picture.operations)} calls, "
        f"{len(picture.broken())} of them broken"
    )
