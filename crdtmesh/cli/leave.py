"""`crdtmesh leave`: graceful leave, then the node stops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import client_command

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client


@click.command()
@client_command
async def command(client: Client, *, output: str) -> None:
    """Leave the mesh gracefully and stop the node."""
    await client.leave()
    click.echo(json.dumps({"left": True}) if output == "json" else "the node has left the mesh and stops")
