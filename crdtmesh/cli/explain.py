"""`crdtmesh state explain`: what a node knows of one key."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import client_command, split_name
from crdtmesh.cli.tables import echo_table
from crdtmesh.cli.values import plain_json, shown

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client


@click.command(name="explain")
@click.argument("key", metavar="[SYSTEM/]KEY")
@click.option("--type", "type_name", default="", help="Such as PNCounter; needed when the key has none or several.")
@client_command
async def command(client: Client, *, output: str, key: str, type_name: str) -> None:
    """Print what the node knows of one entry: store part, dots, contexts, last writers.

    The fingerprint is equal on nodes that hold the same; ask two of them by --endpoint. A replica id is one run of one
    node. LIVE: its dots in the entry. LAST: the last one that touched it, removals too. APPLIED (E), KNOWN (C) and
    LOW (L) are of the whole shard.
    """
    system, name = split_name(key)
    found = await client.explain(system, name, type_name)
    if output == "json":
        fields = dataclasses.asdict(found)
        click.echo(json.dumps({**fields, "value": plain_json(found.value)}))
        return
    click.echo(f"{found.system}/{found.key} {found.type_name} in shard {found.shard}, version {found.version}")
    if found.found:
        click.echo(f"value {shown(found.value)}")
        click.echo(f"store part of {found.size_bytes} bytes, fingerprint {found.fingerprint}")
    else:
        click.echo("no state")
    rows = [
        (
            writer.replica_id,
            writer.node or "?",
            f"{_spans(writer.live)} ({writer.live_count})",
            str(writer.last),
            _spans(writer.applied),
            _spans(writer.known),
            str(writer.low),
        )
        for writer in found.writers
    ]
    echo_table(("REPLICA ID", "NODE", "LIVE", "LAST", "APPLIED", "KNOWN", "LOW"), rows)


def _spans(intervals: tuple[tuple[int, int], ...]) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in intervals) or "-"
