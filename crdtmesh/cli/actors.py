"""`crdtmesh actors`: what can be called, and instances of templates."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import client_command, split_name
from crdtmesh.cli.tables import echo_table

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client


@click.group(name="actors")
def command() -> None:
    """List the actors that live nodes offer; spawn and delete instances."""


@command.command(name="list")
@click.argument("system", default="")
@client_command
async def list_actors(client: Client, *, output: str, system: str) -> None:
    """The actors of a system, or of all."""
    actors = await client.actors(system)
    if output == "json":
        click.echo(json.dumps({"actors": [dataclasses.asdict(actor) for actor in actors]}))
        return
    rows = [
        (f"{actor.system}/{actor.name}", actor.state_type or "-", ",".join(actor.actions), ",".join(actor.nodes))
        for actor in actors
    ]
    echo_table(("ACTOR", "STATE", "ACTIONS", "NODES"), rows)


@command.command(name="spawn")
@click.argument("template", metavar="[SYSTEM/]TEMPLATE")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@client_command
async def spawn(client: Client, *, output: str, template: str, names: tuple[str, ...]) -> None:
    """Spawn instances of a template; later calls know them by their names alone."""
    system, parent = split_name(template)
    await client.spawn(system, *names, parent=parent)
    click.echo(json.dumps({"spawned": list(names)}) if output == "json" else f"spawned {len(names)}")


@command.command(name="delete")
@click.argument("actor", metavar="[SYSTEM/]ACTOR")
@click.option("--parent", default="", metavar="TEMPLATE", help="Of an instance that was not spawned.")
@client_command
async def delete(client: Client, *, output: str, actor: str, parent: str) -> None:
    """Delete an actor's state, and that it was spawned; called again, it begins anew."""
    system, name = split_name(actor)
    (found,) = await client.delete(system, name, parent=parent)
    click.echo(json.dumps({"found": found}) if output == "json" else "deleted" if found else "nothing to delete")
