"""`crdtmesh members`: the membership table as one node sees it, and the removal of a node that is gone."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import DefaultGroup, client_command
from crdtmesh.cli.tables import echo_table

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client


@click.group(name="members", cls=DefaultGroup, default="list")
def command() -> None:
    """List the members of the mesh, or remove one that will not come back."""


@command.command(name="list")
@client_command
async def list_members(client: Client, *, output: str) -> None:
    """List the members of the mesh; what `crdtmesh members` alone does."""
    members = await client.members()
    if output == "json":
        click.echo(json.dumps({"members": [dataclasses.asdict(member) for member in members]}))
        return
    rows = [
        (member.name, member.state, member.address, "yes" if member.is_linked else "no", str(member.incarnation))
        for member in members
    ]
    echo_table(("NAME", "STATE", "GOSSIP", "LINKED", "INCARNATION"), rows)


@command.command()
@click.argument("name")
@client_command
async def remove(client: Client, *, output: str, name: str) -> None:
    """Take a node that will not come back off the voter lists.

    Majorities count without it from then on. A node that is alive is refused: have it leave by itself. One that does
    come back catches up, and counts again.
    """
    systems = await client.remove_member(name)
    if output == "json":
        click.echo(json.dumps({"removed": bool(systems), "systems": systems}))
    else:
        click.echo(f"{name} counts no more in: {', '.join(systems)}" if systems else f"{name} is on no voter list")
