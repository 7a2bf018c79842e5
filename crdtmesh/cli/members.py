"""`crdtmesh members`: the membership table as one node sees it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import client_command
from crdtmesh.cli.tables import echo_table

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client


@click.command()
@client_command
async def command(client: Client, *, output: str) -> None:
    """List the members of the mesh."""
    members = await client.members()
    if output == "json":
        click.echo(json.dumps({"members": [dataclasses.asdict(member) for member in members]}))
        return
    rows = [
        (member.name, member.state, member.address, "yes" if member.is_linked else "no", str(member.incarnation))
        for member in members
    ]
    echo_table(("NAME", "STATE", "GOSSIP", "LINKED", "INCARNATION"), rows)
