"""`crdtmesh invoke`: one call."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from crdtmesh.cli.client import JsonCommand, client_command, parse_json, split_name
from crdtmesh.cli.values import payload_json
from crdtmesh.errors import ConfigError

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client


@click.command(cls=JsonCommand)
@click.argument("actor", metavar="[SYSTEM/]ACTOR")
@click.argument("action")
@click.argument("argument", metavar="[JSON]", required=False)
@click.option("--async", "is_async", is_flag=True, help="Return when the call is in the actor's queue.")
@click.option("--at", metavar="TIME", help="Make the call then: ISO 8601, in local time unless it has a zone.")
@click.option("--delay", type=click.FloatRange(min=0), metavar="SECONDS", help="Make the call so much later.")
@click.option(
    "--parent", default="", metavar="TEMPLATE", help="Which the actor is an instance of; spawns it if need be."
)
@click.option(
    "--operation-id", default="", metavar="ID", help="What was done under it is not done again; a repeat prints null."
)
@click.option("--write", metavar="LEVEL", help="local, to(n), majority or all: what the answer waits for.")
@client_command
async def command(  # noqa: PLR0913 - one for each option
    client: Client,
    *,
    output: str,
    actor: str,
    action: str,
    argument: str | None,
    is_async: bool,
    at: str | None,
    delay: float | None,
    parent: str,
    operation_id: str,
    write: str | None,
) -> None:
    """Call an action of an actor, and print its answer as JSON.

    A protobuf message is printed with its type as "@type" beside its fields; where its type is not known here, with
    "base64", its bytes. An answer of bytes is hexadecimal.

    JSON is the argument: an object is keyword arguments, anything else the only one. A text needs its quotes:
    crdtmesh invoke home/shopping add '"milk"'
    """
    system, name = split_name(actor)
    value = None if argument is None else parse_json(argument)
    if is_async or at is not None or delay is not None:
        if write is not None or operation_id:
            words = "are for calls that wait for their answer; leave out --async, --at and --delay"
            raise ConfigError(f"--write and --operation-id {words}")
        await _send(client, (system, name, parent), action, value, at=at, delay=delay)
        word = "queued" if at is None and delay is None else "scheduled"
        click.echo(json.dumps({word: True}) if output == "json" else word)
        return
    try:
        answer = await client.invoke(system, name, action, value, parent=parent, write=write, operation_id=operation_id)
    except ValueError as error:
        raise ConfigError(f"--write: {error}") from None
    answer = payload_json(answer)
    click.echo(json.dumps({"answer": answer}) if output == "json" else json.dumps(answer, ensure_ascii=False))


async def _send(
    client: Client, actor: tuple[str, str, str], action: str, value: Any, *, at: str | None, delay: float | None
) -> None:
    system, name, parent = actor
    try:
        # A person means the clock on the wall; the client wants to know which one.
        time = None if at is None else datetime.fromisoformat(at).astimezone()
        await client.send(system, name, action, value, parent=parent, at=time, delay=delay)
    except ValueError as error:
        raise ConfigError(f"--at or --delay: {error}") from None
