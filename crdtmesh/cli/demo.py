"""`crdtmesh demo`: three nodes on this machine, one killed and restarted, and proof that all agree."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from crdtmesh.cli.options import format_option

if TYPE_CHECKING:
    from crdtmesh.demo.display import Kind
    from crdtmesh.demo.run import Verdict

LOST_SHOWN_MAX: Final = 20


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(min=5), default=20.0, show_default=True, help="How long the shops call."
)
@click.option("--seed", type=int, help="Of what the shops do. Default: a random one, which is printed.")
@click.option("--keep", is_flag=True, help="Keep the data and the logs.")
@format_option
def command(output: str, seconds: float, seed: int | None, keep: bool) -> None:
    """Run three nodes on this machine, kill one, and prove that all agree.

    Three shops share stock levels, shopping lists and prices. Each calls its own node. One node is killed (SIGKILL)
    under load and restarted with its data. At the end the values on every node are compared with what the clients were
    told.

    Exit code 1: an acknowledged update is missing, or nodes differ.
    """
    from crdtmesh.demo.run import DemoFailed
    from crdtmesh.errors import StartError

    folder = Path(tempfile.mkdtemp(prefix="crdtmesh-demo-"))
    seed = secrets.randbits(32) if seed is None else seed
    kind: Kind = "silent" if output == "json" else "table" if sys.stdout.isatty() else "lines"
    try:
        verdict = asyncio.run(_run(folder, seconds, kind, seed))
    except (DemoFailed, StartError) as error:
        keep = True
        click.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        raise SystemExit(130) from None
    else:
        keep = keep or not verdict.is_kept
        _report(verdict, output, seed)
        raise SystemExit(0 if verdict.is_kept else 1)
    finally:
        if keep:
            click.echo(f"data and logs are in {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(folder: Path, seconds: float, kind: Kind, seed: int) -> Verdict:
    from crdtmesh.demo.display import open_display
    from crdtmesh.demo.run import Demo

    display = open_display(kind)
    try:
        return await Demo(folder, seconds=seconds, display=display, seed=seed).run()
    finally:
        display.close()


def _report(verdict: Verdict, output: str, seed: int) -> None:
    if output == "json":
        click.echo(json.dumps(verdict.line()))
        return
    for line in verdict.lost[:LOST_SHOWN_MAX]:
        click.echo(f"LOST {line}")
    if len(verdict.lost) > LOST_SHOWN_MAX:
        click.echo(f"LOST {len(verdict.lost) - LOST_SHOWN_MAX} more")
    click.echo(
        f"{verdict.calls} calls: {verdict.acknowledged} acknowledged, {verdict.unknown} unknown, "
        f"{verdict.refused} refused (seed {seed})"
    )
    if verdict.converged:
        click.echo(f"all {verdict.nodes} nodes held equal bytes {verdict.convergence_s:.2f} s after the last call")
    else:
        click.echo(f"the nodes still differed {verdict.convergence_s:.0f} s after the last call")
    kept = "every acknowledged update is on every node" if verdict.is_kept else "a promise was broken"
    click.echo(f"{verdict.restarted} node killed and restarted; {kept}")
