"""How nodes know each other: an authority, a certificate for each and a gossip key, made by the commands of a user.

The one place that decides it. The key of the authority stays in the folder; hosts share the folder, as they share a
machine, and each reads its own certificate there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path


async def make_identity(folder: Path, cluster: str, nodes: Sequence[str]) -> tuple[str, ...]:
    """Makes everything that nodes of a cluster need.

    Returns:
        The arguments of `crdtmesh up` by which a node finds it.

    Raises:
        RuntimeError: a command failed; with what it said.
    """
    place = ("--cluster", cluster, "--identity-dir", str(folder))
    await _crdtmesh("certs", "init", *place)
    await asyncio.gather(*(_crdtmesh("certs", "issue", node, *place) for node in nodes))
    return ("--identity-dir", str(folder))


async def _crdtmesh(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crdtmesh.cli", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"crdtmesh {' '.join(arguments)}: {said.decode(errors='replace').strip()}")
