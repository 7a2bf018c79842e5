"""`crdtmesh actors`: what can be called, and instances of templates."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import client_command, split_name
from crdtmesh.cli.tables import echo_table
from crdtmesh.cli.values import payload_json

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client
    from crdtmesh.sdk.subscriptions import ChannelMessage


@click.group(name="actors")
def command() -> None:
    """List the actors that live nodes offer; spawn, stop and delete them; follow their channels."""


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


@command.command(name="stop")
@click.argument("actor", metavar="[SYSTEM/]ACTOR")
@click.option("--parent", default="", metavar="TEMPLATE", help="Of an instance that was not spawned.")
@client_command
async def stop(client: Client, *, output: str, actor: str, parent: str) -> None:
    """Take an actor out of memory on all nodes; its timers rest until it is called again."""
    system, name = split_name(actor)
    (stopped,) = await client.stop(system, name, parent=parent)
    click.echo(json.dumps({"stopped": stopped}) if output == "json" else "stopped" if stopped else "not in memory")


@command.command(name="subscribe")
@click.argument("topic", metavar="[SYSTEM/]TOPIC")
@click.option("--count", type=click.IntRange(min=1), default=None, help="End after so many messages.")
@client_command
async def subscribe(client: Client, *, output: str, topic: str, count: int | None) -> None:
    """Print what actors broadcast on a channel, until interrupted."""
    system, name = split_name(topic)
    async with contextlib.aclosing(client.subscribe(system, name)) as messages:
        async for message in messages:
            _echo_message(message, as_json=output == "json")
            count = None if count is None else count - 1
            if count == 0:
                return


def _echo_message(message: ChannelMessage, *, as_json: bool) -> None:
    sender = f"{message.publisher.system}/{message.publisher.name}"
    if as_json:
        line = {"value": payload_json(message.value), "publisher": sender, "lagged": message.lagged}
        click.echo(json.dumps(line))
        return
    if message.lagged:
        click.echo(f"missed {message.lagged} messages", err=True)
    click.echo(f"{sender}  {json.dumps(payload_json(message.value))}")
