"""`crdtmesh invoke`: one call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import JsonCommand, client_command, parse_json, split_name

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client


@click.command(cls=JsonCommand)
@click.argument("actor", metavar="[SYSTEM/]ACTOR")
@click.argument("action")
@click.argument("argument", metavar="[JSON]", required=False)
@click.option("--async", "is_async", is_flag=True, help="Return when the call is in the actor's queue.")
@client_command
async def command(
    client: Client, *, output: str, actor: str, action: str, argument: str | None, is_async: bool
) -> None:
    """Call an action of an actor, and print its answer as JSON.

    JSON is the argument: an object is keyword arguments, anything else the only one. A text needs its quotes:
    crdtmesh invoke home/shopping add '"milk"'
    """
    system, name = split_name(actor)
    value = None if argument is None else parse_json(argument)
    if is_async:
        await client.send(system, name, action, value)
        click.echo(json.dumps({"queued": True}) if output == "json" else "queued")
        return
    answer = await client.invoke(system, name, action, value)
    if isinstance(answer, bytes | bytearray):
        answer = answer.hex()
    click.echo(json.dumps({"answer": answer}) if output == "json" else json.dumps(answer, ensure_ascii=False))
